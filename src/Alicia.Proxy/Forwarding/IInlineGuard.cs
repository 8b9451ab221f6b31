namespace Alicia.Proxy.Forwarding;

/// <summary>What a caller of the forwarder changes about an exchange that does not come from the data plane.</summary>
internal interface IInlineGuard
{
    /// <summary>True for a request field that must not reach the instance.</summary>
    bool Removes(string requestField);

    /// <summary>Takes fields off the response, or adds some.</summary>
    void Amend(IHeaderDictionary responseFields);
}

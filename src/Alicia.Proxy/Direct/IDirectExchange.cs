using Alicia.Proxy.Connections;

namespace Alicia.Proxy.Direct;

/// <summary>
/// One request on its way to an instance, as the direct forwarder sees it: where it goes, which fields go along, and whom to tell what came of it. Whoever calls the forwarder brings
/// it in place of YARP's transformer.
/// </summary>
internal interface IDirectExchange
{
    /// <summary>The instance's address.</summary>
    AddressSlot Slot { get; }

    /// <summary>Raw path and query for the instance.</summary>
    string Target { get; }

    /// <summary>True when the reading of the answer's body was given up because time was up, the caller being still there.</summary>
    bool WentSilent { set; }

    /// <summary>Writes the fields of the request. The body's framing, <c>Content-Length</c> and <c>Transfer-Encoding</c>, is not among them: it belongs to whoever sends the body.</summary>
    /// <exception cref="BadHttpRequestException">A field cannot be passed on.</exception>
    void WriteFields(HttpContext context, HeadWriter head);

    /// <summary>Writes the trailers that came behind the request's body, those that may go on.</summary>
    /// <exception cref="BadHttpRequestException">A trailer cannot be passed on.</exception>
    void WriteTrailers(IHeaderDictionary trailers, HeadWriter section);

    /// <summary>The head of the answer is here: it is judged, and status and fields become the caller's.</summary>
    /// <returns>False when the answer is to be dropped: the request goes to another instance.</returns>
    bool Answer(HttpContext context, ResponseHead head);

    /// <summary>The trailers of the answer are here. Called for callers that can have trailers.</summary>
    void Trail(IHeaderDictionary trailers, ResponseHead section);

    /// <summary>Bytes of the answer's body have come.</summary>
    void Progress(int bytes);

    /// <summary>The instance has nothing more to do for the request.</summary>
    void Finish();

    /// <summary>The answer ended before it was whole.</summary>
    void BreakOff();

    /// <summary>Asks whether an answer that broke off ends for its caller with a status in its trailers, as gRPC's do.</summary>
    /// <returns>False when the caller's side is to be cut like the instance's.</returns>
    bool EndsWithStatus(Exception fault, HttpContext context);
}

namespace Alicia.Proxy.Live;

/// <summary>What a request came to. One value a request, in the access log and in traces.</summary>
internal enum RequestOutcome
{
    /// <summary>An instance answered in full, and its answer is no failure.</summary>
    Success,

    /// <summary>The instance's fault: connect, timeout, reset, cut, or a failure status.</summary>
    Failure,

    /// <summary>The caller went away, fell silent in its body, or sent one that cannot be read.</summary>
    Aborted,

    /// <summary>Refused by the proxy before it chose an instance.</summary>
    Rejected,

    /// <summary>The proxy's own fault.</summary>
    Error,
}

namespace Alicia.Proxy.Circuit;

/// <summary>
/// What went wrong with an attempt at an instance, as far as its circuit cares: known at the latest when the head of the response is there. What goes wrong
/// in a body later, and a caller who goes away, is no failure of this kind.
/// </summary>
internal enum AttemptFailure
{
    /// <summary>No connection came about: refused, unreachable, name not found, TLS failed.</summary>
    Connect,

    /// <summary>The connection or the response's head took longer than allowed.</summary>
    Timeout,

    /// <summary>The instance closed or reset the connection before the head was complete.</summary>
    Reset,

    /// <summary>What came back was not HTTP.</summary>
    Protocol,

    /// <summary>The head came, with one of the statuses that the configuration calls failures.</summary>
    Status,

    /// <summary>The head came, with <c>grpc-status: 14</c> (unavailable).</summary>
    Grpc,
}

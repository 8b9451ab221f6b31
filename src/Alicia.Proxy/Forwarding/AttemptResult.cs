using Alicia.Proxy.Connections;

namespace Alicia.Proxy.Forwarding;

/// <summary>What came of one attempt at one instance, when its slot has been given back.</summary>
/// <param name="Trouble">Whose fault it was that the answer is not whole, and what the caller is told; null when all went well.</param>
internal readonly record struct AttemptResult(Outcome? Trouble)
{
    /// <summary>True once the head of the instance's answer is the caller's: no other instance can be asked any more, and the service's counters know of it.</summary>
    public bool HeadPassedOn { get; init; }

    /// <summary>True when the answer was dropped: the request has the slot of another instance.</summary>
    public bool IsDropped { get; init; }

    /// <summary>What the HTTP client, or the name server, said.</summary>
    public Exception? Exception { get; init; }

    /// <summary>
    /// True when the instance cannot have begun on the request, whatever its method: it was not reached, or it says so itself (HTTP/2's REFUSED_STREAM, and a GOAWAY that leaves the
    /// stream out, after which the HTTP client sends the request again by itself until its body would have to be sent twice).
    /// </summary>
    public bool IsUnsent => SaysUnsent(Exception);

    /// <summary>True when the request was not sent because a connection that had been kept was found ended.</summary>
    public bool IsStale => Outcome.Find<ConnectionGoneException>(Exception) is not null;

    /// <summary>See <see cref="IsUnsent"/>.</summary>
    public static bool SaysUnsent(Exception? exception) =>
        Outcome.Find<UnsentException>(exception) is not null || Outcome.Find<HttpProtocolException>(exception) is { ErrorCode: RefusedStreamCode };

    /// <summary>RFC 9113, section 7.</summary>
    private const long RefusedStreamCode = 0x7;
}

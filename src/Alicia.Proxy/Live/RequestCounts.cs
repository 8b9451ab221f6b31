namespace Alicia.Proxy.Live;

/// <summary>What a request came to. One value a request; the metric label <c>outcome</c>.</summary>
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

/// <summary>The hundreds of a status; the metric label <c>code</c>.</summary>
internal enum CodeClass
{
    /// <summary>No response head came.</summary>
    None,

    /// <summary>Only 101 gets here: the connection was upgraded.</summary>
    Switched,

    Successful,

    Redirected,

    ClientError,

    ServerError,
}

/// <summary>Why a request was refused; the metric label <c>reason</c>, in the words of <c>Proxy-Status</c>.</summary>
internal enum RejectReason
{
    /// <summary>No service by that name.</summary>
    UnknownService,

    /// <summary>No usable instance.</summary>
    NoInstance,

    /// <summary>Every instance at its cap.</summary>
    AllFull,

    /// <summary>The request has been through this proxy before.</summary>
    Loop,

    /// <summary>A target or framing that the proxy does not take.</summary>
    BadRequest,

    /// <summary>More requests than the service's rate limit lets through.</summary>
    RateLimited,
}

/// <summary>
/// Requests by status class and outcome: a plain table that each request adds one to when it is over. The cells have cache lines of their own and are made with the first
/// request, so that ten thousand idle instances cost nothing.
/// </summary>
internal sealed class RequestCounts
{
    public const int Codes = 6;
    public const int Outcomes = 5;

    /// <summary>Cells in all; below 32, so that a set of them is one word.</summary>
    public const int Cells = Codes * Outcomes;

    // 128 bytes to either side, because processors fetch lines in pairs.
    private const int Padding = 16;

    private long[]? _cells;

    /// <summary>The class of a status; those beyond 599, which some send, are the server's errors too.</summary>
    public static CodeClass ClassOf(int status) => status < 100 ? CodeClass.None : (CodeClass)Math.Min(status / 100, 5);

    public void Count(CodeClass code, RequestOutcome outcome) => Interlocked.Increment(ref (Volatile.Read(ref _cells) ?? Allocate())[Padding + CellOf(code, outcome)]);

    public long Read(int cell) => Volatile.Read(ref _cells) is { } cells ? Volatile.Read(ref cells[Padding + cell]) : 0;

    public long Read(CodeClass code, RequestOutcome outcome) => Read(CellOf(code, outcome));

    /// <summary>Attempts of a class, whatever came of them.</summary>
    public long Read(CodeClass code)
    {
        var sum = 0L;
        for (var outcome = 0; outcome < Outcomes; outcome++)
            sum += Read(code, (RequestOutcome)outcome);
        return sum;
    }

    /// <summary>One bit for each cell that has counted something.</summary>
    public uint Used()
    {
        if (Volatile.Read(ref _cells) is not { } cells)
            return 0;
        var used = 0u;
        for (var cell = 0; cell < Cells; cell++)
        {
            if (Volatile.Read(ref cells[Padding + cell]) != 0)
                used |= 1u << cell;
        }

        return used;
    }

    public static int CellOf(CodeClass code, RequestOutcome outcome) => ((int)code * Outcomes) + (int)outcome;

    private long[] Allocate() => Interlocked.CompareExchange(ref _cells, new long[Padding + Cells + Padding], null) ?? _cells;
}

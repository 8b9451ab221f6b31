using System.Diagnostics.Metrics;

namespace Alicia.Proxy.Live;

/// <summary>What one service is doing right now: counters since start, removed instances included, and the figures of the last minute.</summary>
/// <param name="name">Its name.</param>
/// <param name="durations">Where the length of each request goes; null for nowhere.</param>
/// <param name="time">The clock of the retry budget; null for the machine's.</param>
internal sealed class ServiceLive(string name, Histogram<double>? durations = null, TimeProvider? time = null)
{
    private readonly KeyValuePair<string, object?> _tag = new("service", name);
    private readonly long[] _retries = new long[Enum.GetValues<RetryReason>().Length];
    private readonly long[] _rejections = new long[Enum.GetValues<RejectReason>().Length];
    private long _total;
    private long _failed;
    private long _aborted;
    private long _active;
    private long _received;
    private long _sent;
    private long _responseMicros;
    private SlotWaiters? _waiters;

    public string Name { get; } = name;

    /// <summary>Client requests for the service; each counts once, however many attempts it took.</summary>
    public long TotalRequests => Volatile.Read(ref _total);

    /// <summary>Requests that ended in a failure of an instance: connect, timeout, reset, cut, or a failure status.</summary>
    public long FailedRequests => Volatile.Read(ref _failed);

    /// <summary>Requests that the proxy refused: no usable instance, or all of them at their cap.</summary>
    public long RejectedRequests => Sum(_rejections);

    /// <summary>Requests whose client went away before the answer was complete.</summary>
    public long AbortedRequests => Volatile.Read(ref _aborted);

    /// <summary>Requests being forwarded now.</summary>
    public long ActiveConnections => Volatile.Read(ref _active);

    /// <summary>Attempts after the first.</summary>
    public long Retries => Sum(_retries);

    /// <summary>How many of them the service may still make.</summary>
    public RetryBudget RetryBudget { get; } = new(time ?? TimeProvider.System);

    /// <summary>Bytes of request bodies, and of callers' side of upgraded connections, that were read.</summary>
    public long BytesReceived => Volatile.Read(ref _received);

    /// <summary>Bytes of response bodies, and of instances' side of upgraded connections, that were read for callers.</summary>
    public long BytesSent => Volatile.Read(ref _sent);

    /// <summary>Times to response heads, summed, in seconds.</summary>
    public double ResponseSeconds => Volatile.Read(ref _responseMicros) / 1e6;

    /// <summary>Attempts, and requests that were refused, by how they ended.</summary>
    public RequestCounts Ended { get; } = new();

    /// <summary>Counts and response times of the last minute.</summary>
    public RecentWindow Recent { get; } = new();

    /// <summary>Requests that wait for a slot; null while the service has never let any wait.</summary>
    public SlotWaiters? Waiters
    {
        get => Volatile.Read(ref _waiters);
        set => Volatile.Write(ref _waiters, value);
    }

    /// <summary>Attempts after the first, by what made them necessary.</summary>
    public long Retried(RetryReason reason) => Volatile.Read(ref _retries[(int)reason]);

    public long Rejected(RejectReason reason) => Volatile.Read(ref _rejections[(int)reason]);

    public void CountRequest() => Interlocked.Increment(ref _total);

    public void CountFailure() => Interlocked.Increment(ref _failed);

    /// <summary>The proxy refused a request.</summary>
    /// <param name="reason">Why.</param>
    /// <param name="status">What it answered.</param>
    public void CountRejection(RejectReason reason, int status)
    {
        Interlocked.Increment(ref _rejections[(int)reason]);
        Ended.Count(RequestCounts.ClassOf(status), RequestOutcome.Rejected);
    }

    public void CountAbort() => Interlocked.Increment(ref _aborted);

    public void CountRetry(RetryReason reason) => Interlocked.Increment(ref _retries[(int)reason]);

    public void CountReceived(int bytes) => Interlocked.Add(ref _received, bytes);

    public void CountSent(int bytes) => Interlocked.Add(ref _sent, bytes);

    /// <summary>A response head came after <paramref name="seconds"/>.</summary>
    public void RecordResponseTime(double seconds)
    {
        Interlocked.Add(ref _responseMicros, (long)(seconds * 1e6));
        Recent.Record(seconds);
    }

    /// <summary>A request took <paramref name="seconds"/> until its instance had nothing more to do for it.</summary>
    public void RecordDuration(double seconds) => durations?.Record(seconds, _tag);

    public void Enter() => Interlocked.Increment(ref _active);

    public void Leave() => Interlocked.Decrement(ref _active);

    private static long Sum(long[] counts)
    {
        var sum = 0L;
        for (var i = 0; i < counts.Length; i++)
            sum += Volatile.Read(ref counts[i]);
        return sum;
    }
}

namespace Alicia.Proxy.Live;

/// <summary>What one service is doing right now: counters since start, removed instances included, and the figures of the last minute.</summary>
internal sealed class ServiceLive(string name)
{
    private long _total;
    private long _failed;
    private long _rejected;
    private long _aborted;
    private long _active;

    public string Name { get; } = name;

    /// <summary>Client requests for the service; each counts once, however many attempts it took.</summary>
    public long TotalRequests => Volatile.Read(ref _total);

    /// <summary>Requests that ended in a failure of an instance: connect, timeout, reset, cut, or a failure status.</summary>
    public long FailedRequests => Volatile.Read(ref _failed);

    /// <summary>Requests that the proxy refused: no usable instance, or all of them at their cap.</summary>
    public long RejectedRequests => Volatile.Read(ref _rejected);

    /// <summary>Requests whose client went away before the answer was complete.</summary>
    public long AbortedRequests => Volatile.Read(ref _aborted);

    /// <summary>Requests being forwarded now.</summary>
    public long ActiveConnections => Volatile.Read(ref _active);

    /// <summary>Counts and response times of the last minute.</summary>
    public RecentWindow Recent { get; } = new();

    public void CountRequest() => Interlocked.Increment(ref _total);

    public void CountFailure() => Interlocked.Increment(ref _failed);

    public void CountRejection() => Interlocked.Increment(ref _rejected);

    public void CountAbort() => Interlocked.Increment(ref _aborted);

    public void Enter() => Interlocked.Increment(ref _active);

    public void Leave() => Interlocked.Decrement(ref _active);
}

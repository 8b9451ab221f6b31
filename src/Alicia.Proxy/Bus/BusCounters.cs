namespace Alicia.Proxy.Bus;

/// <summary>What went over the bus and what did not, since start. Written by the bus, read by whoever reports.</summary>
internal sealed class BusCounters
{
    private readonly long[] _withoutEffect = new long[Enum.GetValues<BusReason>().Length];
    private long _received;
    private long _processed;
    private long _published;
    private long _dropped;
    private long _publishFailures;
    private long _connects;
    private long _connectFailures;

    /// <summary>Messages that came from the broker, whatever became of them.</summary>
    public long Received => Volatile.Read(ref _received);

    /// <summary>Messages that were looked at to the end and were no fault.</summary>
    public long Processed => Volatile.Read(ref _processed);

    /// <summary>Messages that the broker took.</summary>
    public long Published => Volatile.Read(ref _published);

    /// <summary>Outgoing messages that were dropped because too many waited.</summary>
    public long Dropped => Volatile.Read(ref _dropped);

    /// <summary>Outgoing messages that the broker refused.</summary>
    public long PublishFailures => Volatile.Read(ref _publishFailures);

    /// <summary>Connections that were made.</summary>
    public long Connects => Volatile.Read(ref _connects);

    public long ConnectFailures => Volatile.Read(ref _connectFailures);

    /// <summary>Received messages at fault, of all reasons.</summary>
    public long Errors => Enum.GetValues<BusReason>().Where(r => r.IsFault()).Sum(Of);

    /// <summary>Received messages without effect, by reason; every reason is listed.</summary>
    public IEnumerable<(string Reason, long Count)> ByReason => Enum.GetValues<BusReason>().Select(r => (r.Name(), Of(r)));

    public long Of(BusReason reason) => Volatile.Read(ref _withoutEffect[(int)reason]);

    public void CountReceived() => Interlocked.Increment(ref _received);

    public void CountProcessed() => Interlocked.Increment(ref _processed);

    public void Count(BusReason reason) => Interlocked.Increment(ref _withoutEffect[(int)reason]);

    public void CountPublished() => Interlocked.Increment(ref _published);

    public void CountDropped() => Interlocked.Increment(ref _dropped);

    public void CountPublishFailure() => Interlocked.Increment(ref _publishFailures);

    public void CountConnect() => Interlocked.Increment(ref _connects);

    public void CountConnectFailure() => Interlocked.Increment(ref _connectFailures);
}

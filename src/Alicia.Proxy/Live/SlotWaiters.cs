namespace Alicia.Proxy.Live;

/// <summary>
/// Requests that wait for a slot, as far as those see them who may have one to give: an instance that gives a slot back, gets more of them or comes into use says so here.
/// </summary>
internal abstract class SlotWaiters
{
    private int _depth;
    private long _waits;
    private long _waitMicros;

    /// <summary>Most requests that may wait, 0–100000; 0 lets nobody in, and those who are there are served.</summary>
    public abstract int Capacity { get; set; }

    /// <summary>Requests that wait now.</summary>
    public int Depth => Volatile.Read(ref _depth);

    /// <summary>Requests whose wait is over, whatever came of it.</summary>
    public long Waits => Volatile.Read(ref _waits);

    /// <summary>Their waits together, in seconds.</summary>
    public double WaitSeconds => Volatile.Read(ref _waitMicros) / 1e6;

    /// <summary>
    /// There may be a slot. Costs a read while nobody waits. Of one who frees a slot and one who begins to wait, one sees the other: both write (the slot, <see cref="Depth"/>), with a full
    /// fence, before they look.
    /// </summary>
    public void SlotFreed()
    {
        if (Depth > 0)
            Serve();
    }

    /// <summary>The same, for those who hold a lock.</summary>
    public void SlotFreedUnderLock()
    {
        if (Depth > 0)
            ThreadPool.UnsafeQueueUserWorkItem(static waiters => waiters.Serve(), this, preferLocal: false);
    }

    /// <summary>Gives what slots there are to those who wait, in their order.</summary>
    public abstract void Serve();

    protected void Entered() => Interlocked.Increment(ref _depth);

    protected void Left() => Interlocked.Decrement(ref _depth);

    protected void Waited(TimeSpan time)
    {
        Interlocked.Increment(ref _waits);
        Interlocked.Add(ref _waitMicros, (long)time.TotalMicroseconds);
    }
}

using System.Runtime.InteropServices;

namespace Alicia.Proxy.Live;

/// <summary>
/// What one instance is doing right now: requests in flight, counters, and the limits they are compared with. One object per epoch,
/// found through <see cref="LiveTable"/>; never inherited by an instance that comes back.
/// </summary>
/// <remarks>
/// Padded on both sides of the fields that every request writes, so that two instances never share a cache line: with the usual 64-byte lines and
/// adjacent-line prefetch, 128 bytes is the distance that keeps cores apart.
/// </remarks>
[StructLayout(LayoutKind.Sequential)]
internal sealed class InstanceLive(long epoch)
{
#pragma warning disable CS0169, IDE0051 // Padding is never read.
    private readonly Pad128 _before;
#pragma warning restore CS0169, IDE0051

    private int _inFlight;
    private int _slots = 1;
    private int _weight = 1;
    private int _leaving;
    private long _totalRequests;
    private long _failedRequests;
    private long _rotationTicket;
    private double _responseTime = double.NaN;

#pragma warning disable CS0169, IDE0051
    private readonly Pad128 _after;
#pragma warning restore CS0169, IDE0051

    private readonly Lock _limitsLock = new();
    private int _maxConnections = 1;
    private DateTimeOffset? _openedByHandAt;
    private long _leaseRenewedAt;
    private Action<InstanceLive>? _onIdle;

    /// <summary>Identity for the life of the process and beyond: an instance that comes back or moves gets another.</summary>
    public long Epoch { get; } = epoch;

    /// <summary>Requests that hold a slot: reserved before forwarding, released when the exchange is over. Upgraded connections count while they last.</summary>
    public int InFlight => Volatile.Read(ref _inFlight);

    /// <summary>
    /// Cap on <see cref="InFlight"/>, 1–100000; 0 while the instance is out of rotation. The registry's snapshot is the truth; this copy stands beside the
    /// count it bounds.
    /// </summary>
    public int MaxConnections
    {
        get => Volatile.Read(ref _maxConnections);
        set
        {
            lock (_limitsLock)
            {
                Volatile.Write(ref _maxConnections, value);
                ApplyLimits_NeedsLock();
            }
        }
    }

    /// <summary>Slots that may be taken now: the cap, or none while the circuit is open.</summary>
    public int Slots => Volatile.Read(ref _slots);

    /// <summary>When an operator opened the circuit by hand; null while it is closed.</summary>
    public DateTimeOffset? OpenedByHandAt
    {
        get
        {
            lock (_limitsLock)
                return _openedByHandAt;
        }

        set
        {
            lock (_limitsLock)
            {
                _openedByHandAt = value;
                ApplyLimits_NeedsLock();
            }
        }
    }

    /// <summary>Share of traffic relative to its siblings, 1–1000. A copy of the snapshot's, beside the count that it divides.</summary>
    public int Weight
    {
        get => Volatile.Read(ref _weight);
        set => Volatile.Write(ref _weight, value);
    }

    /// <summary>Attempts sent here since the epoch began.</summary>
    public long TotalRequests => Volatile.Read(ref _totalRequests);

    /// <summary>Attempts that failed: connect, timeout, reset, cut, or a failure status.</summary>
    public long FailedRequests => Volatile.Read(ref _failedRequests);

    /// <summary>Moving average of the time to the response head in seconds; NaN until the first response.</summary>
    public double ResponseTime => Volatile.Read(ref _responseTime);

    /// <summary>Position in the service's rotation when the instance was last picked; orders a rebuilt rotation least recently used first.</summary>
    public long RotationTicket
    {
        get => Volatile.Read(ref _rotationTicket);
        set => Volatile.Write(ref _rotationTicket, value);
    }

    /// <summary>When the registration was last renewed, as <see cref="DateTimeOffset.UtcTicks"/>.</summary>
    public long LeaseRenewedAt
    {
        get => Volatile.Read(ref _leaseRenewedAt);
        set => Volatile.Write(ref _leaseRenewedAt, value);
    }

    /// <summary>Takes a slot if one is free. Exact under any concurrency: no request goes out above the cap, and none once the instance is closed.</summary>
    public bool TryReserve()
    {
        var count = Volatile.Read(ref _inFlight);
        while (count < Volatile.Read(ref _slots))
        {
            var seen = Interlocked.CompareExchange(ref _inFlight, count + 1, count);
            if (seen == count)
                return count < Volatile.Read(ref _slots) || GiveBack();
            count = seen;
        }

        return false;

        // The limits fell between the look and the taking. Who closed the instance may have found it idle already, and has promised that nothing comes.
        bool GiveBack()
        {
            Release();
            return false;
        }
    }

    /// <summary>Gives the slot back; the last one to leave a departing instance says so.</summary>
    public void Release()
    {
        // The decrement is a full fence, and so is the exchange in WhenIdle: of a release and a departure that race, one sees the other.
        if (Interlocked.Decrement(ref _inFlight) == 0 && Volatile.Read(ref _leaving) != 0)
            Interlocked.Exchange(ref _onIdle, null)?.Invoke(this);
    }

    /// <summary>Calls <paramref name="onIdle"/> once, as soon as nothing is in flight: now, or from the release of the last slot.</summary>
    public void WhenIdle(Action<InstanceLive> onIdle)
    {
        Volatile.Write(ref _onIdle, onIdle);
        Interlocked.Exchange(ref _leaving, 1);
        if (InFlight == 0)
            Interlocked.Exchange(ref _onIdle, null)?.Invoke(this);
    }

    /// <summary>A full fence, like the taking of a slot: of a request and a closing that race, one sees the other.</summary>
    private void ApplyLimits_NeedsLock() => Interlocked.Exchange(ref _slots, _openedByHandAt is null ? _maxConnections : 0);

    public void CountRequest() => Interlocked.Increment(ref _totalRequests);

    public void CountFailure() => Interlocked.Increment(ref _failedRequests);

    /// <summary>Folds one time to response head (seconds) into the moving average.</summary>
    public void RecordResponseTime(double seconds)
    {
        // Weight of a new sample: about the last twenty responses count. A lost race loses one sample of an average, which no one can see.
        const double NewSample = 0.1;
        var old = Volatile.Read(ref _responseTime);
        Volatile.Write(ref _responseTime, double.IsNaN(old) ? seconds : old + ((seconds - old) * NewSample));
    }
}

[StructLayout(LayoutKind.Sequential, Size = 128)]
internal readonly struct Pad128;

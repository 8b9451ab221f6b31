using System.Runtime.InteropServices;

namespace Alicia.Proxy.Live;

/// <summary>
/// What one instance is doing right now: requests in flight, counters, and the limits they are compared with. One object per epoch,
/// found through <see cref="LiveTable"/>; never inherited by an instance that comes back.
/// </summary>
internal sealed partial class InstanceLive(long epoch)
{
    private Hot _hot = new() { Slots = 1, Weight = 1, ResponseTime = double.NaN };
    private readonly Lock _limitsLock = new();
    private int _maxConnections = 1;
    private bool _shut;
    private PeakLatency? _peak;
    private int _health;
    private long _lastProbe;
    private long _leaseRenewedAt;
    private long _leaseRenewedTimestamp;
    private Action<InstanceLive>? _onIdle;
    private volatile bool _isOverdue;
    private SlotWaiters? _waiters;

    /// <summary>Identity for the life of the process and beyond: an instance that comes back or moves gets another.</summary>
    public long Epoch { get; } = epoch;

    /// <summary>Requests that hold a slot: reserved before forwarding, released when the exchange is over. Upgraded connections count while they last.</summary>
    public int InFlight => CountOf(Volatile.Read(ref _hot.Word));

    /// <summary>Slots given back since the epoch began, modulo 2³². Unchanged between two looks, the instance has had no slot come free in between.</summary>
    public uint Releases => ReleasesOf(Volatile.Read(ref _hot.Word));

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

    /// <summary>Requests of the service that wait for a slot, to be told of one; null while there are never any.</summary>
    public SlotWaiters? Waiters
    {
        get => Volatile.Read(ref _waiters);
        set => Volatile.Write(ref _waiters, value);
    }

    /// <summary>Recent response times as <c>peak_ewma</c> has them; null while no service uses them here.</summary>
    public PeakLatency? Peak => Volatile.Read(ref _peak);

    /// <summary>From here on <see cref="Peak"/> is kept.</summary>
    public void MeasurePeaks(TimeProvider time)
    {
        if (Peak is null)
            Interlocked.CompareExchange(ref _peak, new PeakLatency(time), null);
    }

    /// <summary>Slots that may be taken now: the cap, as far as warmth lets it, or none while the instance is shut.</summary>
    public int Slots => Volatile.Read(ref _hot.Slots);

    /// <summary>True while no ordinary request may go there, whatever the cap. Written by whoever judges the instance.</summary>
    public bool Shut
    {
        get
        {
            lock (_limitsLock)
                return _shut;
        }

        set
        {
            lock (_limitsLock)
            {
                _shut = value;
                ApplyLimits_NeedsLock();
            }
        }
    }

    /// <summary>The probes' verdict.</summary>
    public HealthStatus Health
    {
        get => (HealthStatus)Volatile.Read(ref _health);
        set => Volatile.Write(ref _health, (int)value);
    }

    /// <summary>When the last probe ended, and whether it passed; null before the first.</summary>
    public (DateTimeOffset At, bool Passed)? LastProbe
    {
        get
        {
            // Both in one word, so that a reader never sees the time of one probe with the result of another. Ticks are below 2⁶².
            var word = Volatile.Read(ref _lastProbe);
            return word == 0 ? null : (new DateTimeOffset(word >> 1, TimeSpan.Zero), (word & 1) != 0);
        }
        set => Volatile.Write(ref _lastProbe, value is { } probe ? (probe.At.UtcTicks << 1) | (probe.Passed ? 1L : 0L) : 0);
    }

    /// <summary>Share of traffic relative to its siblings, 1–1000. A copy of the snapshot's, beside the count that it divides.</summary>
    public int Weight
    {
        get => Volatile.Read(ref _hot.Weight);
        set => Volatile.Write(ref _hot.Weight, value);
    }

    /// <summary>Attempts sent here since the epoch began.</summary>
    public long TotalRequests => Volatile.Read(ref _hot.TotalRequests);

    /// <summary>Attempts that failed: connect, timeout, reset, cut, or a failure status.</summary>
    public long FailedRequests => Volatile.Read(ref _hot.FailedRequests);

    /// <summary>Response heads that came back since the epoch began.</summary>
    public long Heads => Volatile.Read(ref _hot.Heads);

    /// <summary>Times to response heads, summed, in seconds.</summary>
    public double ResponseSeconds => Volatile.Read(ref _hot.ResponseMicros) / 1e6;

    /// <summary>Attempts by how they ended.</summary>
    public RequestCounts Ended { get; } = new();

    /// <summary>Moving average of the time to the response head in seconds; NaN until the first response.</summary>
    public double ResponseTime => Volatile.Read(ref _hot.ResponseTime);

    /// <summary>Their times to the response head together, in microseconds.</summary>
    public long ResponseMicros => Volatile.Read(ref _hot.ResponseMicros);

    /// <summary>Position in the service's rotation when the instance was last picked; orders a rebuilt rotation least recently used first.</summary>
    public long RotationTicket
    {
        get => Volatile.Read(ref _hot.RotationTicket);
        set => Volatile.Write(ref _hot.RotationTicket, value);
    }

    /// <summary>When the registration was last renewed, as <see cref="DateTimeOffset.UtcTicks"/>, for documents; 0 before the first time.</summary>
    public long LeaseRenewedAt => Volatile.Read(ref _leaseRenewedAt);

    /// <summary>The same as a <see cref="TimeProvider"/> timestamp, for decisions: a clock that jumps must end no lease.</summary>
    public long LeaseRenewedTimestamp => Volatile.Read(ref _leaseRenewedTimestamp);

    /// <summary>The instance has been heard of: its lease, if it has one, begins anew.</summary>
    public void RenewLease(TimeProvider time)
    {
        Volatile.Write(ref _leaseRenewedTimestamp, time.GetTimestamp());
        Volatile.Write(ref _leaseRenewedAt, time.GetUtcNow().UtcTicks);
    }

    /// <summary>True once the time that the instance had for draining is over. False again only when an operator takes it back in. Set before its upgraded connections are ended.</summary>
    public bool IsOverdue
    {
        get => _isOverdue;
        set => _isOverdue = value;
    }

    /// <summary>Takes a slot if one is free. Exact under any concurrency: no request goes out above the cap, and none once the instance is closed.</summary>
    public bool TryReserve() => TryReserve(out _);

    /// <summary>Takes a slot if one is free.</summary>
    /// <param name="releases">When none is: <see cref="Releases"/> at the moment of the look.</param>
    public bool TryReserve(out uint releases)
    {
        var word = Volatile.Read(ref _hot.Word);
        while (CountOf(word) < Volatile.Read(ref _hot.Slots))
        {
            var seen = Interlocked.CompareExchange(ref _hot.Word, word + 1, word);
            if (seen == word)
            {
                releases = 0;
                return CountOf(word) < Volatile.Read(ref _hot.Slots) || TakeBack();
            }

            word = seen;
        }

        releases = ReleasesOf(word);
        return false;

        // The limits fell between the look and the taking. Who closed the instance may have found it idle already, and has promised that nothing comes.
        bool TakeBack()
        {
            Release();
            return false;
        }
    }

    /// <summary>Takes a slot within the cap although the instance is shut: for a trial. None is to be had once the cap is 0.</summary>
    public bool TryReserveTrial()
    {
        var word = Volatile.Read(ref _hot.Word);
        while (CountOf(word) < MaxConnections)
        {
            var seen = Interlocked.CompareExchange(ref _hot.Word, word + 1, word);
            if (seen == word)
            {
                if (MaxConnections > 0)
                    return true;
                // As in TryReserve: the instance left between the look and the taking.
                GiveBack();
                Waiters?.SlotFreedUnderLock();
                return false;
            }

            word = seen;
        }

        return false;
    }

    /// <summary>Gives the slot back; the last one to leave a departing instance says so.</summary>
    public void Release()
    {
        GiveBack();
        Waiters?.SlotFreed();
    }

    private void GiveBack()
    {
        // One less in flight, one more release. The addition is a full fence, and so is the exchange in WhenIdle: of a release and a departure that race, one sees the other.
        if (CountOf(Interlocked.Add(ref _hot.Word, OneRelease - 1)) == 0 && Volatile.Read(ref _hot.Leaving) != 0)
            Interlocked.Exchange(ref _onIdle, null)?.Invoke(this);
    }

    /// <summary>Calls <paramref name="onIdle"/> once, as soon as nothing is in flight: now, or from the release of the last slot.</summary>
    public void WhenIdle(Action<InstanceLive> onIdle)
    {
        Volatile.Write(ref _onIdle, onIdle);
        Interlocked.Exchange(ref _hot.Leaving, 1);
        if (InFlight == 0)
            Interlocked.Exchange(ref _onIdle, null)?.Invoke(this);
    }

    /// <summary>A full fence, like the taking of a slot: of a request and a closing that race, one sees the other.</summary>
    private void ApplyLimits_NeedsLock()
    {
        Interlocked.Exchange(ref _hot.Slots, _shut ? 0 : WarmCap_NeedsLock());
        Waiters?.SlotFreedUnderLock();
    }

    public void CountRequest() => Interlocked.Increment(ref _hot.TotalRequests);

    public void CountFailure()
    {
        Interlocked.Increment(ref _hot.FailedRequests);
        _peak?.Failed();
    }

    /// <summary>A caller went away after so many seconds without a response head.</summary>
    public void Outlasted(double seconds) => _peak?.Outlasted(seconds);

    /// <summary>Folds one time to response head (seconds) into the moving average.</summary>
    public void RecordResponseTime(double seconds)
    {
        // Weight of a new sample: about the last twenty responses count. A lost race loses one sample of an average, which no one can see.
        const double NewSample = 0.1;
        Interlocked.Increment(ref _hot.Heads);
        Interlocked.Add(ref _hot.ResponseMicros, (long)(seconds * 1e6));
        _peak?.Answered(seconds);
        var old = Volatile.Read(ref _hot.ResponseTime);
        Volatile.Write(ref _hot.ResponseTime, double.IsNaN(old) ? seconds : old + ((seconds - old) * NewSample));
    }

    private const long OneRelease = 1L << 32;

    private static int CountOf(long word) => (int)(uint)word;

    private static uint ReleasesOf(long word) => (uint)(word >> 32);

    /// <summary>
    /// What every request writes, alone on its cache line: 128 bytes to either side, because processors fetch lines in pairs, keep two instances' counters apart. A struct,
    /// because the runtime lays out a class as it likes.
    /// </summary>
    [StructLayout(LayoutKind.Explicit, Size = 328)]
    private struct Hot
    {
        /// <summary>In flight in the lower half, releases in the upper: one look sees both as they were at one moment.</summary>
        [FieldOffset(128)]
        public long Word;

        [FieldOffset(136)]
        public int Slots;

        [FieldOffset(140)]
        public int Weight;

        [FieldOffset(144)]
        public long TotalRequests;

        [FieldOffset(152)]
        public long FailedRequests;

        [FieldOffset(160)]
        public long RotationTicket;

        [FieldOffset(168)]
        public double ResponseTime;

        [FieldOffset(176)]
        public int Leaving;

        [FieldOffset(184)]
        public long Heads;

        [FieldOffset(192)]
        public long ResponseMicros;
    }
}

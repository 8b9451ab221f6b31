namespace Alicia.Proxy.Live;

/// <summary>
/// Counts and response times of about the last minute, for rates, averages and percentiles. Thirteen slots of five seconds: twelve full ones and the one
/// being filled. Recording is three interlocked adds and no allocation after a service's first request.
/// </summary>
internal sealed class RecentWindow
{
    /// <summary>Length of one slot.</summary>
    public static readonly TimeSpan SlotLength = TimeSpan.FromSeconds(5);

    /// <summary>Slots that the window keeps.</summary>
    public const int Slots = 13;

    private Slot[]? _slots;
    private int _current;
    private long _forgottenResponses;
    private long _forgottenMicros;

    /// <summary>Answers since start, and their times together in microseconds: two totals that only rise.</summary>
    public (long Responses, long TotalMicros) SinceStart
    {
        get
        {
            var (responses, micros) = (Volatile.Read(ref _forgottenResponses), Volatile.Read(ref _forgottenMicros));
            foreach (var slot in Volatile.Read(ref _slots) ?? [])
                (responses, micros) = (responses + Volatile.Read(ref slot.Responses), micros + Volatile.Read(ref slot.TotalMicros));
            return (responses, micros);
        }
    }

    /// <summary>A request has come.</summary>
    public void CountRequest() => Interlocked.Increment(ref Current().Requests);

    /// <summary>An instance answered after <paramref name="seconds"/>.</summary>
    public void Record(double seconds)
    {
        var slot = Current();
        var micros = (long)(seconds * 1e6);
        Interlocked.Increment(ref slot.Responses);
        Interlocked.Add(ref slot.TotalMicros, micros);
        Interlocked.Increment(ref slot.Histogram[LatencyBuckets.IndexOf(micros)]);
    }

    /// <summary>Moves on to the next slot, forgetting the oldest. Called once per <see cref="SlotLength"/> by one thread.</summary>
    public void Advance()
    {
        var slots = Volatile.Read(ref _slots);
        if (slots is null)
            return;
        // Emptied before it is the current one: a request that still holds the slot before it writes there, and nothing is lost.
        var next = (_current + 1) % Slots;
        Volatile.Write(ref _forgottenResponses, _forgottenResponses + slots[next].Responses);
        Volatile.Write(ref _forgottenMicros, _forgottenMicros + slots[next].TotalMicros);
        slots[next].Clear();
        Volatile.Write(ref _current, next);
    }

    /// <summary>Sums all slots into a reading.</summary>
    public RecentReading Read()
    {
        var reading = new RecentReading();
        if (Volatile.Read(ref _slots) is { } slots)
        {
            foreach (var slot in slots)
                reading.Add(slot.Requests, slot.Responses, slot.TotalMicros, slot.Histogram);
        }

        return reading;
    }

    private Slot Current() => (Volatile.Read(ref _slots) ?? Allocate())[Volatile.Read(ref _current)];

    private Slot[] Allocate()
    {
        var fresh = new Slot[Slots];
        for (var i = 0; i < Slots; i++)
            fresh[i] = new Slot();
        return Interlocked.CompareExchange(ref _slots, fresh, null) ?? fresh;
    }

    private sealed class Slot
    {
        public readonly int[] Histogram = new int[LatencyBuckets.Count];
        public long Requests;
        public long Responses;
        public long TotalMicros;

        public void Clear()
        {
            Volatile.Write(ref Requests, 0);
            Volatile.Write(ref Responses, 0);
            Volatile.Write(ref TotalMicros, 0);
            Array.Clear(Histogram);
        }
    }
}

/// <summary>What a <see cref="RecentWindow"/> held when it was read; readings of several services add up.</summary>
internal sealed class RecentReading
{
    private readonly long[] _histogram = new long[LatencyBuckets.Count];

    public long Requests { get; private set; }

    public long Responses { get; private set; }

    private long TotalMicros { get; set; }

    /// <summary>Mean response time in seconds, or null without a response.</summary>
    public double? Average => Responses == 0 ? null : TotalMicros / 1e6 / Responses;

    public void Add(long requests, long responses, long totalMicros, ReadOnlySpan<int> histogram)
    {
        Requests += requests;
        Responses += responses;
        TotalMicros += totalMicros;
        for (var i = 0; i < histogram.Length; i++)
            _histogram[i] += histogram[i];
    }

    public void Add(RecentReading other)
    {
        Requests += other.Requests;
        Responses += other.Responses;
        TotalMicros += other.TotalMicros;
        for (var i = 0; i < _histogram.Length; i++)
            _histogram[i] += other._histogram[i];
    }

    /// <summary>The response time in seconds that the share <paramref name="quantile"/> (0–1) of responses did not exceed; at most 12.5 % too high.</summary>
    public double? Percentile(double quantile)
    {
        var total = 0L;
        foreach (var count in _histogram)
            total += count;
        if (total == 0)
            return null;
        var rank = Math.Max(1, (long)Math.Ceiling(quantile * total));
        var seen = 0L;
        for (var i = 0; i < _histogram.Length; i++)
        {
            seen += _histogram[i];
            if (seen >= rank)
                return LatencyBuckets.UpperBoundMicros(i) / 1e6;
        }

        return LatencyBuckets.UpperBoundMicros(_histogram.Length - 1) / 1e6;
    }
}

/// <summary>
/// Log-linear buckets over microseconds, as HDR histograms have them: eight to each doubling, so a bucket is at most 12.5 % wide. The last starts
/// above an hour and takes everything beyond.
/// </summary>
internal static class LatencyBuckets
{
    private const int SubBits = 3;
    private const int Sub = 1 << SubBits;

    /// <summary>Doublings above the first eight microseconds: 2^(3+29) µs is 71 minutes.</summary>
    private const int Doublings = 29;

    public const int Count = Sub * (Doublings + 1);

    public static int IndexOf(long micros)
    {
        if (micros < Sub)
            return (int)Math.Max(0, micros);
        var log = System.Numerics.BitOperations.Log2((ulong)micros);
        var index = ((log - SubBits + 1) * Sub) + (int)((micros >> (log - SubBits)) & (Sub - 1));
        return Math.Min(index, Count - 1);
    }

    /// <summary>The first value in microseconds that no longer belongs to the bucket.</summary>
    public static long UpperBoundMicros(int index)
    {
        if (index < Sub)
            return index + 1;
        var shift = (index / Sub) - 1;
        return (long)(Sub + (index % Sub) + 1) << shift;
    }
}

using System.Numerics;

namespace Alicia.Proxy.Benchmarks.Load;

/// <summary>Counts latencies in buckets that are at most 1/64 of their value wide: any number of samples in fixed memory. Not thread-safe.</summary>
internal sealed class LatencyHistogram
{
    private const int SubBits = 6;
    private const int SubBuckets = 1 << SubBits;

    private readonly long[] _counts = new long[(64 - SubBits) * SubBuckets];

    public long Count { get; private set; }

    /// <summary>Longest latency in nanoseconds, exact.</summary>
    public long Max { get; private set; }

    public void Record(long nanoseconds)
    {
        _counts[Index(nanoseconds)]++;
        Count++;
        Max = Math.Max(Max, nanoseconds);
    }

    public void Add(LatencyHistogram other)
    {
        for (var i = 0; i < _counts.Length; i++)
            _counts[i] += other._counts[i];
        Count += other.Count;
        Max = Math.Max(Max, other.Max);
    }

    /// <summary>Latency in nanoseconds that a share of <paramref name="p"/> (0–1) does not pass; 0 without samples.</summary>
    public long Quantile(double p)
    {
        var wanted = (long)Math.Ceiling(p * Count);
        long seen = 0;
        for (var i = 0; i < _counts.Length; i++)
        {
            seen += _counts[i];
            if (seen >= wanted && seen > 0)
                return Math.Min(Top(i), Max);
        }

        return 0;
    }

    private static int Index(long value)
    {
        if (value < SubBuckets)
            return (int)Math.Max(value, 0);
        var shift = BitOperations.Log2((ulong)value) - SubBits;
        return ((shift + 1) << SubBits) + (int)((value >> shift) - SubBuckets);
    }

    /// <summary>Largest value of a bucket.</summary>
    private static long Top(int index)
    {
        if (index < SubBuckets)
            return index;
        var shift = (index >> SubBits) - 1;
        return (((long)(index & (SubBuckets - 1)) + SubBuckets + 1) << shift) - 1;
    }
}

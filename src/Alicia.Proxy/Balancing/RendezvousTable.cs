using System.Buffers.Binary;
using System.IO.Hashing;
using System.Text;

namespace Alicia.Proxy.Balancing;

/// <summary>
/// Which member of a pool each of 16,384 buckets of keys belongs to: the one that is nearest to the bucket by weighted rendezvous hashing. Depends on the members' names and
/// weights alone, so that every proxy, and the next start of this one, finds the same.
/// </summary>
/// <remarks>
/// A bucket's owner is worked out when its first request comes, in a look at each member, and read from then on; a new pool costs nothing beforehand, and a pick is an array
/// look-up. That two threads may work out the same owner does no harm: it is the same. The distance −ln(u)/weight (u even in (0,1) by bucket and member) makes the nearest one with
/// odds exactly as its weight (C. Schindelhauer, G. Schomaker, "Weighted distributed hash tables", SPAA 2005); of a member that leaves only its own buckets move.
/// With b buckets and a share p, a member's number of buckets strays by √(p(1−p)b): 2.3 % of its share among ten.
/// </remarks>
internal sealed class RendezvousTable
{
    /// <summary>A power of two. 64 KiB a pool.</summary>
    public const int Buckets = 1 << 14;

    private readonly ulong[] _names;
    private readonly double[] _inverseWeights;

    /// <summary>Index of the owner plus one; 0 while nobody has asked.</summary>
    private readonly int[] _owners = new int[Buckets];

    /// <param name="names">What tells the members apart, the same over restarts.</param>
    /// <param name="weights">Each at least 1.</param>
    public RendezvousTable(IEnumerable<string> names, ReadOnlySpan<int> weights)
    {
        _names = [.. names.Select(name => XxHash3.HashToUInt64(Encoding.UTF8.GetBytes(name)))];
        _inverseWeights = new double[weights.Length];
        for (var i = 0; i < weights.Length; i++)
            _inverseWeights[i] = 1.0 / weights[i];
    }

    public static int BucketOf(ulong key) => (int)(key & (Buckets - 1));

    public int OwnerOf(int bucket)
    {
        var known = Volatile.Read(ref _owners[bucket]);
        return known != 0 ? known - 1 : Find(bucket);
    }

    /// <summary>How far a member is from a bucket; the nearest owns it.</summary>
    public double Distance(int bucket, int member)
    {
        Span<byte> pair = stackalloc byte[16];
        BinaryPrimitives.WriteUInt64LittleEndian(pair, _names[member]);
        BinaryPrimitives.WriteInt64LittleEndian(pair[8..], bucket);
        // 53 bits are a double's; the half keeps the logarithm finite.
        var even = ((XxHash3.HashToUInt64(pair) >> 11) + 0.5) * (1.0 / (1L << 53));
        return -Math.Log(even) * _inverseWeights[member];
    }

    private int Find(int bucket)
    {
        var owner = 0;
        var nearest = double.PositiveInfinity;
        for (var i = 0; i < _names.Length; i++)
        {
            var distance = Distance(bucket, i);
            if (distance < nearest)
                (owner, nearest) = (i, distance);
        }

        Volatile.Write(ref _owners[bucket], owner + 1);
        return owner;
    }
}

using Alicia.Proxy.Live;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Balancing;

/// <summary>
/// The instance that a request's key belongs to: the same one for the same key, as long as it is there and not much busier than its siblings. When an instance leaves, only its
/// keys move, and to all the others; when one comes, it takes its share from all. Requests without a key are spread by weight.
/// </summary>
/// <remarks>
/// Use when an instance does better with what it has seen before: caches, sessions kept in memory, shards. Avoid when a few keys make most of the traffic, or when any instance
/// serves any request equally well. The bound (<c>Hash:BoundPercent</c>) caps an instance at so much of its fair share of what is in flight; beyond it the key's next choice
/// serves. Sources: D. Thaler, C. Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM ToN 6(1), 1998 (rendezvous hashing);
/// V. Mirrokni, M. Thorup, M. Zadimoghaddam, "Consistent hashing with bounded loads", SODA 2018.
/// </remarks>
internal sealed class ConsistentHash : BalancingPolicy
{
    public override string Name => "consistent_hash";

    public override bool UsesKey => true;

    public override void Prepare(Pool pool, ServiceSettings settings)
    {
        pool.BoundPercent = settings.Get(SettingKeys.HashBoundPercent);
        if (pool.Count > 0)
            _ = pool.Schedule;
    }

    public override int Pick(Pool pool, ulong key)
    {
        if (key == 0)
            return pool.PickByWeight();
        var table = pool.Rendezvous;
        var bucket = RendezvousTable.BucketOf(key);
        var owner = table.OwnerOf(bucket);
        var live = pool.Lives[owner];
        var inFlight = live.InFlight;
        // One request is within every bound; the sum over all is needed only where there are more.
        if (inFlight == 0 ? live.Slots > 0 : inFlight < live.Slots && inFlight < Bound(pool, owner, Total(pool.Lives)))
            return owner;
        return NextChoice(pool, table, bucket, owner);
    }

    /// <summary>The member after the owner in the key's order of preference that has room; the owner when nobody has.</summary>
    private static int NextChoice(Pool pool, RendezvousTable table, int bucket, int owner)
    {
        var lives = pool.Lives;
        var total = Total(lives);
        var best = owner;
        var bestDistance = double.PositiveInfinity;
        for (var i = 0; i < lives.Length; i++)
        {
            var inFlight = lives[i].InFlight;
            if (inFlight >= lives[i].Slots || inFlight >= Bound(pool, i, total))
                continue;
            var distance = table.Distance(bucket, i);
            if (distance < bestDistance)
                (best, bestDistance) = (i, distance);
        }

        return best;
    }

    private static long Total(ReadOnlySpan<InstanceLive> lives)
    {
        var sum = 0L;
        foreach (var live in lives)
            sum += live.InFlight;
        return sum;
    }

    /// <summary>Requests that a member may have before this one: its share by weight of all, this one included, times the bound, rounded up.</summary>
    private static long Bound(Pool pool, int index, long total)
    {
        var whole = 100 * (long)pool.CumulativeShares[^1];
        return (((total + 1) * pool.Shares[index] * pool.BoundPercent) + whole - 1) / whole;
    }
}

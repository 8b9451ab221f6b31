namespace Alicia.Proxy.Balancing;

/// <summary>An instance by chance, with the odds of its weight.</summary>
/// <remarks>
/// Use when many proxies share the same instances and must not march in step. Avoid with few requests: chance needs numbers to even out.
/// </remarks>
internal sealed class WeightedRandom(Random random) : BalancingPolicy
{
    public override string Name => "random";

    public override void Prepare(Pool pool) => _ = pool.CumulativeWeights;

    public override int Pick(Pool pool, ulong key)
    {
        var sums = pool.CumulativeWeights;
        var draw = random.Next(sums[^1]);
        // The first sum above the draw; sums rise strictly because weights are at least 1.
        int low = 0, high = sums.Length - 1;
        while (low < high)
        {
            var middle = (low + high) >>> 1;
            if (sums[middle] > draw)
                high = middle;
            else
                low = middle + 1;
        }

        return low;
    }
}

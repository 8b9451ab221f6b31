using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Balancing;

/// <summary>An instance by chance, with the odds of its weight.</summary>
/// <remarks>
/// Use when many proxies share the same instances and must not march in step. Avoid with few requests: chance needs numbers to even out.
/// </remarks>
internal sealed class WeightedRandom(Random random) : BalancingPolicy
{
    public override string Name => "random";

    public override void Prepare(Pool pool, ServiceSettings settings) => _ = pool.CumulativeShares;

    public override int Pick(Pool pool, ulong key)
    {
        var sums = pool.CumulativeShares;
        return TwoChoices.Find(sums, random.Next(sums[^1]));
    }
}

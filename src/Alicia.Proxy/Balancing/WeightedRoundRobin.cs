using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Balancing;

/// <summary>
/// Each instance in turn, as often as its weight says and as evenly spread as can be: never a whole request away from its share.
/// </summary>
/// <remarks>
/// Use when instances differ in strength and requests are alike. Avoid when requests differ much in length (least connections, which knows weights too).
/// The order is <see cref="WeightedSchedule"/>'s.
/// </remarks>
internal sealed class WeightedRoundRobin : BalancingPolicy
{
    public override string Name => "weighted_round_robin";

    public override void Prepare(Pool pool, ServiceSettings settings)
    {
        if (pool.Count > 0)
            _ = pool.Schedule;
    }

    public override int Pick(Pool pool, ulong key) => pool.PickByWeight();
}

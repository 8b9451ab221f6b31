using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Balancing;

/// <summary>
/// Each instance in turn. Counts differ by at most one as long as the set stays; when it changes, the new rotation begins with whoever waited longest.
/// </summary>
/// <remarks>
/// Use when instances are alike and requests cost about the same. Avoid when some requests take much longer than others (least connections) or some
/// instances are stronger (weighted). Weights are ignored.
/// </remarks>
internal sealed class RoundRobin : BalancingPolicy
{
    public override string Name => "round_robin";

    public override void Prepare(Pool pool, ServiceSettings settings)
    {
        if (pool.Warming)
            _ = pool.WarmSchedule;
    }

    public override int Pick(Pool pool, ulong key)
    {
        var turn = pool.NextTurn();
        var index = pool.Warming ? pool.WarmSchedule.At(turn) : (int)((ulong)turn % (uint)pool.Count);
        pool.Picked(index, turn);
        return index;
    }
}

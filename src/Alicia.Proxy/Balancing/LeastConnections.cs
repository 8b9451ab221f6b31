namespace Alicia.Proxy.Balancing;

/// <summary>
/// The instance with the fewest requests in flight relative to its weight; among equals the one that was picked longest ago. Instances at their cap
/// are passed over as long as another has room.
/// </summary>
/// <remarks>
/// Use when requests differ much in length, or upgraded connections stay. Avoid when a failing instance answers faster than a working one: it looks idle. Needs
/// a look at every instance, so a pick grows with their number. "Connections" are requests in flight, as the name has it everywhere.
/// </remarks>
internal sealed class LeastConnections : BalancingPolicy
{
    public override string Name => "least_connections";

    public override int Pick(Pool pool, ulong key)
    {
        var lives = pool.Lives;
        var weights = pool.Weights;
        var best = -1;
        long bestLoad = 0, bestWeight = 1, bestTicket = 0;
        var bestFull = true;
        var turn = pool.NextTurn();
        var warming = pool.Warming;
        for (var i = 0; i < lives.Length; i++)
        {
            // Idle as it is, a newcomer would be the least busy one every time; while it warms up it is looked at no more often than its share allows.
            if (warming && !pool.IsDue(i, turn))
                continue;
            var live = lives[i];
            long load = live.InFlight;
            var full = load >= live.Slots;
            long weight = weights[i];
            var ticket = pool.TicketOf(i);
            // load / weight < bestLoad / bestWeight, without the division.
            var difference = (load * bestWeight) - (bestLoad * weight);
            if (best >= 0 && (full != bestFull ? full : difference > 0 || (difference == 0 && ticket >= bestTicket)))
                continue;
            (best, bestLoad, bestWeight, bestTicket, bestFull) = (i, load, weight, ticket, full);
        }

        pool.Picked(best, turn);
        return best;
    }
}

namespace Alicia.Proxy.Balancing;

/// <summary>
/// Of two instances by chance, with the odds of their weights, the one with fewer requests in flight relative to its weight.
/// </summary>
/// <remarks>
/// Use when a service has many instances, or several proxies share them: almost as even as least connections at a cost that does not grow with the set, and proxies do not all run
/// to the instance that each of them sees idle. Avoid with two or three instances (least connections sees them all), and where a failing instance answers faster than a
/// working one. Source: M. Mitzenmacher, "The power of two choices in randomized load balancing", IEEE TPDS 12(10), 2001.
/// </remarks>
internal sealed class PowerOfTwoChoices(Random random) : BalancingPolicy
{
    public override string Name => "power_of_two_choices";

    public override int Pick(Pool pool, ulong key)
    {
        var (first, second) = TwoChoices.Draw(pool, random);
        if (first == second)
            return first;
        var lives = pool.Lives;
        var (a, b) = (lives[first], lives[second]);
        int inA = a.InFlight, inB = b.InFlight;
        bool fullA = inA >= a.Slots, fullB = inB >= b.Slots;
        if (fullA != fullB)
            return fullA ? second : first;
        // inA / weightA <= inB / weightB, without the divisions. Of equals the first: it was drawn with the odds of its weight.
        var weights = pool.Weights;
        return (long)inA * weights[second] <= (long)inB * weights[first] ? first : second;
    }
}

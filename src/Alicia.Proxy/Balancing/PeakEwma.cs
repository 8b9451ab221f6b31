using Alicia.Proxy.Live;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Balancing;

/// <summary>
/// Of two instances by chance, the one where a request is expected to be done sooner: its recent response time, in which a slow answer counts at once and is forgotten over ten
/// seconds, times the requests in flight there and this one. Failures count as slow.
/// </summary>
/// <remarks>
/// Use when some instances are slower than others, always or now and then: a busy neighbour, a cold cache, a long collection. Avoid when response times say more about the
/// requests than about the instances, such as one slow route among fast ones with little traffic; and where an instance that paused for a second shall be back at once: its
/// peak takes 40 s to come down to 20 ms. Source: Finagle's and Linkerd's <c>peak_ewma</c>; see
/// <see cref="PeakLatency"/>. An instance that nobody has heard of yet counts as instant while it is idle, and as the slowest while its first request runs: one request finds out, no flood.
/// </remarks>
internal sealed class PeakEwma(Random random, TimeProvider time) : BalancingPolicy
{
    /// <summary>Seconds; above what any measured instance comes to with as many requests.</summary>
    private const double Unmeasured = 1e6;

    public override string Name => "peak_ewma";

    public override void Prepare(Pool pool, ServiceSettings settings)
    {
        foreach (var live in pool.Lives)
            live.MeasurePeaks(time);
    }

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
        var now = PeakLatency.Millis(time);
        return Load(a, inA, pool.Heft(first), now) <= Load(b, inB, pool.Heft(second), now) ? first : second;
    }

    /// <param name="live">The instance.</param>
    /// <param name="inFlight">Its requests.</param>
    /// <param name="heft">Its weight relative to the mean: an instance of twice the weight does two requests in the time of one.</param>
    /// <param name="millis">Now.</param>
    private static double Load(InstanceLive live, int inFlight, double heft, uint millis)
    {
        var seconds = live.Peak?.At(millis) ?? float.NaN;
        if (float.IsNaN(seconds))
            return inFlight == 0 ? 0 : Unmeasured * inFlight / heft;
        return seconds * ((inFlight / heft) + 1);
    }
}

using Alicia.Proxy.Balancing;
using static Alicia.Proxy.UnitTests.Balancing.Pools;

namespace Alicia.Proxy.UnitTests.Balancing;

public sealed class WeightedRoundRobinTests
{
    private readonly WeightedRoundRobin _policy = new();

    [Fact]
    public void Equal_weights_are_plain_round_robin()
    {
        var pool = new Pool(Members(5, 5, 5));
        Enumerable.Range(0, 6).Select(_ => _policy.PickEpoch(pool)).Should().Equal(1, 2, 3, 1, 2, 3);
    }

    /// <summary>The set changes before every pick, far faster than the period of 2,002 picks.</summary>
    [Fact]
    public void A_flapping_member_does_not_starve_the_light_ones()
    {
        var (heavy, light, flapping) = (Member(1, 1000), Member(2, 1), Member(3, 1000));
        const int Picks = 8000;
        var picks = Enumerable.Range(0, Picks)
            .Select(i => _policy.PickEpoch(new Pool(i % 2 == 0 ? [heavy, light, flapping] : [heavy, light])))
            .ToList();

        var counts = Count(picks);
        counts[2].Should().BeGreaterThanOrEqualTo(Picks / 2001 / 2, "half of what it would have had in a set that stays");
        counts[2].Should().BeLessThanOrEqualTo(Picks / 1001 * 2);
    }

    [Theory]
    [InlineData(new[] { 3, 1 })]
    [InlineData(new[] { 5, 3, 1 })]
    [InlineData(new[] { 10, 10, 1 })]
    [InlineData(new[] { 1, 2, 3, 4 })]
    public void A_pool_rebuilt_before_every_pick_still_gives_each_its_share_within_a_quarter(int[] weights)
    {
        var members = Members(weights);
        var total = weights.Sum();
        var rounds = 100;
        var counts = Count(Enumerable.Range(0, rounds * total).Select(_ => _policy.PickEpoch(new Pool(members))));

        for (var i = 0; i < weights.Length; i++)
            counts.GetValueOrDefault(i + 1).Should().BeCloseTo(rounds * weights[i], (uint)(rounds * weights[i] / 4), "member {0} has weight {1} of {2}", i + 1, weights[i], total);
    }
}

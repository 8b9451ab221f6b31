using Alicia.Proxy.Balancing;
using static Alicia.Proxy.UnitTests.Balancing.Pools;

namespace Alicia.Proxy.UnitTests.Balancing;

public sealed class PowerOfTwoChoicesTests
{
    private const int Seed = 4711;

    [Theory]
    [InlineData(2)]
    [InlineData(10)]
    public void Of_the_two_that_are_drawn_the_one_with_fewer_in_flight_is_picked_and_so_the_busiest_never(int count)
    {
        var members = Equal(count);
        for (var i = 0; i < count; i++)
            Occupy(members[i], i);
        var (policy, pool) = (new PowerOfTwoChoices(new Random(Seed)), new Pool(members));

        var counts = Count(Enumerable.Range(0, 20_000).Select(_ => policy.PickEpoch(pool)));

        counts.Should().NotContainKey(count, "it is the busier one of any pair");
        // The member with k others busier than it wins a pair with odds 2k/(n(n-1)).
        for (var epoch = 1; epoch < count; epoch++)
            counts[epoch].Should().BeCloseTo((int)(20_000 * 2.0 * (count - epoch) / (count * (count - 1))), 400);
    }

    /// <summary>N = 60,000 picks of idle members, seed 4711; chi-square at 0.1 %.</summary>
    [Theory]
    [InlineData(new[] { 1, 1, 1, 1, 1, 1 }, 20.515)] // 5 degrees of freedom
    [InlineData(new[] { 1, 2, 3, 4 }, 16.266)] // 3
    [InlineData(new[] { 7, 7 }, 10.828)] // 1
    public void Idle_instances_are_picked_by_weight(int[] weights, double critical)
    {
        const int Picks = 60_000;
        var (policy, pool) = (new PowerOfTwoChoices(new Random(Seed)), new Pool(Members(weights)));
        var counts = new int[weights.Length];
        for (var i = 0; i < Picks; i++)
            counts[policy.Pick(pool, 0)]++;

        var chiSquare = counts.Zip(weights, (count, weight) =>
        {
            var expected = (double)Picks * weight / weights.Sum();
            return (count - expected) * (count - expected) / expected;
        }).Sum();
        chiSquare.Should().BeLessThan(critical, "counts are {0}", string.Join(", ", counts));
    }

    /// <summary>
    /// 100,000 requests that stay, on n = 100, seed 4711. By one choice the fullest would be √(2·1000·ln 100) = 96 above its 1,000; by two it is ln ln 100 / ln 2 + O(1): 3 or so.
    /// </summary>
    [Fact]
    public void Requests_that_stay_fill_instances_evenly()
    {
        var members = Equal(100);
        var (policy, pool) = (new PowerOfTwoChoices(new Random(Seed)), new Pool(members));
        for (var i = 0; i < 100_000; i++)
            pool.Lives[policy.Pick(pool, 0)].TryReserve().Should().BeTrue();

        members.Max(m => m.Live.InFlight).Should().BeLessThanOrEqualTo(1_005);
    }

    /// <summary>80,000 requests that stay, weights 1, 2 and 5, seed 4711: shares within 1 %.</summary>
    [Fact]
    public void Requests_that_stay_fill_instances_by_weight()
    {
        var members = Members(1, 2, 5);
        var (policy, pool) = (new PowerOfTwoChoices(new Random(Seed)), new Pool(members));
        for (var i = 0; i < 80_000; i++)
            pool.Lives[policy.Pick(pool, 0)].TryReserve().Should().BeTrue();

        members[0].Live.InFlight.Should().BeCloseTo(10_000, 100);
        members[1].Live.InFlight.Should().BeCloseTo(20_000, 200);
        members[2].Live.InFlight.Should().BeCloseTo(50_000, 500);
    }

    [Fact]
    public void A_full_instance_is_passed_over_for_one_with_room()
    {
        var (full, busy) = (Member(1, weight: 1000, cap: 1), Member(2, weight: 1, cap: 100));
        Occupy(full, 1);
        Occupy(busy, 50);
        var (policy, pool) = (new PowerOfTwoChoices(new Random(Seed)), new Pool([full, busy]));

        for (var i = 0; i < 100; i++)
            policy.PickEpoch(pool).Should().Be(2);
    }

    [Fact]
    public void Under_many_threads_loads_stay_even()
    {
        var members = Equal(10);
        var (policy, pool) = (new PowerOfTwoChoices(Random.Shared), new Pool(members));
        Together(8, _ =>
        {
            for (var i = 0; i < 10_000; i++)
                pool.Lives[policy.Pick(pool, 0)].TryReserve();
        });

        members.Sum(m => m.Live.InFlight).Should().Be(80_000);
        members.Should().OnlyContain(m => Math.Abs(m.Live.InFlight - 8_000) <= 80);
    }

    private static void Occupy(PoolMember member, int slots)
    {
        for (var i = 0; i < slots; i++)
            member.Live.TryReserve().Should().BeTrue();
    }
}

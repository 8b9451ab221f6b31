using Alicia.Proxy.Balancing;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry.Settings;
using static Alicia.Proxy.UnitTests.Balancing.Pools;

namespace Alicia.Proxy.UnitTests.Balancing;

/// <summary>What each algorithm gives to an instance that warms up beside others that are warm: N = 40,000 picks each, seed 4711.</summary>
public sealed class WarmingPoolTests
{
    private const int Picks = 40_000;

    public static TheoryData<string, int> Cases
    {
        get
        {
            var cases = new TheoryData<string, int>();
            foreach (var name in ((ChoiceCodec)SettingKeys.Algorithm.Codec).Choices)
            {
                foreach (var warmth in (int[])[1, 5, 11, 19])
                    cases.Add(name, warmth);
            }

            return cases;
        }
    }

    /// <summary>Idle instances: with w of 20 beside three that are warm, a share of w/(60+w); ε is a fifth of it, for buckets and chance.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void The_share_of_an_instance_rises_with_its_warmth(string name, int warmth)
    {
        var (policy, pool) = Warming(name, warmth, others: 3);
        var cold = 0;
        for (var i = 0; i < Picks; i++)
        {
            if (pool.Lives[policy.Pick(pool, RequestKey.OfText("user-" + i))].Epoch == 4)
                cold++;
        }

        var expected = Picks * (double)warmth / (60 + warmth);
        cold.Should().BeCloseTo((int)expected, (uint)(expected / 5));
    }

    /// <summary>
    /// The others always busy, the newcomer always idle: what compares loads would give it everything. At most twice its share, which is what a candidate of two gets that always wins.
    /// </summary>
    [Theory]
    [InlineData("least_connections")]
    [InlineData("power_of_two_choices")]
    [InlineData("peak_ewma")]
    public void Being_idle_gives_a_newcomer_no_more_than_twice_its_share(string name)
    {
        var (policy, pool) = Warming(name, warmth: 2, others: 3);
        foreach (var live in pool.Lives)
        {
            live.RecordResponseTime(0.01);
            for (var i = 0; live.Epoch != 4 && i < 50; i++)
                live.TryReserve().Should().BeTrue();
        }

        var cold = 0;
        for (var i = 0; i < Picks; i++)
        {
            if (pool.Lives[policy.Pick(pool, 0)].Epoch == 4)
                cold++;
        }

        cold.Should().BeInRange(Picks / 62, (int)(Picks * 2 * 2 / 62.0 * 1.2));
    }

    [Theory]
    [InlineData("least_connections")]
    [InlineData("power_of_two_choices")]
    [InlineData("peak_ewma")]
    [InlineData("round_robin")]
    public void Beside_a_single_warm_instance_a_newcomer_is_not_picked_more_than_its_share(string name)
    {
        var (policy, pool) = Warming(name, warmth: 1, others: 1);
        var cold = Enumerable.Range(0, Picks).Count(_ => pool.Lives[policy.Pick(pool, 0)].Epoch == 2);
        cold.Should().BeInRange(Picks / 21 * 8 / 10, Picks / 21 * 12 / 10);
    }

    [Theory]
    [InlineData("round_robin")]
    [InlineData("least_connections")]
    public void A_pool_whose_instances_are_equally_new_is_no_different_from_a_warm_one(string name)
    {
        var members = Equal(3);
        foreach (var member in members)
            member.Live.Warm(7, 7);
        var pool = new Pool(members);
        var policy = BalancingServices.All(new Random(4711), TimeProvider.System).Single(p => p.Name == name);
        pool.Warming.Should().BeFalse();
        Count(Enumerable.Range(0, 300).Select(_ => policy.PickEpoch(pool))).Values.Should().OnlyContain(c => c == 100);
    }

    [Fact]
    public void A_pool_is_another_when_an_instance_has_got_warmer()
    {
        var members = Equal(2);
        var pool = new Pool(members);
        pool.SameAs(members).Should().BeTrue();
        members[0].Live.Warm(3, InstanceLive.FullWarmth);
        pool.SameAs(members).Should().BeFalse();
        new Pool(members).SameAs(members).Should().BeTrue();
    }

    private static (BalancingPolicy Policy, Pool Pool) Warming(string name, int warmth, int others)
    {
        PoolMember[] members = [.. Enumerable.Range(1, others + 1).Select(i => Member(i, id: "instance-" + i))];
        members[^1].Live.Warm(warmth, InstanceLive.FullWarmth);
        var policy = BalancingServices.All(new Random(4711), TimeProvider.System).Single(p => p.Name == name);
        var pool = new Pool(members);
        policy.Prepare(pool, ServiceSettings.BuiltIn);
        return (policy, pool);
    }
}

using Alicia.Proxy.Balancing;
using Alicia.Proxy.Live;
using static Alicia.Proxy.UnitTests.Balancing.Pools;

namespace Alicia.Proxy.UnitTests.Balancing;

public sealed class RoundRobinTests
{
    private readonly RoundRobin _policy = new();

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(17)]
    public void On_a_stable_set_counts_differ_by_at_most_one_at_every_prefix(int members)
    {
        var pool = new Pool(Equal(members));
        var counts = new int[members];
        for (var pick = 0; pick < 1000; pick++)
        {
            counts[_policy.Pick(pool, 0)]++;
            (counts.Max() - counts.Min()).Should().BeLessThanOrEqualTo(1, "after {0} picks", pick + 1);
        }
    }

    [Theory]
    [InlineData(2, 3, 30_001)]
    [InlineData(8, 7, 10_007)]
    public void On_a_stable_set_many_threads_share_one_rotation(int threads, int members, int picksEach)
    {
        var pool = new Pool(Equal(members));
        var counts = new int[members];
        Together(threads, _ =>
        {
            for (var i = 0; i < picksEach; i++)
                Interlocked.Increment(ref counts[_policy.Pick(pool, 0)]);
        });

        counts.Sum().Should().Be(threads * picksEach);
        (counts.Max() - counts.Min()).Should().BeLessThanOrEqualTo(1);
    }

    [Fact]
    public void A_pool_rebuilt_before_every_pick_continues_the_rotation()
    {
        var members = Equal(5);
        var counts = new Dictionary<long, int>(members.Select(m => KeyValuePair.Create(m.Live.Epoch, 0)));
        for (var pick = 0; pick < 100; pick++)
        {
            counts[_policy.PickEpoch(new Pool(members))]++;
            (counts.Values.Max() - counts.Values.Min()).Should().BeLessThanOrEqualTo(1, "after {0} picks", pick + 1);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void A_pool_rebuilt_after_some_picks_does_not_begin_again_at_the_first(int picksBetween)
    {
        var members = Equal(5);
        var picks = new List<long>();
        for (var round = 0; round < 50; round++)
        {
            var pool = new Pool(members);
            for (var i = 0; i < picksBetween; i++)
                picks.Add(_policy.PickEpoch(pool));
        }

        var counts = Count(picks);
        counts.Should().HaveCount(5);
        (counts.Values.Max() - counts.Values.Min()).Should().BeLessThanOrEqualTo(1);
    }

    /// <summary>The third member is there at every second, third, … request: in step with the requests, which is the worst that a flapping member can do.</summary>
    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(5)]
    public void A_member_that_flaps_in_step_with_the_requests_starves_nobody_and_takes_no_more_than_its_share(int period)
    {
        var (a, b, c) = (Member(1), Member(2), Member(3));
        var picks = new List<long>();
        for (var request = 0; request < 1200; request++)
            picks.Add(_policy.PickEpoch(new Pool(request % period == 0 ? [a, b, c] : [a, b])));

        var counts = Count(picks);
        Math.Abs(counts[1] - counts[2]).Should().BeLessThanOrEqualTo(2, "the two that stay are equals");
        counts[3].Should().BeInRange(1200 / period / 3, (1200 / 3) + 1);
        counts[1].Should().BeGreaterThanOrEqualTo(1200 / 3);
    }

    [Fact]
    public void A_flapping_member_that_returns_between_bursts_continues_the_rotation()
    {
        var (a, b, c) = (Member(1), Member(2), Member(3));
        var picks = new List<long>();
        for (var burst = 0; burst < 300; burst++)
        {
            var pool = new Pool(burst % 2 == 0 ? [a, b, c] : [a, b]);
            for (var i = 0; i < 1 + (burst % 4); i++)
                picks.Add(_policy.PickEpoch(pool));
        }

        var counts = Count(picks);
        Math.Abs(counts[1] - counts[2]).Should().BeLessThanOrEqualTo(3);
        counts[3].Should().BeInRange(100, counts[1] + 1);
    }

    [Fact]
    public void An_instance_that_comes_back_with_a_new_epoch_before_every_pick_does_not_attract_the_traffic()
    {
        var (a, b) = (Member(1), Member(2));
        var picks = new List<long>();
        for (var request = 0; request < 300; request++)
            picks.Add(_policy.PickEpoch(new Pool([a, b, Member(1000 + request)])));

        var steady = picks.Where(e => e < 1000).ToList();
        steady.Count.Should().BeGreaterThanOrEqualTo(200, "the crash-looping one has a third of the traffic at most");
        Math.Abs(steady.Count(e => e == 1) - steady.Count(e => e == 2)).Should().BeLessThanOrEqualTo(1);
    }

    [Fact]
    public void A_newcomer_gets_its_turn_within_one_rotation()
    {
        var members = Equal(4);
        var pool = new Pool(members);
        for (var i = 0; i < 6; i++)
            _policy.Pick(pool, 0);

        var grown = new Pool([.. members, Member(99)]);
        var picks = Enumerable.Range(0, 5).Select(_ => _policy.PickEpoch(grown)).ToList();

        picks.Should().OnlyHaveUniqueItems();
        picks[0].Should().Be(3, "1 and 2 had their second turn already");
        picks[^1].Should().Be(99, "a newcomer goes behind those that wait");
    }

    [Fact]
    public void A_replaced_set_is_served_evenly_from_its_first_pick()
    {
        var old = new Pool(Equal(3));
        for (var i = 0; i < 100; i++)
            _policy.Pick(old, 0);

        var replaced = new Pool([Member(11), Member(12), Member(13)]);
        Count(Enumerable.Range(0, 9).Select(_ => _policy.PickEpoch(replaced))).Values.Should().Equal(3, 3, 3);
    }

    [Fact]
    public void Weights_do_not_count()
    {
        var pool = new Pool(Members(1000, 1));
        Count(Enumerable.Range(0, 10).Select(_ => _policy.PickEpoch(pool))).Values.Should().Equal(5, 5);
    }

    [Fact]
    public void A_pool_of_the_same_instances_and_weights_is_recognised_as_the_same()
    {
        var members = Members(1, 2, 3);
        var pool = new Pool(members);

        pool.SameAs([.. members.Reverse()]).Should().BeTrue();
        pool.SameAs([.. members.Take(2)]).Should().BeFalse();
        pool.SameAs([.. members.Take(2), Member(9)]).Should().BeFalse();
        InstanceLive changed = members[1].Live;
        changed.Weight = 7;
        pool.SameAs(members).Should().BeFalse("a weight changed");
    }
}

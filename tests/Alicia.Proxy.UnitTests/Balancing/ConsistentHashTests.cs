using Alicia.Proxy.Balancing;
using static Alicia.Proxy.UnitTests.Balancing.Pools;

namespace Alicia.Proxy.UnitTests.Balancing;

/// <summary>Keys 1 to N, N = 20,000, by their hash; nothing is left to chance, so the bounds hold or break for ever.</summary>
public sealed class ConsistentHashTests
{
    private const int Keys = 20_000;

    private readonly ConsistentHash _policy = new();

    [Fact]
    public void The_same_key_meets_the_same_instance_whatever_was_picked_in_between_and_in_whatever_order_instances_stand()
    {
        var (members, shuffled) = (Named(7), Named(7));
        Array.Reverse(shuffled);
        var (first, second) = (Owners(new Pool(members)), Owners(new Pool(shuffled)));

        second.Should().Equal(first, "who owns a key depends on names alone");
        Owners(new Pool(members)).Should().Equal(first);
    }

    [Fact]
    public void Epochs_do_not_matter_so_that_keys_outlive_a_restart()
    {
        var again = Enumerable.Range(0, 7).Select(i => Member(500 - i, id: "instance-" + (i + 1))).ToArray();
        var before = Owners(new Pool(Named(7)));
        Owners(new Pool(again)).Should().Equal(before);
    }

    /// <summary>A member's share of the 16,384 buckets strays by √(p(1−p)/16,384), of the keys by √(p(1−p)/20,000); four of both together: 11 % of a tenth.</summary>
    [Fact]
    public void Keys_spread_evenly_over_equals()
    {
        var counts = Owners(new Pool(Named(10))).GroupBy(o => o).ToDictionary(g => g.Key, g => g.Count());
        counts.Should().HaveCount(10);
        counts.Values.Should().OnlyContain(c => Math.Abs(c - (Keys / 10)) <= 0.13 * Keys / 10);
    }

    [Fact]
    public void Keys_spread_by_weight()
    {
        PoolMember[] members = [Member(1, weight: 1, id: "a"), Member(2, weight: 3, id: "b"), Member(3, weight: 6, id: "c")];
        var counts = Owners(new Pool(members)).GroupBy(o => o).ToDictionary(g => g.Key, g => g.Count());
        counts["a"].Should().BeCloseTo(2_000, 260);
        counts["b"].Should().BeCloseTo(6_000, 400);
        counts["c"].Should().BeCloseTo(12_000, 400);
    }

    [Fact]
    public void When_an_instance_leaves_only_its_keys_move_and_to_all_the_others()
    {
        var members = Named(10);
        var before = Owners(new Pool(members));
        var after = Owners(new Pool(members.Where(m => m.Endpoint.InstanceId != "instance-4")));

        var moved = Enumerable.Range(0, Keys).Where(k => before[k] != after[k]).ToList();
        moved.Should().OnlyContain(k => before[k] == "instance-4");
        moved.Should().HaveCount(before.Count(o => o == "instance-4"));
        moved.GroupBy(k => after[k]).Should().HaveCount(9).And.OnlyContain(g => g.Count() < moved.Count / 4, "no single neighbour takes it all");
    }

    [Fact]
    public void When_an_instance_comes_it_takes_its_share_and_nothing_else_moves()
    {
        var members = Named(10);
        var before = Owners(new Pool(members));
        var after = Owners(new Pool([.. members, Member(11, id: "instance-11")]));

        var moved = Enumerable.Range(0, Keys).Where(k => before[k] != after[k]).ToList();
        moved.Should().OnlyContain(k => after[k] == "instance-11");
        moved.Count.Should().BeCloseTo(Keys / 11, Keys / 11 / 6);
    }

    [Fact]
    public void A_weight_that_rises_draws_keys_to_it_and_moves_no_other()
    {
        var before = Owners(new Pool(Named(5)));
        var members = Named(5);
        members[2].Live.Weight = 2;
        var after = Owners(new Pool(members));

        var moved = Enumerable.Range(0, Keys).Where(k => before[k] != after[k]).ToList();
        moved.Should().NotBeEmpty().And.OnlyContain(k => after[k] == "instance-3");
    }

    [Theory]
    [InlineData(125)]
    [InlineData(200)]
    public void No_instance_has_more_in_flight_than_the_bound_though_all_requests_have_one_key(int percent)
    {
        var members = Named(10);
        var pool = new Pool(members) { BoundPercent = percent };
        var key = RequestKey.OfText("the only one");
        for (var i = 1; i <= 1_000; i++)
        {
            pool.Lives[_policy.Pick(pool, key)].TryReserve().Should().BeTrue();
            members.Max(m => m.Live.InFlight).Should().BeLessThanOrEqualTo((int)Math.Ceiling(percent / 100.0 * i / 10), "after {0} requests", i);
        }
    }

    [Fact]
    public void Within_the_bound_the_owner_serves_and_beyond_it_the_next_choices_in_their_order()
    {
        var pool = new Pool(Named(4)) { BoundPercent = 150 };
        var key = RequestKey.OfText("k");
        var order = new List<string>();
        for (var i = 0; i < 4; i++)
        {
            var picked = _policy.Pick(pool, key);
            order.Add(pool.Members[picked].Endpoint.InstanceId);
            pool.Lives[picked].TryReserve().Should().BeTrue();
        }

        order.Distinct().Count().Should().BeGreaterThan(1);
        // All idle again: the same way.
        foreach (var live in pool.Lives)
        {
            while (live.InFlight > 0)
                live.Release();
        }

        var again = new List<string>();
        for (var i = 0; i < 4; i++)
        {
            var picked = _policy.Pick(pool, key);
            again.Add(pool.Members[picked].Endpoint.InstanceId);
            pool.Lives[picked].TryReserve().Should().BeTrue();
        }

        again.Should().Equal(order);
    }

    [Fact]
    public void A_full_owner_is_passed_over_while_another_has_room_and_picked_when_nobody_has()
    {
        var members = Named(3, cap: 1);
        var pool = new Pool(members) { BoundPercent = 10_000 };
        var picks = new List<int>();
        for (var i = 0; i < 3; i++)
        {
            picks.Add(_policy.Pick(pool, 42));
            pool.Lives[picks[^1]].TryReserve().Should().BeTrue();
        }

        picks.Should().OnlyHaveUniqueItems();
        _policy.Pick(pool, 42).Should().Be(picks[0], "admission finds it full and goes on");
    }

    [Fact]
    public void Requests_without_a_key_are_spread_by_weight()
    {
        var pool = new Pool(Members(1, 2, 5));
        var counts = Count(Enumerable.Range(0, 800).Select(_ => _policy.PickEpoch(pool)));
        counts.Should().Equal(new Dictionary<long, int> { [1] = 100, [2] = 200, [3] = 500 });
    }

    [Fact]
    public void Threads_that_ask_for_the_first_time_together_find_the_same_owners()
    {
        var pool = new Pool(Named(10));
        var seen = new string[8][];
        Together(8, thread => seen[thread] = Owners(pool));
        seen.Should().OnlyContain(owners => owners.SequenceEqual(seen[0]));
    }

    private string[] Owners(Pool pool) =>
        [.. Enumerable.Range(1, Keys).Select(k => pool.Members[_policy.Pick(pool, RequestKey.OfText("user-" + k))].Endpoint.InstanceId)];

    private static PoolMember[] Named(int count, int cap = 1_000_000) => [.. Enumerable.Range(1, count).Select(i => Member(i, cap: cap, id: "instance-" + i))];
}

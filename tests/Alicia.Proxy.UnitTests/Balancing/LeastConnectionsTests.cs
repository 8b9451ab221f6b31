using Alicia.Proxy.Balancing;
using static Alicia.Proxy.UnitTests.Balancing.Pools;

namespace Alicia.Proxy.UnitTests.Balancing;

public sealed class LeastConnectionsTests
{
    private readonly LeastConnections _policy = new();

    [Fact]
    public void The_instance_with_the_fewest_in_flight_is_picked()
    {
        var members = Equal(3);
        Occupy(members[0], 3);
        Occupy(members[1], 1);
        Occupy(members[2], 2);

        _policy.PickEpoch(new Pool(members)).Should().Be(2);
    }

    [Fact]
    public void In_flight_counts_relative_to_weight()
    {
        var members = Members(1, 10);
        Occupy(members[0], 1);
        Occupy(members[1], 9);

        var pool = new Pool(members);
        _policy.PickEpoch(pool).Should().Be(2, "9/10 is less than 1/1");
        Occupy(members[1], 2);
        _policy.PickEpoch(pool).Should().Be(1, "11/10 is more than 1/1");
    }

    [Fact]
    public void Requests_that_stay_fill_instances_by_weight()
    {
        var members = Members(1, 2, 5);
        var pool = new Pool(members);
        for (var i = 0; i < 800; i++)
            pool.Lives[_policy.Pick(pool, 0)].TryReserve().Should().BeTrue();

        members.Select(m => m.Live.InFlight).Should().Equal(100, 200, 500);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(7)]
    public void Ties_are_spread_evenly_and_never_all_to_the_first(int count)
    {
        var pool = new Pool(Equal(count));
        var counts = new int[count];
        for (var pick = 0; pick < 50 * count; pick++)
        {
            counts[_policy.Pick(pool, 0)]++;
            (counts.Max() - counts.Min()).Should().BeLessThanOrEqualTo(1);
        }
    }

    [Fact]
    public void Ties_are_spread_over_rebuilt_pools_too()
    {
        var members = Equal(4);
        var counts = Count(Enumerable.Range(0, 100).Select(_ => _policy.PickEpoch(new Pool(members))));
        (counts.Values.Max() - counts.Values.Min()).Should().BeLessThanOrEqualTo(1);
    }

    [Fact]
    public void A_full_instance_is_passed_over_while_another_has_room()
    {
        var small = Member(1, weight: 1000, cap: 1);
        var busy = Member(2, weight: 1, cap: 100);
        Occupy(small, 1);
        Occupy(busy, 50);

        var pool = new Pool([small, busy]);
        for (var i = 0; i < 10; i++)
            _policy.PickEpoch(pool).Should().Be(2, "1/1000 is less than 50/1, but has no room");
    }

    [Fact]
    public void When_all_are_full_somebody_is_picked_all_the_same()
    {
        var members = new[] { Member(1, cap: 0), Member(2, cap: 0) };
        var pool = new Pool(members);
        Count(Enumerable.Range(0, 10).Select(_ => _policy.PickEpoch(pool))).Values.Should().Equal(5, 5);
    }

    private static void Occupy(PoolMember member, int slots)
    {
        for (var i = 0; i < slots; i++)
            member.Live.TryReserve().Should().BeTrue();
    }
}

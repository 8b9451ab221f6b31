using Alicia.Proxy.Balancing;
using Alicia.Proxy.Registry.Settings;
using Microsoft.Extensions.Time.Testing;
using static Alicia.Proxy.UnitTests.Balancing.Pools;

namespace Alicia.Proxy.UnitTests.Balancing;

/// <summary>Seed 4711, and a clock that stands unless a test moves it.</summary>
public sealed class PeakEwmaTests
{
    private readonly FakeTimeProvider _time = new(DateTimeOffset.UnixEpoch.AddYears(50));
    private readonly PeakEwma _policy;

    public PeakEwmaTests() => _policy = new PeakEwma(new Random(4711), _time);

    [Fact]
    public void Of_two_the_faster_is_picked()
    {
        var pool = Measured((0.010, 1), (0.012, 1));
        Picks(pool, 100).Should().Equal(100, 0);
    }

    [Fact]
    public void In_flight_multiplies_what_a_request_is_expected_to_take()
    {
        var pool = Measured((0.010, 1), (0.030, 1));
        Occupy(pool, 0, 1);
        Picks(pool, 50).Should().Equal([50, 0], "2 x 10 ms is less than 1 x 30 ms");
        Occupy(pool, 0, 2);
        Picks(pool, 50).Should().Equal([0, 50], "4 x 10 ms is more than 1 x 30 ms");
    }

    [Fact]
    public void Twice_the_weight_is_half_the_wait_for_those_in_front()
    {
        var pool = Measured((0.010, 2), (0.010, 1));
        Occupy(pool, 0, 3);
        Occupy(pool, 1, 2);
        Picks(pool, 50).Should().Equal([50, 0], "3/2 in front is less than 2/1");
    }

    [Fact]
    public void A_peak_keeps_requests_away_until_it_has_decayed()
    {
        var pool = Measured((0.010, 1), (0.012, 1));
        pool.Lives[0].RecordResponseTime(0.5);
        Picks(pool, 50).Should().Equal(0, 50);

        // 0.5 s come down to 12 ms in 10 s x ln(0.5/0.012) = 37.3 s; the other's 12 ms are told anew meanwhile.
        _time.Advance(TimeSpan.FromSeconds(38));
        pool.Lives[1].RecordResponseTime(0.012);
        Picks(pool, 50).Should().Equal(50, 0);
    }

    [Fact]
    public void An_instance_that_fails_fast_does_not_look_fast()
    {
        var pool = Measured((0.050, 1), (0.050, 1));
        pool.Lives[0].RecordResponseTime(0.001);
        pool.Lives[0].CountFailure();
        Picks(pool, 50).Should().Equal(0, 50);
    }

    [Fact]
    public void A_newcomer_is_found_out_about_by_one_request_and_not_by_a_flood()
    {
        var pool = Measured((0.010, 1), (double.NaN, 1));
        Picks(pool, 10).Should().Equal([0, 10], "nobody has asked it yet");
        Occupy(pool, 1, 1);
        Picks(pool, 50).Should().Equal([50, 0], "one request is on its way to find out");
        pool.Lives[1].RecordResponseTime(0.001);
        Picks(pool, 50).Should().Equal(0, 50);
    }

    [Fact]
    public void Instances_that_nobody_has_asked_yet_share_by_requests_in_flight()
    {
        var pool = Measured((double.NaN, 1), (double.NaN, 1), (double.NaN, 1));
        for (var i = 0; i < 300; i++)
            pool.Lives[_policy.Pick(pool, 0)].TryReserve().Should().BeTrue();
        pool.Lives.ToArray().Should().OnlyContain(l => l.InFlight >= 90);
    }

    [Fact]
    public void A_full_instance_is_passed_over_for_one_with_room()
    {
        var pool = Measured((0.001, 1), (1, 1));
        pool.Lives[0].MaxConnections = 1;
        Occupy(pool, 0, 1);
        Picks(pool, 50).Should().Equal(0, 50);
    }

    [Fact]
    public void A_pool_that_was_not_prepared_is_balanced_by_requests_in_flight()
    {
        var pool = new Pool(Equal(2));
        Occupy(pool, 0, 2);
        Occupy(pool, 1, 1);
        Picks(pool, 50).Should().Equal(0, 50);
    }

    private Pool Measured(params (double Seconds, int Weight)[] instances)
    {
        var pool = new Pool(Members([.. instances.Select(i => i.Weight)]));
        _policy.Prepare(pool, ServiceSettings.BuiltIn);
        for (var i = 0; i < instances.Length; i++)
        {
            if (!double.IsNaN(instances[i].Seconds))
                pool.Lives[i].RecordResponseTime(instances[i].Seconds);
        }

        return pool;
    }

    private int[] Picks(Pool pool, int picks)
    {
        var counts = new int[pool.Count];
        for (var i = 0; i < picks; i++)
            counts[_policy.Pick(pool, 0)]++;
        return counts;
    }

    private static void Occupy(Pool pool, int index, int slots)
    {
        for (var i = 0; i < slots; i++)
            pool.Lives[index].TryReserve().Should().BeTrue();
    }
}

using Alicia.Proxy.Balancing;
using static Alicia.Proxy.UnitTests.Balancing.Pools;

namespace Alicia.Proxy.UnitTests.Balancing;

/// <summary>The promise of the weighted schedule: at every prefix of k picks each member's count is less than one away from k·w/W.</summary>
public sealed class WeightedScheduleTests
{
    private const int Seed = 20_250_117;
    private const int Sets = 600;
    private const int MaxPicks = 20_000;

    [Fact]
    public void At_every_prefix_of_random_weight_sets_each_count_is_within_one_of_its_share()
    {
        var random = new Random(Seed);
        for (var set = 0; set < Sets; set++)
        {
            var weights = RandomWeights(random);
            var first = set % 2 == 0 ? -1 : random.Next(weights.Length);
            Check(weights, first, Math.Min(MaxPicks, (2 * Period(weights)) + 3));
        }
    }

    [Theory]
    [InlineData(new[] { 1 })]
    [InlineData(new[] { 1000 })]
    [InlineData(new[] { 1, 1 })]
    [InlineData(new[] { 1000, 1 })]
    [InlineData(new[] { 1000, 1, 1, 1 })]
    [InlineData(new[] { 5, 1, 1 })]
    [InlineData(new[] { 997, 991, 983 })]
    [InlineData(new[] { 6, 10, 15 })]
    public void It_holds_for_every_member_forced_to_be_first_and_over_the_end_of_the_period(int[] weights)
    {
        for (var first = -1; first < weights.Length; first++)
        {
            Check(weights, first, (2 * Period(weights)) + 3);
            if (first >= 0)
                new WeightedSchedule(weights, first).At(0).Should().Be(first);
        }
    }

    [Fact]
    public void It_holds_past_the_longest_period_that_is_laid_out()
    {
        // 100 members with a total weight of 70,042 and no common divisor: the generator behind the lock.
        var weights = Enumerable.Range(0, 100).Select(i => 651 + i).ToArray();
        weights[99] = 742;
        Period(weights).Should().Be(70_042).And.BeGreaterThan(65_536);
        Check(weights, first: -1, 75_000);
        Check(weights, first: 57, 75_000);
    }

    [Fact]
    public void Past_that_limit_many_threads_share_one_order()
    {
        var weights = Enumerable.Range(0, 99).Select(_ => 1000).Append(999).ToArray();
        Period(weights).Should().BeGreaterThan(65_536);
        var pool = new Pool(Members(weights));
        var policy = new WeightedRoundRobin();
        var counts = new int[weights.Length];
        Together(4, _ =>
        {
            for (var i = 0; i < 10_000; i++)
                Interlocked.Increment(ref counts[policy.Pick(pool, 0)]);
        });

        Assert(counts, [.. pool.Weights], 40_000);
    }

    [Fact]
    public void The_laid_out_order_is_shared_by_many_threads()
    {
        int[] weights = [7, 5, 3, 2, 1];
        var pool = new Pool(Members(weights));
        var policy = new WeightedRoundRobin();
        var counts = new int[weights.Length];
        Together(8, _ =>
        {
            for (var i = 0; i < 10_001; i++)
                Interlocked.Increment(ref counts[policy.Pick(pool, 0)]);
        });

        Assert(counts, [.. pool.Weights], 80_008);
    }

    private static void Check(int[] weights, int first, long picks)
    {
        var schedule = new WeightedSchedule(weights, first);
        var total = weights.Sum(w => (long)w);
        var counts = new long[weights.Length];
        for (var k = 1L; k <= picks; k++)
        {
            counts[schedule.At(k - 1)]++;
            for (var i = 0; i < weights.Length; i++)
            {
                // |count − k·w/W| < 1, in whole numbers.
                var distance = (counts[i] * total) - (k * weights[i]);
                if (distance >= total || distance <= -total)
                    Xunit.Assert.Fail($"weights [{string.Join(',', weights)}], first {first}: member {i} has {counts[i]} of {k} picks");
            }
        }
    }

    private static void Assert(int[] counts, int[] weights, long picks)
    {
        var total = weights.Sum(w => (long)w);
        counts.Sum(c => (long)c).Should().Be(picks);
        for (var i = 0; i < counts.Length; i++)
            Math.Abs((counts[i] * total) - (picks * weights[i])).Should().BeLessThan(total, "member {0}", i);
    }

    /// <summary>Mixed kinds of sets: any, all equal, primes, one giant among dwarfs, few distinct weights; few members more often than many.</summary>
    private static int[] RandomWeights(Random random)
    {
        int[] primes = [2, 3, 5, 7, 11, 13, 97, 101, 499, 503, 991, 997];
        var members = random.Next(4) == 0 ? random.Next(20, 101) : random.Next(1, 20);
        var kind = random.Next(5);
        var equal = random.Next(1, 1001);
        var giant = random.Next(members);
        return [.. Enumerable.Range(0, members).Select(i => kind switch
        {
            0 => random.Next(1, 1001),
            1 => equal,
            2 => primes[random.Next(primes.Length)],
            3 => i == giant ? 1000 : 1,
            _ => random.Next(1, 4),
        })];
    }

    private static long Period(int[] weights) => weights.Sum(w => (long)w) / weights.Aggregate(Gcd);

    private static int Gcd(int a, int b) => b == 0 ? a : Gcd(b, a % b);
}

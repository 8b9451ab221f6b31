using Alicia.Proxy.Balancing;
using static Alicia.Proxy.UnitTests.Balancing.Pools;

namespace Alicia.Proxy.UnitTests.Balancing;

/// <summary>Chi-square against the odds that the weights give, N = 60,000 picks, seed 4711, at a significance of 0.1 %.</summary>
public sealed class WeightedRandomTests
{
    private const int Picks = 60_000;
    private const int Seed = 4711;

    [Theory]
    [InlineData(new[] { 1, 1, 1, 1, 1, 1 }, 20.515)] // 5 degrees of freedom
    [InlineData(new[] { 1, 2, 3, 4 }, 16.266)] // 3
    [InlineData(new[] { 1000, 10, 1 }, 13.816)] // 2
    [InlineData(new[] { 7, 7 }, 10.828)] // 1
    public void Counts_follow_the_weights(int[] weights, double critical)
    {
        var pool = new Pool(Members(weights));
        var policy = new WeightedRandom(new Random(Seed));
        var counts = new int[weights.Length];
        for (var i = 0; i < Picks; i++)
            counts[policy.Pick(pool, 0)]++;

        var total = weights.Sum();
        var chiSquare = counts.Zip(weights, (count, weight) => Square(count - ((double)Picks * weight / total)) / ((double)Picks * weight / total)).Sum();
        chiSquare.Should().BeLessThan(critical, "counts are {0}", string.Join(", ", counts));
    }

    [Fact]
    public void The_test_itself_sees_counts_that_do_not_follow_the_weights()
    {
        var pool = new Pool(Equal(2));
        var policy = new WeightedRandom(new Random(Seed));
        var first = Enumerable.Range(0, Picks).Count(_ => policy.Pick(pool, 0) == 0);

        var expected = Picks * 11 / 20.0;
        (Square(first - expected) / expected).Should().BeGreaterThan(10.828, "the odds are 1:1 and not 11:9");
    }

    private static double Square(double x) => x * x;
}

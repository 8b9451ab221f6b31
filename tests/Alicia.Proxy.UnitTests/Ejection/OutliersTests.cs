using Alicia.Proxy.Ejection;

namespace Alicia.Proxy.UnitTests.Ejection;

public sealed class OutliersTests
{
    private static readonly OutlierRule Rule = new(1.9, 5, 100);

    [Fact]
    public void One_of_five_that_fails_half_the_time_is_an_outlier()
    {
        Outliers.BySuccessRate(Figures(1, 1, 0.5, 1, 1), Rule, out var mean).Should().Equal(2);
        mean.Should().BeApproximately(0.9, 1e-9);
    }

    [Fact]
    public void One_of_five_that_is_ten_times_as_slow_is_an_outlier() =>
        Outliers.ByLatency(Figures(0.01, 0.011, 0.009, 0.01, 0.1), Rule, out _).Should().Equal(4);

    [Fact]
    public void The_good_side_is_no_fault()
    {
        Outliers.ByLatency(Figures(0.1, 0.1, 0.1, 0.1, 0.001), Rule, out _).Should().BeEmpty();
        Outliers.BySuccessRate(Figures(0.5, 0.5, 0.5, 0.5, 1), Rule, out _).Should().BeEmpty();
    }

    [Fact]
    public void Among_near_equals_nobody_is_far_off_however_small_the_deviation()
    {
        Outliers.BySuccessRate(Figures(1, 1, 1, 1, 1, 1, 1, 1, 1, 0.96), Rule, out _).Should().BeEmpty("4 points are not far");
        Outliers.ByLatency(Figures(0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.019), Rule, out _).Should().BeEmpty("not twice the others' mean");
    }

    [Fact]
    public void All_bad_alike_is_not_the_fault_of_one()
    {
        Outliers.BySuccessRate(Figures(0, 0, 0, 0, 0), Rule, out _).Should().BeEmpty();
        Outliers.ByLatency(Figures(5, 5, 5, 5, 5), Rule, out _).Should().BeEmpty();
    }

    [Fact]
    public void Too_few_instances_or_too_few_requests_say_nothing()
    {
        Outliers.BySuccessRate(Figures(1, 1, 0, 1), Rule, out _).Should().BeEmpty("four are fewer than five");
        InstanceFigure[] thin = [.. Figures(1, 1, 1, 1), new(99, 0)];
        Outliers.BySuccessRate(thin, Rule, out _).Should().BeEmpty("the bad one has 99 requests, and without it there are four");
        InstanceFigure[] one = [.. Figures(1, 1, 1, 1, 1), new(99, 0)];
        Outliers.BySuccessRate(one, Rule, out var mean).Should().BeEmpty();
        mean.Should().Be(1, "who has too few requests does not move the mean");
    }

    [Fact]
    public void Nobody_at_all_is_nobody()
    {
        Outliers.BySuccessRate([], Rule, out var mean).Should().BeEmpty();
        mean.Should().Be(double.NaN);
    }

    /// <summary>One outlier among n stands √(n−1) deviations off, whatever it is: 1.73 among four, 2 among five.</summary>
    [Theory]
    [InlineData(4, false)]
    [InlineData(5, true)]
    [InlineData(20, true)]
    public void The_factor_decides_how_many_it_takes_to_see_one(int count, bool found) =>
        Outliers.BySuccessRate(Figures([0, .. Enumerable.Repeat(1.0, count - 1)]), new OutlierRule(1.9, 3, 1), out _).Any().Should().Be(found);

    /// <summary>1,000 sets of 3 to 30 random figures, seed 4711: who is found is worse than the mean, and never more than half.</summary>
    [Fact]
    public void Never_the_better_half()
    {
        var random = new Random(4711);
        for (var i = 0; i < 1_000; i++)
        {
            var values = Enumerable.Range(0, random.Next(3, 31)).Select(_ => random.NextDouble()).ToArray();
            var found = Outliers.BySuccessRate(Figures(values), new OutlierRule(0.1 + (2 * random.NextDouble()), 3, 1), out var mean);
            found.All(at => values[at] < mean - Outliers.LeastSuccessGap + 1e-12).Should().BeTrue();
            found.Count.Should().BeLessThan(values.Length);
        }
    }

    private static InstanceFigure[] Figures(params double[] values) => [.. values.Select(v => new InstanceFigure(1_000, v))];
}

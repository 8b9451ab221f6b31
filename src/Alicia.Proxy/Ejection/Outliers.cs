namespace Alicia.Proxy.Ejection;

/// <summary>When one of several instances is an outlier. The ranges are checked where the configuration is read.</summary>
/// <param name="StdevFactor">Standard deviations from the mean; above 0.</param>
/// <param name="MinimumHosts">Instances with enough requests that it takes to compare; 3 or more.</param>
/// <param name="MinimumRequests">Requests within the interval from which an instance's figure counts; 1 or more.</param>
internal readonly record struct OutlierRule(double StdevFactor, int MinimumHosts, int MinimumRequests);

/// <summary>What an instance did within one interval.</summary>
/// <param name="Requests">What the figure was made of.</param>
/// <param name="Value">Share of attempts that succeeded, 0–1, or mean response time in seconds.</param>
internal readonly record struct InstanceFigure(long Requests, double Value);

/// <summary>
/// Finds instances that are far worse than their peers. Numbers in, a verdict out; no clock, no state.
/// </summary>
/// <remarks>
/// As Envoy does it: the figures of all instances with enough requests give a mean and a standard deviation (of them all, the outlier too), and whoever is more than k deviations on
/// the bad side of the mean is out. One outlier among n is √(n−1) deviations away at most, so k = 1.9 finds one in five. Deviations alone would throw out the worst of a set of near
/// equals, 99.9 % among 100 %; so an outlier must be far off in absolute terms too.
/// </remarks>
internal static class Outliers
{
    /// <summary>How far below the mean a success rate must be at least.</summary>
    public const double LeastSuccessGap = 0.05;

    /// <summary>How many times the mean of the others a response time must be at least.</summary>
    public const double LeastLatencyRatio = 2;

    /// <summary>Positions of the instances whose success rate is an outlier.</summary>
    /// <param name="figures">Each instance's attempts, and the share of them that succeeded.</param>
    /// <param name="rule">What counts as far.</param>
    /// <param name="mean">Mean of all that counted; NaN when none did.</param>
    public static List<int> BySuccessRate(IReadOnlyList<InstanceFigure> figures, OutlierRule rule, out double mean) =>
        Find(figures, rule, out mean, static (value, all, _) => value < all.Mean - all.Deviations && value <= all.Mean - LeastSuccessGap);

    /// <summary>Positions of the instances whose response time is an outlier.</summary>
    /// <param name="figures">Each instance's answers, and their mean response time in seconds.</param>
    /// <param name="rule">What counts as far.</param>
    /// <param name="mean">Mean of all that counted; NaN when none did.</param>
    public static List<int> ByLatency(IReadOnlyList<InstanceFigure> figures, OutlierRule rule, out double mean) =>
        Find(figures, rule, out mean, static (value, all, others) => value > all.Mean + all.Deviations && value >= others * LeastLatencyRatio);

    private static List<int> Find(IReadOnlyList<InstanceFigure> figures, OutlierRule rule, out double mean, Func<double, (double Mean, double Deviations), double, bool> isFar)
    {
        var counted = Enumerable.Range(0, figures.Count).Where(i => figures[i].Requests >= rule.MinimumRequests).ToList();
        var average = counted.Count == 0 ? double.NaN : counted.Average(i => figures[i].Value);
        mean = average;
        if (counted.Count < rule.MinimumHosts)
            return [];
        var sum = counted.Sum(i => figures[i].Value);
        var deviations = rule.StdevFactor * Math.Sqrt(counted.Average(i => Math.Pow(figures[i].Value - average, 2)));
        return [.. counted.Where(i => isFar(figures[i].Value, (average, deviations), (sum - figures[i].Value) / (counted.Count - 1)))];
    }
}

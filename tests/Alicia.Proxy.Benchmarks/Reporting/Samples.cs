using System.Globalization;

namespace Alicia.Proxy.Benchmarks.Reporting;

/// <summary>Repeated measurements of one thing, told as a median with its spread: a mean would follow the one round that was disturbed.</summary>
internal sealed class Samples
{
    private readonly double[] _sorted;

    public Samples(IEnumerable<double> values)
    {
        _sorted = [.. values.Order()];
        if (_sorted.Length == 0)
            throw new ArgumentException("no measurement", nameof(values));
    }

    public int Count => _sorted.Length;

    public double Min => _sorted[0];

    public double Max => _sorted[^1];

    public double Median => (_sorted[(_sorted.Length - 1) / 2] + _sorted[_sorted.Length / 2]) / 2;

    /// <summary>The smallest value that a share of <paramref name="p"/> (0–1) does not pass.</summary>
    public double Quantile(double p) => _sorted[Math.Clamp((int)Math.Ceiling(p * _sorted.Length) - 1, 0, _sorted.Length - 1)];

    /// <summary>Median and range, such as <c>12.3 (11.9–13.0)</c>.</summary>
    public string Spread(string format) => $"{Text(Median, format)} ({Text(Min, format)}–{Text(Max, format)})";

    public static string Text(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}

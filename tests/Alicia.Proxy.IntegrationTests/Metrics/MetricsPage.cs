using System.Globalization;
using System.Text.RegularExpressions;

namespace Alicia.Proxy.IntegrationTests.Metrics;

/// <summary>One scrape, taken apart.</summary>
internal sealed partial class MetricsPage
{
    private MetricsPage(string text)
    {
        Text = text;
        Types = text.Split('\n').Where(l => l.StartsWith("# TYPE ", StringComparison.Ordinal)).Select(l => l.Split(' ')).ToDictionary(p => p[2], p => p[3]);
        Samples = [.. text.Split('\n').Where(l => l.Length > 0 && l[0] != '#').Select(Parse)];
    }

    public string Text { get; }

    /// <summary>Metric → <c>counter</c>, <c>gauge</c> or <c>histogram</c>.</summary>
    public IReadOnlyDictionary<string, string> Types { get; }

    public IReadOnlyList<(string Name, IReadOnlyDictionary<string, string> Labels, double Value)> Samples { get; }

    public static async Task<MetricsPage> ReadAsync(HttpClient api) => new(await api.GetStringAsync("/metrics"));

    /// <summary>Samples of a metric that have these labels.</summary>
    public IEnumerable<(IReadOnlyDictionary<string, string> Labels, double Value)> Of(string name, params (string Label, string Value)[] labels) =>
        Samples.Where(s => s.Name == name && labels.All(l => s.Labels.GetValueOrDefault(l.Label) == l.Value)).Select(s => (s.Labels, s.Value));

    /// <summary>Their sum.</summary>
    public double Sum(string name, params (string Label, string Value)[] labels) => Of(name, labels).Sum(s => s.Value);

    /// <summary>What a service's requests came to: <c>instance code outcome</c> → count; zeros left out.</summary>
    public IReadOnlyDictionary<string, double> Requests(string service) => Of("alicia_requests_total", ("service", service)).Where(s => s.Value > 0)
        .ToDictionary(s => $"{s.Labels.GetValueOrDefault("instance_id", "-")} {s.Labels["code"]} {s.Labels["outcome"]}", s => s.Value);

    private static (string, IReadOnlyDictionary<string, string>, double) Parse(string line)
    {
        var match = SamplePattern().Match(line);
        match.Success.Should().BeTrue(line);
        return (match.Groups[1].Value, LabelPattern().Matches(match.Groups[2].Value).ToDictionary(l => l.Groups[1].Value, l => l.Groups[2].Value),
            double.Parse(match.Groups[3].Value, CultureInfo.InvariantCulture));
    }

    [GeneratedRegex(@"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")]
    private static partial Regex SamplePattern();

    [GeneratedRegex("([a-z_]+)=\"((?:[^\"\\\\]|\\\\.)*)\"")]
    private static partial Regex LabelPattern();
}

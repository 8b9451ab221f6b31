using System.Text.Json;
using System.Text.RegularExpressions;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Metrics;

/// <summary>What documentation, dashboard and rules speak of is what a proxy that runs has to say.</summary>
public sealed partial class DeployedObservationTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    private static readonly string Rules = Path.Combine(Programs.Root, "deploy", "prometheus");
    private static readonly string Dashboard = Path.Combine(Programs.Root, "deploy", "grafana", "alicia-proxy.json");

    [Fact]
    public async Task The_table_of_metrics_is_the_page()
    {
        var page = await PageAsync();
        var table = TableRowPattern().Matches(await File.ReadAllTextAsync(Path.Combine(Programs.Root, "docs", "metrics.md")))
            .ToDictionary(m => m.Groups[1].Value, m => (Type: m.Groups[2].Value, Labels: LabelPattern().Matches(m.Groups[3].Value).Select(l => l.Groups[1].Value).Order().ToArray()));

        table.Keys.Should().BeEquivalentTo(page.Types.Keys.Where(n => !n.StartsWith("dotnet_", StringComparison.Ordinal)));
        foreach (var (name, row) in table)
        {
            page.Types[name].Should().Be(row.Type, name);
            var labels = page.Samples.Where(s => (row.Type == "histogram" ? s.Name == name + "_count" : s.Name == name)).SelectMany(s => s.Labels.Keys).Distinct().Order();
            labels.Should().Equal(row.Labels, name);
        }
    }

    [Fact]
    public async Task Every_query_of_the_dashboard_names_metrics_that_exist()
    {
        var page = await PageAsync();
        var known = page.Samples.Select(s => s.Name).ToHashSet();
        using var dashboard = JsonDocument.Parse(await File.ReadAllTextAsync(Dashboard));
        var queries = Queries(dashboard.RootElement).ToArray();

        queries.Should().HaveCountGreaterThan(20);
        foreach (var query in queries)
        {
            var names = MetricPattern().Matches(query).Select(m => m.Value).ToArray();
            names.Should().NotBeEmpty(query);
            names.Should().OnlyContain(n => known.Contains(n), query);
        }
    }

    [Fact]
    public async Task Rules_and_alerts_name_metrics_that_exist()
    {
        var page = await PageAsync();
        var known = page.Samples.Select(s => s.Name).ToHashSet();
        var recorded = RecordPattern().Matches(await File.ReadAllTextAsync(Path.Combine(Rules, "recording.yml"))).Select(m => m.Groups[1].Value).ToHashSet();
        recorded.Should().HaveCountGreaterThan(4);
        foreach (var file in new[] { "recording.yml", "alerts.yml" })
        {
            var text = string.Join('\n', (await File.ReadAllLinesAsync(Path.Combine(Rules, file))).Where(l => !l.TrimStart().StartsWith('#')));
            RecordedPattern().Matches(text).Select(m => m.Value).Should().OnlyContain(n => recorded.Contains(n));
            MetricPattern().Matches(RecordedPattern().Replace(text, "").Replace("alicia_proxy", "", StringComparison.Ordinal).Replace("name: alicia_services", "", StringComparison.Ordinal)
                .Replace("name: alicia_instances", "", StringComparison.Ordinal)).Select(m => m.Value).Should().OnlyContain(n => known.Contains(n)).And.HaveCountGreaterThan(4);
        }
    }

    [NeedsPackageTheory(PrometheusServer.Package)]
    [InlineData("check", "config", "prometheus.yml")]
    [InlineData("check", "rules", "recording.yml", "alerts.yml")]
    [InlineData("test", "rules", "rules_test.yml")]
    public async Task Promtool_accepts_what_is_deployed(params string[] arguments)
    {
        await using var promtool = ChildProcess.Start("promtool", arguments, Rules);
        (await promtool.WaitForExitAsync()).Should().Be(0, promtool.Transcript);
    }

    [Fact]
    public async Task Every_alert_is_unit_tested()
    {
        var tested = AlertNamePattern().Matches(await File.ReadAllTextAsync(Path.Combine(Rules, "rules_test.yml"))).Select(m => m.Groups[1].Value);
        AlertPattern().Matches(await File.ReadAllTextAsync(Path.Combine(Rules, "alerts.yml"))).Select(m => m.Groups[1].Value).Should().BeSubsetOf(tested).And.NotBeEmpty();
    }

    /// <summary>A page after some of everything.</summary>
    private async Task<MetricsPage> PageAsync()
    {
        var service = await running.ServiceAsync(2);
        await running.BackendOfAsync(service);
        using (await running.Registry.SetCircuitAsync(service, "a", "open")) { }
        using (await running.Http.GetAsync("/nobody/x")) { }
        return await MetricsPage.ReadAsync(running.Proxy.Api);
    }

    private static IEnumerable<string> Queries(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => element.EnumerateObject().SelectMany(p => p.Name is "expr" or "query" && p.Value.ValueKind == JsonValueKind.String && p.Value.GetString() is not "prometheus"
            ? [p.Value.GetString()!]
            : Queries(p.Value)),
        JsonValueKind.Array => element.EnumerateArray().SelectMany(Queries),
        _ => [],
    };

    [GeneratedRegex(@"^\| `([a-z_]+)`(?: \*i\*)? \| (counter|gauge|histogram) \| ([^|]*)\|", RegexOptions.Multiline)]
    private static partial Regex TableRowPattern();

    [GeneratedRegex("`([a-z_]+)`")]
    private static partial Regex LabelPattern();

    [GeneratedRegex(@"\b(?:alicia|process|dotnet)_[a-z_]+")]
    private static partial Regex MetricPattern();

    [GeneratedRegex(@"record: (\S+)")]
    private static partial Regex RecordPattern();

    [GeneratedRegex(@"\b[a-z_]+:alicia_[a-z_]+:[a-z0-9_]+")]
    private static partial Regex RecordedPattern();

    [GeneratedRegex(@"alert: (\S+)")]
    private static partial Regex AlertPattern();

    [GeneratedRegex(@"alertname: (\S+)")]
    private static partial Regex AlertNamePattern();
}

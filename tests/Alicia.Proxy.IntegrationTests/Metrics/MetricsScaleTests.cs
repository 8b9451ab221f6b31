using System.Diagnostics;
using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Harness;
using Xunit.Abstractions;

namespace Alicia.Proxy.IntegrationTests.Metrics;

/// <summary>Many instances, and many that come and go.</summary>
[Collection(HeavyTests.Name)]
public sealed class MetricsScaleTests(ITestOutputHelper output)
{
    /// <summary>The least number of instances that the proxy's exporter makes room for.</summary>
    private const int Limit = 2000;

    [Fact]
    public async Task Ten_thousand_instances_are_scraped_within_a_second()
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { ConfigJson = Configuration(services: 100, instances: 100, generation: 0) });
        var times = new List<double>();
        var bytes = 0;
        for (var i = 0; i < 7; i++)
        {
            var startedAt = Stopwatch.GetTimestamp();
            var page = await proxy.Api.GetByteArrayAsync("/metrics");
            times.Add(Stopwatch.GetElapsedTime(startedAt).TotalSeconds);
            bytes = page.Length;
        }

        output.WriteLine($"10,000 instances, {bytes / 1e6:0.0} MB: {string.Join(", ", times.Select(t => $"{t * 1000:0} ms"))}");
        var last = await MetricsPage.ReadAsync(proxy.Api);
        last.Of("alicia_instance_up").Should().HaveCount(10_000);
        last.Text.Should().NotContain("overflow");
        times.Order().ElementAt(times.Count / 2).Should().BeLessThan(1);
    }

    [Fact]
    public async Task After_churn_of_three_times_the_limit_the_page_lists_exactly_who_is_there()
    {
        const int AtOnce = 1500;
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions
        {
            ConfigJson = Configuration(1, AtOnce, generation: 0),
            Arguments = ["--Registry:Store=memory", "--Defaults:Drain:Timeout=00:00:00"],
        });
        for (var generation = 0; generation * AtOnce <= 3 * Limit; generation++)
        {
            var expected = Enumerable.Range(0, AtOnce).Select(i => Id(generation, i)).ToHashSet();
            await proxy.WriteConfigAsync(Configuration(1, AtOnce, generation));

            var page = await Eventually.Until("the page lists this generation alone", () => MetricsPage.ReadAsync(proxy.Api),
                p => p.Of("alicia_instance_up").Select(s => s.Labels["instance_id"]).ToHashSet().SetEquals(expected), TimeSpan.FromSeconds(60));

            page.Text.Should().NotContain("overflow");
            page.Of("alicia_circuit_state").Should().HaveCount(3 * AtOnce);
            page.Of("alicia_requests_total", ("code", "2xx"), ("service", "s0")).Should().HaveCount(AtOnce);
        }
    }

    private static string Id(int generation, int i) => $"g{generation}-{i}";

    private static string Configuration(int services, int instances, int generation) => JsonSerializer.Serialize(new
    {
        Services = Enumerable.Range(0, services).ToDictionary(s => $"s{s}", _ => new
        {
            Instances = Enumerable.Range(0, instances).Select(i => new { InstanceId = Id(generation, i), Host = "127.0.0.1", Port = 1 + ((generation * 1500) + i) % 60_000 }),
        }),
    });
}

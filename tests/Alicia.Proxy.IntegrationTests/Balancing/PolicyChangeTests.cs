using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Balancing;

/// <summary>Algorithms, weights and caps change while requests run: none is lost, none fails, none comes twice.</summary>
public sealed class PolicyChangeTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    [Fact]
    public async Task Changes_under_load_lose_no_request_and_send_none_twice()
    {
        string[] algorithms = ["least_connections", "power_of_two_choices", "weighted_round_robin", "peak_ewma", "random", "consistent_hash", "round_robin"];
        var service = await running.ServiceAsync(4);

        var load = Load.Start(running.Proxy.Address, clients: 16, _ => $"/{service}/status/204");
        for (var round = 0; round < 60; round++)
        {
            using var algorithm = await running.Registry.PatchServiceAsync(service, new { slow_start = 1 + (round % 3), algorithm = algorithms[round % algorithms.Length], max_connections = 50 + round });
            var instance = running.Backends[round % 4].Name;
            using var limits = await running.Registry.PatchInstanceAsync(service, instance, new { weight = 1 + (round * 37 % 1000), max_connections = 16 + round });
            (await RegistryApi.DocumentOfAsync(algorithm)).GetProperty("algorithm").GetString().Should().Be(algorithms[round % algorithms.Length]);
            limits.IsSuccessStatusCode.Should().BeTrue();
            await load.MoreAsync(20);
        }
        var report = await load.StopAsync();

        report.Failures.Should().BeEmpty();
        report.Answered.Should().Be(report.Sent);
        (await running.SeenAsync()).Should().Be(report.Sent);
        var stats = await running.Registry.GetJsonAsync($"/stats/{service}");
        stats.GetProperty("total_requests").GetInt64().Should().Be(report.Sent);
    }

    [Fact]
    public async Task An_algorithm_counts_from_the_reply_on()
    {
        var service = await running.ServiceAsync(2, extra: i => new { weight = i == 0 ? 9 : 1 });
        (await CountAsync(service, 20)).Should().Be(10);

        await AlgorithmAsync(service, "weighted_round_robin");
        (await CountAsync(service, 20)).Should().Be(18);
        await AlgorithmAsync(service, "round_robin");
        (await CountAsync(service, 20)).Should().Be(10);
    }

    private async Task AlgorithmAsync(string service, string algorithm)
    {
        using var answer = await running.Registry.PatchServiceAsync(service, new { algorithm });
        await RegistryApi.DocumentOfAsync(answer);
    }

    /// <summary>How many of so many requests the first instance gets.</summary>
    private async Task<int> CountAsync(string service, int requests)
    {
        var first = 0;
        for (var i = 0; i < requests; i++)
            first += await running.BackendOfAsync(service) == "a" ? 1 : 0;
        return first;
    }
}

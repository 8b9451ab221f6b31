using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Balancing;

/// <summary>Shares by weight, within one request at every prefix of a sequential run.</summary>
public sealed class WeightedRoundRobinTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    private static readonly object _weighted = new { algorithm = "weighted_round_robin" };

    [Theory]
    [InlineData(1, 1)]
    [InlineData(5, 1)]
    [InlineData(3, 2, 1)]
    [InlineData(7, 1, 1, 1)]
    [InlineData(1000, 1)]
    [InlineData(13, 7, 3, 2)]
    public async Task Every_prefix_is_within_one_request_of_its_share(params int[] weights)
    {
        var service = await running.ServiceAsync(weights.Length, _weighted, i => new { weight = weights[i] });

        await SendByWeightAsync(service, 150, weights);
    }

    [Fact]
    public async Task Weights_that_an_operator_changes_count_from_the_reply_on()
    {
        var service = await running.ServiceAsync(3, _weighted);
        await SendByWeightAsync(service, 30, 1, 1, 1);

        await WeighAsync(service, "a", 4);
        await SendByWeightAsync(service, 60, 4, 1, 1);
        await WeighAsync(service, "c", 5);
        await SendByWeightAsync(service, 100, 4, 1, 5);
        await WeighAsync(service, "a", 1);
        await WeighAsync(service, "c", 1);
        await SendByWeightAsync(service, 30, 1, 1, 1);
    }

    [Fact]
    public async Task Concurrent_clients_get_the_exact_shares_of_whole_periods()
    {
        var service = await running.ServiceAsync(3, _weighted, i => new { weight = i + 1 });

        var report = await Load.RunAsync(running.Proxy.Address, clients: 16, requests: 1800, _ => $"/{service}/status/204");

        report.Failures.Should().BeEmpty();
        report.ByBackend.Should().Equal(new Dictionary<string, int> { ["a"] = 300, ["b"] = 600, ["c"] = 900 });
    }

    private async Task WeighAsync(string service, string instance, int weight)
    {
        using var answer = await running.Registry.PatchInstanceAsync(service, instance, new { weight });
        (await RegistryApi.DocumentOfAsync(answer)).GetProperty("weight").GetInt32().Should().Be(weight);
    }

    private async Task SendByWeightAsync(string service, int requests, params int[] weights)
    {
        var counts = Shares.None(running, weights.Length);
        var total = (double)weights.Sum();
        for (var sent = 1; sent <= requests; sent++)
        {
            counts[await running.BackendOfAsync(service)]++;
            for (var i = 0; i < weights.Length; i++)
            {
                var share = sent * weights[i] / total;
                ((double)counts[running.Backends[i].Name]).Should()
                    .BeGreaterThan(share - 1, Shares.Text(counts)).And.BeLessThan(share + 1, Shares.Text(counts));
            }
        }
    }
}

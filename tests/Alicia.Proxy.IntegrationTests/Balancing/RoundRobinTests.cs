using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Balancing;

/// <summary>Each instance in turn: counts differ by at most one at every prefix, also across changes of the set.</summary>
public sealed class RoundRobinTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task Counts_differ_by_at_most_one_at_every_prefix(int instances)
    {
        // Weights are for others.
        var service = await running.ServiceAsync(instances, extra: i => new { weight = i + 1 });
        var counts = Shares.None(running, instances);

        for (var sent = 1; sent <= 100; sent++)
        {
            counts[await running.BackendOfAsync(service)]++;
            (counts.Values.Max() - counts.Values.Min()).Should().BeLessThanOrEqualTo(1, $"of {sent} requests: {Shares.Text(counts)}");
        }
    }

    [Theory]
    [InlineData(3, 3000)]
    [InlineData(4, 1001)]
    public async Task Concurrent_clients_share_one_rotation(int instances, int requests)
    {
        var service = await running.ServiceAsync(instances);

        var report = await Load.RunAsync(running.Proxy.Address, clients: 16, requests, _ => $"/{service}/status/204");

        report.Failures.Should().BeEmpty();
        report.Answered.Should().Be(requests);
        report.ByBackend.Should().HaveCount(instances);
        (report.ByBackend.Values.Max() - report.ByBackend.Values.Min()).Should().BeLessThanOrEqualTo(1, Shares.Text(report.ByBackend));
        (await running.SeenAsync()).Should().Be(requests);
    }

    [Fact]
    public async Task An_instance_that_joins_or_leaves_takes_its_turn_at_once_and_disturbs_nobody_elses()
    {
        var service = await running.ServiceAsync(2);
        await SendEvenlyAsync(service, 7, "a", "b");

        await running.Registry.RegisterActiveAsync(service, running.Backends[2]);
        await SendEvenlyAsync(service, 8, "a", "b", "c");
        using (await running.Registry.DeleteInstanceAsync(service, "a")) { }
        await SendEvenlyAsync(service, 9, "b", "c");
        await running.Registry.RegisterActiveAsync(service, running.Backends[0]);
        await running.Registry.RegisterActiveAsync(service, running.Backends[3]);
        await SendEvenlyAsync(service, 21, "a", "b", "c", "d");
    }

    [Fact]
    public async Task A_registration_that_changes_nothing_keeps_the_place_in_the_rotation()
    {
        var service = await running.ServiceAsync(3);
        var order = new List<string>();

        for (var i = 0; i < 12; i++)
        {
            order.Add(await running.BackendOfAsync(service));
            using var renewal = await running.Registry.RegisterAsync(service, running.Backends[i % 3]);
            renewal.StatusCode.Should().Be(System.Net.HttpStatusCode.OK);
        }

        order.Should().Equal(Enumerable.Range(0, 12).Select(i => order[i % 3]));
        order.Take(3).Should().OnlyHaveUniqueItems();
    }

    /// <summary>Sends so many and checks, among the named, every prefix.</summary>
    private async Task SendEvenlyAsync(string service, int requests, params string[] backends)
    {
        var counts = backends.ToDictionary(name => name, _ => 0);
        for (var sent = 1; sent <= requests; sent++)
        {
            counts[await running.BackendOfAsync(service)]++;
            (counts.Values.Max() - counts.Values.Min()).Should().BeLessThanOrEqualTo(1, $"of {sent} requests: {Shares.Text(counts)}");
        }
    }
}

/// <summary>Counts by backend, for failure messages and expectations.</summary>
internal static class Shares
{
    public static Dictionary<string, int> None(RunningProxy running, int instances) => running.Backends.Take(instances).ToDictionary(b => b.Name, _ => 0);

    public static string Text(IEnumerable<KeyValuePair<string, int>> counts) => string.Join(", ", counts.Select(c => $"{c.Key} {c.Value}"));
}

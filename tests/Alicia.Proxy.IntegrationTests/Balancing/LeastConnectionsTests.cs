using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Balancing;

/// <summary>The instance with the fewest requests in flight for its weight; ties go round.</summary>
public sealed class LeastConnectionsTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    private static readonly object _least = new { algorithm = "least_connections" };

    [Theory]
    [InlineData(new[] { 1, 1, 1 }, new[] { 4, 4, 4 })]
    [InlineData(new[] { 3, 1 }, new[] { 9, 3 })]
    [InlineData(new[] { 1, 2, 3 }, new[] { 2, 4, 6 })]
    public async Task Held_requests_spread_by_weight(int[] weights, int[] expected)
    {
        var service = await running.ServiceAsync(weights.Length, _least, i => new { weight = weights[i] });
        var held = await HoldAsync(service, expected.Sum());

        var counts = await InFlightAsync(weights.Length);

        counts.Should().Equal(expected);
        await ReleaseAsync(held);
    }

    [Fact]
    public async Task Who_is_busy_gets_nothing_until_the_others_are_as_busy()
    {
        var service = await running.ServiceAsync(2, _least);
        var held = await HoldAsync(service, 2);
        held.AddRange(await HoldAsync(service, 4));
        (await InFlightAsync(2)).Should().Equal(3, 3);

        await running.Backends[0].ReleaseAsync("gate");
        await running.Backends[0].UntilHeldAsync("gate", 0);
        await IdleAsync(service, "a");
        for (var i = 0; i < 10; i++)
            (await running.BackendOfAsync(service)).Should().Be("a");
        held.AddRange(await HoldAsync(service, 3));

        (await InFlightAsync(2)).Should().Equal(3, 3);
        await ReleaseAsync(held);
    }

    [Fact]
    public async Task Idle_instances_take_turns()
    {
        var service = await running.ServiceAsync(4, _least);
        var counts = Shares.None(running, 4);

        for (var sent = 1; sent <= 80; sent++)
        {
            counts[await running.BackendOfAsync(service)]++;
            (counts.Values.Max() - counts.Values.Min()).Should().BeLessThanOrEqualTo(1, $"of {sent} requests: {Shares.Text(counts)}");
        }
    }

    [Fact]
    public async Task An_instance_that_joins_takes_what_comes_until_it_is_as_busy()
    {
        var service = await running.ServiceAsync(2, _least);
        var held = await HoldAsync(service, 6);
        await running.Registry.RegisterActiveAsync(service, running.Backends[2]);

        held.AddRange(await HoldAsync(service, 3));

        (await InFlightAsync(3)).Should().Equal(3, 3, 3);
        await ReleaseAsync(held);
    }

    /// <summary>Holds so many more requests, one after the other, so that each pick sees the ones before.</summary>
    private async Task<List<Task<HttpResponseMessage>>> HoldAsync(string service, int count)
    {
        var before = (await InFlightAsync(running.Backends.Count)).Sum();
        var held = new List<Task<HttpResponseMessage>>();
        for (var i = 1; i <= count; i++)
        {
            held.Add(running.Http.GetAsync($"/{service}/hold/gate"));
            await Eventually.Until($"{before + i} requests are held", () => InFlightAsync(running.Backends.Count), counts => counts.Sum() == before + i);
        }
        return held;
    }

    private async Task ReleaseAsync(List<Task<HttpResponseMessage>> held)
    {
        foreach (var backend in running.Backends)
            await backend.ReleaseAsync("gate");
        foreach (var answer in await Task.WhenAll(held))
            using (answer)
                answer.IsSuccessStatusCode.Should().BeTrue();
    }

    private Task IdleAsync(string service, string instance) => running.Registry.UntilAsync(
        $"{instance} is idle", $"/services/{service}/{instance}", document => document.GetProperty("active_connections").GetInt32() == 0);

    private async Task<int[]> InFlightAsync(int instances) =>
        [.. (await Task.WhenAll(running.Backends.Take(instances).Select(b => b.StatsAsync()))).Select(stats => stats.Held.GetValueOrDefault("gate"))];
}

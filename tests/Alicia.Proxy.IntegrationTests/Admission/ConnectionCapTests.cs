using System.Net;
using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Admission;

/// <summary>An instance never has more requests at once than its cap; who finds all of them full is told so.</summary>
public sealed class ConnectionCapTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    [Theory]
    [InlineData(1, 1, "round_robin")]
    [InlineData(1, 2, "round_robin")]
    [InlineData(1, 7, "least_connections")]
    [InlineData(3, 1, "least_connections")]
    [InlineData(3, 2, "random")]
    [InlineData(3, 7, "weighted_round_robin")]
    public async Task The_cap_is_never_passed_at_the_backend(int instances, int cap, string algorithm)
    {
        const int Requests = 3000;
        var service = await running.ServiceAsync(instances, new { algorithm }, _ => new { max_connections = cap });

        var report = await Load.RunAsync(running.Proxy.Address, clients: 64, Requests, n => $"/{service}/{(n % 3 == 0 ? "delay?ms=1" : "status/204")}");

        var seen = await Task.WhenAll(running.Backends.Take(instances).Select(b => b.StatsAsync()));
        seen.Should().OnlyContain(stats => stats.MaxInFlight <= cap);
        report.ByStatus.Should().ContainKey(503, "the cap was the limit, not the clients");
        report.ByStatus.Keys.Should().BeSubsetOf([200, 204, 503]);
        report.ByStatus.Values.Sum().Should().Be(Requests);
        report.Answered.Should().Be((int)seen.Sum(stats => stats.Requests));
        var counters = await running.Registry.GetJsonAsync($"/stats/{service}");
        counters.GetProperty("total_requests").GetInt64().Should().Be(Requests);
        counters.GetProperty("rejected_requests").GetInt64().Should().Be(Requests - report.Answered);
    }

    [Theory]
    [InlineData(2, "round_robin")]
    [InlineData(24, "round_robin")]
    [InlineData(24, "least_connections")]
    [InlineData(24, "random")]
    public async Task As_many_clients_as_slots_are_never_refused(int instances, string algorithm)
    {
        var service = await running.ServiceAsync(0, new { algorithm });
        for (var i = 0; i < instances; i++)
            await running.Registry.RegisterActiveAsync(service, running.Backends[i % 4], $"i{i}", new { max_connections = 1 });

        var report = await Load.RunAsync(running.Proxy.Address, clients: instances, requests: 8000, _ => $"/{service}/status/204");

        report.Failures.Should().BeEmpty("at any moment there are as many slots as requests");
        report.Answered.Should().Be(8000);
    }

    [Theory]
    [InlineData("round_robin")]
    [InlineData("least_connections")]
    [InlineData("weighted_round_robin")]
    [InlineData("random")]
    public async Task A_full_instance_is_skipped(string algorithm)
    {
        var service = await running.ServiceAsync(3, new { algorithm }, _ => new { max_connections = 1 });
        var (held, full) = await HoldOneAsync(service);

        for (var i = 0; i < 30; i++)
            (await running.BackendOfAsync(service)).Should().NotBe(full.Name);

        await full.ReleaseAsync("gate");
        (await held).Dispose();
    }

    [Fact]
    public async Task When_all_are_full_the_answer_says_so_and_a_free_slot_is_used_at_once()
    {
        var service = await running.ServiceAsync(2, extra: _ => new { max_connections = 1 });
        var (first, firstFull) = await HoldOneAsync(service);
        var (second, secondFull) = await HoldOneAsync(service);

        using (var refused = await running.Http.GetAsync($"/{service}/x"))
        {
            refused.StatusCode.Should().Be(HttpStatusCode.ServiceUnavailable);
            refused.Headers.RetryAfter!.Delta.Should().BeGreaterThan(TimeSpan.Zero);
            refused.Headers.GetValues("Proxy-Status").Should().Equal("alicia; error=connection_limit_reached");
            refused.Content.Headers.ContentType!.ToString().Should().Be("application/problem+json");
            JsonElement.Parse(await refused.Content.ReadAsStringAsync()).GetProperty("status").GetInt32().Should().Be(503);
        }
        await firstFull.ReleaseAsync("gate");
        (await first).Dispose();
        (await running.BackendOfAsync(service)).Should().Be(firstFull.Name);

        await secondFull.ReleaseAsync("gate");
        (await second).Dispose();
    }

    [Fact]
    public async Task A_cap_changes_at_run_time_and_cuts_nobody()
    {
        var service = await running.ServiceAsync(1, extra: _ => new { max_connections = 3 });
        var held = new List<Task<HttpResponseMessage>>();
        for (var i = 0; i < 3; i++)
            held.Add((await HoldOneAsync(service)).Held);
        (await StatusAsync(service)).Should().Be(503);

        await CapAsync(service, 4);
        held.Add((await HoldOneAsync(service)).Held);
        (await StatusAsync(service)).Should().Be(503);
        await CapAsync(service, 2);
        await ReleaseAsync(held, service, 2);
        (await StatusAsync(service)).Should().Be(503, "two are still held");
        await ReleaseAsync(held, service, 1);
        (await StatusAsync(service)).Should().Be(204);

        await ReleaseAsync(held, service, 1);
        held.Should().BeEmpty();
    }

    [Fact]
    public async Task The_services_cap_holds_for_instances_without_one_of_their_own()
    {
        var service = await running.ServiceAsync(2, new { max_connections = 2 }, i => i == 0 ? null : new { max_connections = 1 });

        (await FillAsync(service)).Should().Equal(2, 1);

        using (var patch = await running.Registry.PatchServiceAsync(service, new { max_connections = 5 }))
            await RegistryApi.DocumentOfAsync(patch);
        (await FillAsync(service)).Should().Equal(5, 1);

        using (var patch = await running.Registry.PatchInstanceAsync(service, "b", new { max_connections = (int?)null }))
            (await RegistryApi.DocumentOfAsync(patch)).GetProperty("max_connections").GetInt32().Should().Be(5);
        (await FillAsync(service)).Should().Equal(5, 5);
    }

    /// <summary>Sends more requests at once than there is room for; how many each of the two backends held at most.</summary>
    private async Task<long[]> FillAsync(string service)
    {
        const int Requests = 20;
        var backends = running.Backends.Take(2).ToArray();
        foreach (var backend in backends)
            await backend.ResetAsync();
        var sent = Enumerable.Range(0, Requests).Select(_ => running.Http.GetAsync($"/{service}/hold/gate")).ToArray();
        await Eventually.Until("every request is held or refused",
            async () => (await Task.WhenAll(backends.Select(HeldAsync))).Sum() + sent.Count(request => request.IsCompleted), count => count == Requests);
        foreach (var backend in backends)
            await backend.ReleaseAsync("gate");
        foreach (var answer in await Task.WhenAll(sent))
            using (answer)
                answer.StatusCode.Should().BeOneOf(HttpStatusCode.OK, HttpStatusCode.ServiceUnavailable);
        return [.. (await Task.WhenAll(backends.Select(b => b.StatsAsync()))).Select(s => s.MaxInFlight)];
    }

    /// <summary>Sends a request that is held, and says where it came to.</summary>
    private async Task<(Task<HttpResponseMessage> Held, Backend Where)> HoldOneAsync(string service)
    {
        var before = await Task.WhenAll(running.Backends.Select(HeldAsync));
        var held = running.Http.GetAsync($"/{service}/hold/gate");
        var after = await Eventually.Until(
            "one more request is held", () => Task.WhenAll(running.Backends.Select(HeldAsync)), counts => counts.Sum() == before.Sum() + 1);
        return (held, running.Backends.Single(b => after[IndexOf(b)] > before[IndexOf(b)]));
    }

    private int IndexOf(Backend backend) => running.Backends.ToList().IndexOf(backend);

    private static async Task<int> HeldAsync(Backend backend) => (await backend.StatsAsync()).Held.GetValueOrDefault("gate");

    private async Task ReleaseAsync(List<Task<HttpResponseMessage>> held, string service, int count)
    {
        await running.Backends[0].ReleaseAsync("gate", count);
        for (var i = 0; i < count; i++)
        {
            var done = await Task.WhenAny(held);
            held.Remove(done);
            using var answer = await done;
            answer.StatusCode.Should().Be(HttpStatusCode.OK);
        }
    }

    private async Task CapAsync(string service, int cap)
    {
        using var answer = await running.Registry.PatchInstanceAsync(service, "a", new { max_connections = cap });
        await RegistryApi.DocumentOfAsync(answer);
    }

    private async Task<int> StatusAsync(string service)
    {
        using var answer = await running.Http.GetAsync($"/{service}/status/204");
        return (int)answer.StatusCode;
    }
}

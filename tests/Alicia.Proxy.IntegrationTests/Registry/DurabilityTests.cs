using System.Net;
using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Api;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Registry;

/// <summary>What was acknowledged is there after a crash and after a restart, and nothing else is.</summary>
public sealed class DurabilityTests
{
    [Fact]
    public async Task Nothing_that_was_acknowledged_is_lost_when_the_process_is_killed_at_once()
    {
        const int Rounds = 10, Changes = 25;
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { WaitForReady = false });
        var random = new Random(20260101);
        var instances = new Dictionary<string, (int Port, int Weight, bool Draining)>();
        var algorithm = "round_robin";
        for (var round = 0; round < Rounds; round++)
        {
            for (var i = 0; i < Changes; i++)
            {
                var id = $"i{random.Next(12)}";
                switch (random.Next(5))
                {
                    case 0 or 1:
                        var port = 1000 + random.Next(3);
                        var known = instances.TryGetValue(id, out var before) && before.Port == port;
                        (await proxy.Registry.RegisterAsync("s", "127.0.0.1", port, id).StatusAsync()).Should().Be(known ? 200 : 201);
                        if (!known)
                            instances[id] = (port, 1, false);
                        break;
                    case 2:
                        (await proxy.Registry.DeleteInstanceAsync("s", id).StatusAsync()).Should().Be(instances.Remove(id) ? 200 : 404);
                        break;
                    case 3:
                        var weight = random.Next(1, 1000);
                        var draining = random.Next(2) == 0;
                        var patched = await proxy.Registry.PatchInstanceAsync("s", id, new { weight, state = draining ? "draining" : "active" }).StatusAsync();
                        patched.Should().Be(instances.ContainsKey(id) ? 200 : 404);
                        if (patched == 200)
                            instances[id] = instances[id] with { Weight = weight, Draining = draining };
                        break;
                    default:
                        algorithm = random.Next(2) == 0 ? "random" : "least_connections";
                        (await proxy.Registry.PutServiceAsync("s", new { algorithm }).StatusAsync()).Should().BeOneOf(200, 201);
                        break;
                }
            }

            await proxy.RestartAsync(kill: true);
            var service = await proxy.Registry.ServiceAsync("s");
            service.Text("algorithm").Should().Be(algorithm, "round {0}", round);
            service.GetProperty("instances").EnumerateArray()
                .ToDictionary(i => i.Text("instance_id"), i => (i.Number("port"), i.Number("weight"), i.Text("state") == "draining"))
                .Should().Equal(instances, "round {0}", round);
        }
    }

    [Fact]
    public async Task Registrations_by_many_at_once_are_all_there_after_a_kill()
    {
        await using var proxy = await ProxyProcess.StartAsync();

        var statuses = await Task.WhenAll(Enumerable.Range(0, 200).Select(i => proxy.Registry.RegisterAsync($"s{i % 10}", "127.0.0.1", 1000 + i, $"i{i}").StatusAsync()));
        await proxy.RestartAsync(kill: true);

        statuses.Should().OnlyContain(status => status == 201);
        (await proxy.Registry.GetJsonAsync("/stats")).Number("total_instances").Should().Be(200);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_restart_keeps_everything_and_the_etag(bool kill)
    {
        await using var backend = await Backend.StartAsync("A");
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions
        {
            Arguments = ["--Defaults:Algorithm=least_connections", "--Defaults:Queue:Length=3", "--Shutdown:Grace=00:00:00"],
        });
        await proxy.Registry.RegisterActiveAsync("s", backend, extra: new { weight = 3, max_connections = 8, ttl_seconds = 600, metadata = new { zone = "küche" } });
        await proxy.Registry.RegisterAsync("s", "127.0.0.1", 9, "drained").DocumentAsync(201);
        await proxy.Registry.PatchInstanceAsync("s", "A", new { weight = 11 }).DocumentAsync(200);
        await proxy.Registry.PatchInstanceAsync("s", "drained", new { state = "draining" }).DocumentAsync(200);
        await proxy.Registry.PatchServiceAsync("s", new { timeouts = new { response = 7.5 }, routes = new[] { new { path = "/v1/{**rest}", strip_prefix = "/v1" } } }).DocumentAsync(200);
        await proxy.Registry.PutServiceAsync("empty", new { }).DocumentAsync(201);
        var before = await ShownAsync(proxy);

        for (var restart = 0; restart < 2; restart++)
        {
            await proxy.RestartAsync(kill);
            (await ShownAsync(proxy)).Should().Equal(before);
        }

        (await Backend.EchoOfAsync(await proxy.Http.GetAsync("/v1/echo"))).RawTarget.Should().Be("/echo");
        using var match = await proxy.Api.SendJsonAsync("PATCH", "/services/s", """{"algorithm":"random"}""", ("If-Match", before[^1]));
        match.StatusCode.Should().Be(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Revisions_never_fall_over_restarts()
    {
        await using var proxy = await ProxyProcess.StartAsync();
        var last = 0;
        for (var i = 0; i < 3; i++)
        {
            var revision = (await proxy.Registry.PutServiceAsync("s", new { max_connections = i + 1 }).StatusAsync()) is 200 or 201
                ? (await proxy.Registry.ServiceAsync("s")).Number("revision") : 0;
            revision.Should().BeGreaterThan(last);
            last = revision;
            await proxy.RestartAsync(kill: true);
        }
    }

    [Fact]
    public async Task The_memory_store_forgets()
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Registry:Store=memory"] });
        await proxy.Registry.RegisterAsync("s", "127.0.0.1", 9).DocumentAsync(201);

        await proxy.RestartAsync(kill: true);

        await proxy.Registry.GetAsync("/services/s").ProblemAsync(404);
        File.Exists(proxy.RegistryPath).Should().BeFalse();
    }

    /// <summary>All that must outlive a restart, and the ETag at the end.</summary>
    private static async Task<List<string>> ShownAsync(ProxyProcess proxy)
    {
        using var answer = await proxy.Registry.GetAsync("/services/s");
        var service = await RegistryApi.DocumentOfAsync(answer);
        var shown = new List<string> { service.GetProperty("settings").GetRawText(), service.GetProperty("routes").GetRawText() };
        foreach (var instance in service.GetProperty("instances").EnumerateArray())
        {
            shown.Add(string.Join(' ', new[]
            {
                "instance_id", "host", "port", "scheme", "protocol", "weight", "max_connections", "metadata", "registered_at", "source", "state",
            }.Select(field => instance.GetProperty(field).GetRawText())));
            shown.Add(instance.GetProperty("lease") is { ValueKind: JsonValueKind.Object } lease ? lease.GetProperty("ttl_seconds").GetRawText() : "no lease");
        }

        shown.Add((await proxy.Registry.ServiceAsync("empty")).GetProperty("revision").GetRawText());
        shown.Add(answer.Headers.ETag!.Tag);
        return shown;
    }
}

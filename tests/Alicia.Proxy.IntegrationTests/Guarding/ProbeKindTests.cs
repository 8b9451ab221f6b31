using System.Text.Json.Nodes;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Guarding;

/// <summary>What is asked of an instance, and what counts as an answer, is the service's choice or the instance's own.</summary>
public sealed class ProbeKindTests(GuardedProxy guarded) : IClassFixture<GuardedProxy>
{
    [Theory]
    [InlineData("""{"path":"/status/204"}""", "active")]
    [InlineData("""{"path":"/status/302"}""", "active")]
    [InlineData("""{"path":"/status/503"}""", "pending")]
    [InlineData("""{"path":"/status/404"}""", "pending")]
    [InlineData("""{"path":"/status/404","status":"200-299,404"}""", "active")]
    [InlineData("""{"path":"/status/204","status":"200"}""", "pending")]
    [InlineData("""{"path":"/status/302","status":"200-299"}""", "pending")]
    [InlineData("""{"body":"ok"}""", "active")]
    [InlineData("""{"body":"ready"}""", "pending")]
    [InlineData("""{"path":"/reset"}""", "pending")]
    [InlineData("""{"path":"/hang","timeout":0.3}""", "pending")]
    [InlineData("""{"type":"tcp","path":"/status/503"}""", "active")]
    [InlineData("""{"type":"grpc"}""", "pending")]
    public async Task An_instance_s_own_check_decides(string check, string state)
    {
        // The service's own would say the opposite of most.
        var service = await guarded.ServiceAsync(0, new { health_check = new { path = "/elsewhere", interval = 3600, fast = 3600 } });
        var own = JsonNode.Parse(check)!.AsObject();
        own.TryAdd("path", "/health");

        using var registered = await guarded.Registry.RegisterAsync(service, guarded.Backends[0], extra: new { health_check = own }, query: "wait=15");

        (await RegistryApi.DocumentOfAsync(registered)).State().Should().Be(state);
    }

    [Theory]
    [InlineData(404)]
    [InlineData(405)]
    [InlineData(501)]
    public async Task An_instance_without_a_health_endpoint_counts_as_alive_on_the_default_path(int status)
    {
        var service = await guarded.ServiceAsync(0);
        await guarded.Backends[0].ModeAsync(new BackendMode(Health: new BackendHealthMode(Status: status)));

        using var registered = await guarded.Registry.RegisterAsync(service, guarded.Backends[0], query: "wait=15");

        (await RegistryApi.DocumentOfAsync(registered)).State().Should().Be("active");
    }

    [Fact]
    public async Task The_probe_is_a_GET_with_the_host_that_was_asked_for()
    {
        await using var upstream = RawUpstream.Start("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        var service = await guarded.ServiceAsync(0);

        using (await guarded.Registry.RegisterAsync(
            service, upstream.Host, upstream.Port, "named", new { health_check = new { path = "/ping?deep=1", host = "inside.example:99", interval = 3600, fast = 3600 } }, "wait=15")) { }
        using (await guarded.Registry.RegisterAsync(service, upstream.Host, upstream.Port, "plain", new { health_check = new { path = "/pong", interval = 3600, fast = 3600 } }, "wait=15")) { }

        upstream.Heads.Should().HaveCount(2);
        upstream.Heads[0].Should().StartWith("GET /ping?deep=1 HTTP/1.1\r\n").And.Contain("\r\nHost: inside.example:99\r\n");
        upstream.Heads[1].Should().StartWith("GET /pong HTTP/1.1\r\n").And.Contain($"\r\nHost: {upstream.Host}:{upstream.Port}\r\n");
        var instance = await guarded.Registry.InstanceAsync(service, "named");
        instance.GetProperty("last_health_check").GetDateTimeOffset().Should().BeCloseTo(DateTimeOffset.UtcNow, TimeSpan.FromSeconds(60));
        (instance.GetProperty("total_requests").GetInt64(), instance.GetProperty("active_connections").GetInt64()).Should().Be((0, 0), "a probe is no request");
    }

    [Fact]
    public async Task A_probe_gets_through_when_requests_hold_all_slots()
    {
        var service = await guarded.ServiceAsync(1, new { health_check = new { interval = 0.2, timeout = 0.2, fast = 0.2, fall = 100 } }, new { max_connections = 1 });
        var held = guarded.Http.GetAsync($"/{service}/hold/slot");
        await guarded.Backends[0].UntilHeldAsync("slot", 1);
        var probes = (await guarded.Backends[0].StatsAsync()).HealthProbes;

        await guarded.Backends[0].UntilStatsAsync("probed five times", s => s.HealthProbes >= probes + 5);

        (await guarded.Registry.InstanceAsync(service, "a")).Health().Should().Be("healthy");
        await guarded.Backends[0].ReleaseAsync("slot");
        (await held).Dispose();
    }

    [Fact]
    public async Task An_h2c_instance_is_probed_in_its_own_protocol()
    {
        await using var h2c = await Backend.StartAsync("h2c", h2c: true);
        var service = await guarded.ServiceAsync(0);

        var active = await guarded.Registry.RegisterActiveAsync(service, h2c);

        active.Health().Should().Be("healthy");
        (await h2c.StatsAsync()).HealthProbes.Should().BePositive();
    }

    [Fact]
    public async Task A_changed_check_is_used_at_once()
    {
        var service = await guarded.ServiceAsync(1, new { health_check = GuardedProxy.RareProbes });

        using (var patched = await guarded.Registry.PatchServiceAsync(service, new { health_check = new { path = "/status/503", fall = 1 } }))
            patched.IsSuccessStatusCode.Should().BeTrue();

        await guarded.Registry.UntilInstanceAsync(service, "a", "unhealthy", i => i.Health() == "unhealthy");
        (await guarded.SendAsync(service, 1, "status/204")).Should().Equal(503);
    }
}

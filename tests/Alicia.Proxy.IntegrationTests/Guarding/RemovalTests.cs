using System.Globalization;
using System.Net;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Guarding;

/// <summary>What stays unhealthy is removed in the end, and what comes back after it left starts from nothing.</summary>
public sealed class RemovalTests(GuardedProxy guarded) : IClassFixture<GuardedProxy>
{
    [Fact]
    public async Task An_instance_that_stays_unhealthy_is_removed_but_never_one_of_the_configuration()
    {
        await using var a = await Backend.StartAsync("a");
        await using var b = await Backend.StartAsync("b");
        await using var fixedOne = await Backend.StartAsync("fixed");
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions
        {
            Guards = true,
            Arguments = [.. GuardedProxy.Quick, "--Registry:RemoveAfter=00:00:02"],
            ConfigJson = $$"""
                { "Services": { "s": { "Instances": [ { "InstanceId": "fixed", "Host": "127.0.0.1", "Port": {{fixedOne.Port.ToString(CultureInfo.InvariantCulture)}} } ] } } }
                """,
        });
        await proxy.Registry.RegisterActiveAsync("s", a);
        await proxy.Registry.RegisterActiveAsync("s", b);
        var dead = new BackendMode(Health: new BackendHealthMode(Status: 503));
        await fixedOne.ModeAsync(dead);
        await proxy.Registry.UntilInstanceAsync("s", "fixed", "unhealthy", i => i.Health() == "unhealthy");

        await b.ModeAsync(dead);
        await proxy.Registry.UntilInstanceAsync("s", "b", "unhealthy", i => i.Health() == "unhealthy");
        await proxy.Registry.UntilAsync("b is removed", "/services/s", s => !s.Ids().Contains("b"));

        var left = await proxy.Registry.ServiceAsync("s");
        left.Ids().Should().BeEquivalentTo(["a", "fixed"], "the configured one has been unhealthy for longer");
        left.Instance("fixed").Health().Should().Be("unhealthy");
        await proxy.LoggedAsync(l => l.Contains("Instance b of s is removed (unhealthy)", StringComparison.Ordinal));
        using var heartbeat = await proxy.Registry.HeartbeatAsync("s", "b");
        heartbeat.StatusCode.Should().Be(HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task An_instance_that_left_and_came_back_starts_from_nothing()
    {
        var service = await guarded.ServiceAsync(2, new { health_check = GuardedProxy.RareProbes, circuit_breaker = new { recovery_timeout = 60 } });
        await guarded.SendAsync(service, 10, "status/503");
        var before = await guarded.Registry.InstanceAsync(service, "a");
        (before.Circuit(), before.GetProperty("failed_requests").GetInt64()).Should().Be(("open", 5));

        using (var removed = await guarded.Registry.DeleteInstanceAsync(service, "a"))
            removed.StatusCode.Should().Be(HttpStatusCode.OK);
        var back = await guarded.Registry.RegisterActiveAsync(service, guarded.Backends[0]);

        (back.Circuit(), back.Reason(), back.Failures(), back.Health()).Should().Be(("closed", null, 0, "healthy"));
        (back.GetProperty("total_requests").GetInt64(), back.GetProperty("failed_requests").GetInt64()).Should().Be((0, 0));
        back.GetProperty("response_time").ValueKind.Should().Be(System.Text.Json.JsonValueKind.Null);
        (await guarded.BackendsOfAsync(service, 5)).Should().AllBe("a", "the other's circuit is open still");
    }

    [Fact]
    public async Task An_instance_that_registers_again_where_it_was_keeps_its_circuit()
    {
        var service = await guarded.ServiceAsync(2, new { health_check = GuardedProxy.RareProbes, circuit_breaker = new { recovery_timeout = 60 } });
        await guarded.Backends[0].ModeAsync(new BackendMode(Status: 503));
        await guarded.SendAsync(service, 10, "echo");

        using var again = await guarded.Registry.RegisterAsync(service, guarded.Backends[0], query: "wait=10");

        again.StatusCode.Should().Be(HttpStatusCode.OK);
        var document = await RegistryApi.DocumentOfAsync(again);
        (document.Circuit(), document.Reason()).Should().Be(("open", "failure_statuses"), "good probes prove nothing against bad answers");
        (await guarded.BackendsOfAsync(service, 10)).Should().AllBe("b");
    }
}

using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Guarding;

/// <summary>Instances of a higher priority number serve only while none of a lower one can.</summary>
public sealed class BackupTests(GuardedProxy guarded) : IClassFixture<GuardedProxy>
{
    [Fact]
    public async Task A_backup_takes_over_when_all_others_are_out_and_gives_back()
    {
        var service = await guarded.ServiceAsync(2);
        var backup = await guarded.Registry.RegisterActiveAsync(service, guarded.Backends[2], extra: new { priority = 1 });
        backup.GetProperty("priority").GetInt32().Should().Be(1);
        (await guarded.BackendsOfAsync(service, 20)).Distinct().Should().BeEquivalentTo("a", "b");

        await guarded.Registry.CircuitAsync(service, "a", "open");
        (await guarded.BackendsOfAsync(service, 10)).Should().AllBe("b", "one is still usable");
        await guarded.Registry.CircuitAsync(service, "b", "open");
        (await guarded.BackendsOfAsync(service, 10)).Should().AllBe("c");

        await guarded.Registry.CircuitAsync(service, "a", "closed");
        await Eventually.Until("a has its place back", async () => await guarded.BackendOfAsync(service) == "a");
        (await guarded.BackendsOfAsync(service, 10)).Should().AllBe("a");
    }

    [Fact]
    public async Task A_backup_gets_nothing_while_the_others_are_only_busy()
    {
        var service = await guarded.ServiceAsync(1, extra: new { max_connections = 1 });
        await guarded.Registry.RegisterActiveAsync(service, guarded.Backends[1], extra: new { priority = 1 });
        var held = guarded.Http.GetAsync($"/{service}/hold/busy");
        await guarded.Backends[0].UntilHeldAsync("busy", 1);

        using (var refused = await guarded.Http.GetAsync($"/{service}/status/204"))
            refused.Headers.GetValues("Proxy-Status").Should().Equal("alicia; error=connection_limit_reached");

        await guarded.Backends[0].ReleaseAsync("busy");
        (await held).Dispose();
        (await guarded.Backends[1].StatsAsync()).Requests.Should().Be(0);
    }

    [Fact]
    public async Task A_backup_takes_over_from_instances_that_die_and_gives_back_after_trials()
    {
        var service = await guarded.ServiceAsync(0);
        var first = await guarded.OwnBackendAsync("first");
        await guarded.Registry.RegisterActiveAsync(service, first);
        await guarded.Registry.RegisterActiveAsync(service, guarded.Backends[1], extra: new { priority = 7 });
        var load = TimedLoad.Start(guarded.Proxy.Address, 4, $"/{service}/delay?ms=2");
        await load.MoreAsync(50);
        first.Process.Kill();
        await first.Process.WaitForExitAsync();
        await guarded.Registry.UntilInstanceAsync(service, "first", "out", i => i.Health() == "unhealthy");
        await load.MoreAsync(50);
        (await guarded.BackendsOfAsync(service, 5)).Should().AllBe("b");

        await guarded.OwnBackendAsync("first", first.Port);
        await guarded.Registry.UntilInstanceAsync(service, "first", "back", i => i.Circuit() == "closed");
        await Eventually.Until("first serves alone", async () => (await guarded.BackendsOfAsync(service, 5)).All(b => b == "first"));
        var requests = await load.StopAsync();
        requests.Count(r => r.Failed).Should().BeLessThanOrEqualTo(4 + 4, "those in flight at the kill, and who tried again before it was seen");
    }

    [Fact]
    public async Task A_drained_service_leaves_its_requests_to_the_backup()
    {
        var service = await guarded.ServiceAsync(1);
        await guarded.Registry.RegisterActiveAsync(service, guarded.Backends[1], extra: new { priority = 1 });

        using (await guarded.Registry.PatchInstanceAsync(service, "a", new { state = "draining" })) { }
        (await guarded.BackendsOfAsync(service, 5)).Should().AllBe("b");
        using (await guarded.Registry.PatchInstanceAsync(service, "a", new { state = "active" })) { }
        (await guarded.BackendsOfAsync(service, 5)).Should().AllBe("a");

        // Priority is a field like any other of a registration.
        using (await guarded.Registry.RegisterAsync(service, guarded.Backends[0], extra: new { priority = 2 })) { }
        (await guarded.BackendsOfAsync(service, 5)).Should().AllBe("b");
    }
}

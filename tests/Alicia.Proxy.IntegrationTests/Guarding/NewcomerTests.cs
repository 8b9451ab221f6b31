using System.Diagnostics;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Guarding;

/// <summary>A new instance gets nothing before it has passed a probe, and everything that is its due after one.</summary>
public sealed class NewcomerTests(GuardedProxy guarded) : IClassFixture<GuardedProxy>
{
    private static readonly BackendMode _notReady = new(Health: new BackendHealthMode(Status: 503));

    [Fact]
    public async Task A_newcomer_that_is_not_ready_gets_no_request_and_then_its_share()
    {
        var service = await guarded.ServiceAsync(2);
        var newcomer = guarded.Backends[2];
        await newcomer.ModeAsync(_notReady);
        var load = TimedLoad.Start(guarded.Proxy.Address, 4, $"/{service}/status/204");

        using (var registered = await guarded.Registry.RegisterAsync(service, newcomer))
            (await RegistryApi.DocumentOfAsync(registered)).State().Should().Be("pending");
        // Longer than it takes to call an instance unhealthy.
        var stats = await newcomer.UntilStatsAsync("probed five times", s => s.HealthProbes >= 5);

        stats.Requests.Should().Be(0);
        var pending = await guarded.Registry.InstanceAsync(service, "c");
        (pending.State(), pending.Health(), pending.Circuit()).Should().Be(("pending", "unhealthy", "closed"));

        await newcomer.ModeAsync();
        var active = await guarded.Registry.UntilInstanceAsync(service, "c", "active", i => i.State() == "active");
        (active.Health(), active.Circuit()).Should().Be(("healthy", "closed"), "a newcomer needs one success");
        await load.MoreAsync(50);
        (await load.StopAsync()).Should().NotContain(r => r.Failed);
        (await guarded.BackendsOfAsync(service, 30)).Count(b => b == "c").Should().Be(10);
    }

    [Fact]
    public async Task Waiting_for_a_good_instance_answers_active()
    {
        var service = await guarded.ServiceAsync(0, new { health_check = GuardedProxy.RareProbes });

        using var registered = await guarded.Registry.RegisterAsync(service, guarded.Backends[0], query: "wait=10");

        var document = await RegistryApi.DocumentOfAsync(registered);
        ((int)registered.StatusCode, document.State(), document.Health()).Should().Be((201, "active", "healthy"));
        (await guarded.BackendOfAsync(service)).Should().Be("a");
    }

    [Fact]
    public async Task Waiting_ends_with_a_failed_probe()
    {
        var service = await guarded.ServiceAsync(0);
        await guarded.Backends[0].ModeAsync(_notReady);

        var start = Stopwatch.GetTimestamp();
        using var registered = await guarded.Registry.RegisterAsync(service, guarded.Backends[0], query: "wait=30");

        Stopwatch.GetElapsedTime(start).Should().BeLessThan(TimeSpan.FromSeconds(15));
        (await RegistryApi.DocumentOfAsync(registered)).State().Should().Be("pending");
        (await guarded.SendAsync(service, 3, "echo")).Should().AllBeEquivalentTo(503);
        (await guarded.Backends[0].StatsAsync()).Requests.Should().Be(0);
    }

    [Fact]
    public async Task Waiting_ends_with_its_time()
    {
        var service = await guarded.ServiceAsync(0, new { health_check = new { interval = 60, timeout = 30 } });
        await guarded.Backends[0].ModeAsync(new BackendMode(Health: new BackendHealthMode(Hang: true)));

        var start = Stopwatch.GetTimestamp();
        using var registered = await guarded.Registry.RegisterAsync(service, guarded.Backends[0], query: "wait=1");

        Stopwatch.GetElapsedTime(start).Should().BeGreaterThan(TimeSpan.FromSeconds(0.9)).And.BeLessThan(TimeSpan.FromSeconds(15));
        (await RegistryApi.DocumentOfAsync(registered)).State().Should().Be("pending");
    }

    [Fact]
    public async Task Registering_again_probes_at_once()
    {
        var service = await guarded.ServiceAsync(0, new { health_check = GuardedProxy.RareProbes });
        await guarded.Backends[0].ModeAsync(_notReady);
        using (var pending = await guarded.Registry.RegisterAsync(service, guarded.Backends[0], query: "wait=10"))
            (await RegistryApi.DocumentOfAsync(pending)).State().Should().Be("pending");
        await guarded.Backends[0].ModeAsync();

        using var again = await guarded.Registry.RegisterAsync(service, guarded.Backends[0], query: "wait=10");

        ((int)again.StatusCode, (await RegistryApi.DocumentOfAsync(again)).State()).Should().Be((200, "active"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Without_probes_an_instance_is_active_at_once(bool ownSetting)
    {
        var off = new { health_check = new { enabled = false } };
        var service = await guarded.ServiceAsync(0, ownSetting ? null : off);
        await guarded.Backends[0].ModeAsync(_notReady);

        using var registered = await guarded.Registry.RegisterAsync(service, guarded.Backends[0], extra: ownSetting ? off : null);

        var document = await RegistryApi.DocumentOfAsync(registered);
        (document.State(), document.Health()).Should().Be(("active", "unknown"));
        (await guarded.BackendsOfAsync(service, 3)).Should().AllBe("a");
        (await guarded.Backends[0].StatsAsync()).HealthProbes.Should().Be(0);
    }

    [Fact]
    public async Task Probes_that_are_switched_off_admit_who_was_waiting_and_give_back_who_was_out()
    {
        var service = await guarded.ServiceAsync(1);
        await guarded.Backends[0].ModeAsync(_notReady);
        await guarded.Backends[1].ModeAsync(_notReady);
        using (await guarded.Registry.RegisterAsync(service, guarded.Backends[1])) { }
        await guarded.Registry.UntilInstanceAsync(service, "a", "unhealthy", i => i.Health() == "unhealthy");
        (await guarded.SendAsync(service, 2, "echo")).Should().AllBeEquivalentTo(503);

        using (var patched = await guarded.Registry.PatchServiceAsync(service, new { health_check = new { enabled = false } }))
            patched.IsSuccessStatusCode.Should().BeTrue();

        await guarded.Registry.UntilInstanceAsync(service, "b", "active", i => (i.State(), i.Health()) == ("active", "unknown"));
        await Eventually.Until("both get requests", async () => (await guarded.BackendsOfAsync(service, 6)).Distinct().Count() == 2);
    }
}

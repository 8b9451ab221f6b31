using System.Diagnostics;
using Alicia.Proxy.IntegrationTests.Harness;
using Xunit.Abstractions;

namespace Alicia.Proxy.IntegrationTests.Guarding;

/// <summary>An instance that dies is out at once, and costs no more than what was on its way to it.</summary>
public sealed class KilledInstanceTests(GuardedProxy guarded, ITestOutputHelper output) : IClassFixture<GuardedProxy>
{
    /// <summary>A second is promised; the rest is for a machine that is busy with other things.</summary>
    private static readonly TimeSpan _soon = TimeSpan.FromSeconds(4);

    [Fact]
    public async Task A_killed_instance_costs_what_is_in_flight_to_it_and_nothing_after()
    {
        const int Workers = 30;
        var service = await guarded.ServiceAsync(2, new { health_check = new { interval = 30, timeout = 5, fast = 2 } });
        var victim = await guarded.OwnBackendAsync("victim");
        await guarded.Registry.RegisterActiveAsync(service, victim);
        var load = TimedLoad.Start(guarded.Proxy.Address, Workers, $"/{service}/delay?ms=20");
        await load.MoreAsync(300);

        victim.Process.Kill();
        var killed = Stopwatch.GetTimestamp();
        var seen = await guarded.Registry.UntilInstanceAsync(service, "victim", "out", i => i.Health() == "unhealthy" || i.Circuit() == "open", _soon);
        var gone = Stopwatch.GetTimestamp();
        await load.MoreAsync(3000);
        var requests = await load.StopAsync();

        var failed = requests.Where(r => r.Failed).ToArray();
        output.WriteLine($"out after {Stopwatch.GetElapsedTime(killed, gone).TotalMilliseconds:0} ms ({seen.Reason()}), {failed.Length} failed of {requests.Count}, {failed.Count(r => r.Start > killed)} of them sent after the kill");
        failed.Should().HaveCountLessThanOrEqualTo(Workers, "no more than one request of each worker was under way when it died");
        failed.Should().NotContain(r => r.Start > gone, "it was known to be dead");
        requests.Count(r => r.Start > gone).Should().BeGreaterThan(2000);
        requests.Should().NotContain(r => r.Start > gone && r.Backend == "victim");
        var dead = await guarded.Registry.UntilInstanceAsync(service, "victim", "unhealthy", i => i.Health() == "unhealthy");
        (dead.Circuit(), dead.RetryAt()).Should().Be(("open", (DateTimeOffset?)null), "its time over or not, no request is spent on an instance whose probes fail");
    }

    [Fact]
    public async Task A_refused_request_has_the_instance_probed_at_once()
    {
        var service = await guarded.ServiceAsync(1, new { health_check = GuardedProxy.RareProbes });
        var victim = await guarded.OwnBackendAsync("victim");
        await guarded.Registry.RegisterActiveAsync(service, victim);
        victim.Process.Kill();
        await victim.Process.WaitForExitAsync();

        var statuses = await guarded.SendAsync(service, 2, "status/204");
        var refused = Stopwatch.GetTimestamp();
        var dead = await guarded.Registry.UntilInstanceAsync(service, "victim", "unhealthy", i => i.Health() == "unhealthy", _soon);

        output.WriteLine($"unhealthy {Stopwatch.GetElapsedTime(refused).TotalMilliseconds:0} ms after the refused request");
        statuses.Should().AllBeEquivalentTo(204, "a refused request goes to the other instance");
        (dead.Circuit(), dead.Reason()).Should().Be(("open", "probes_failed"));
        (await guarded.SendAsync(service, 20, "status/204")).Should().AllBeEquivalentTo(204);
    }

    [Fact]
    public async Task A_dead_instance_that_registers_again_is_back_at_once()
    {
        var service = await guarded.ServiceAsync(1, new { health_check = GuardedProxy.RareProbes });
        var victim = await guarded.OwnBackendAsync("victim");
        await guarded.Registry.RegisterActiveAsync(service, victim);
        victim.Process.Kill();
        await victim.Process.WaitForExitAsync();
        await guarded.SendAsync(service, 2, "status/204");
        await guarded.Registry.UntilInstanceAsync(service, "victim", "unhealthy", i => i.Health() == "unhealthy");
        var back = await guarded.OwnBackendAsync("victim", victim.Port);

        await guarded.Registry.RegisterActiveAsync(service, back);

        var found = await guarded.Registry.InstanceAsync(service, "victim");
        (found.Health(), found.Circuit()).Should().Be(("healthy", "half_open"), "no probe by schedule comes within the hour");
        await Eventually.Until("the circuit is closed", async () =>
        {
            await guarded.BackendOfAsync(service);
            return (await guarded.Registry.InstanceAsync(service, "victim")).Circuit() == "closed";
        });
        (await guarded.BackendsOfAsync(service, 20)).Count(b => b == "victim").Should().Be(10);
    }

    [Fact]
    public async Task An_instance_that_breaks_off_answers_but_passes_its_probes_stays()
    {
        var service = await guarded.ServiceAsync(1, new { health_check = GuardedProxy.RareProbes });
        var before = (await guarded.Backends[0].StatsAsync()).HealthProbes;

        for (var i = 0; i < 10; i++)
            await guarded.Http.Invoking(http => http.GetByteArrayAsync($"/{service}/cut?after=10&length=1000")).Should().ThrowAsync<HttpRequestException>();

        await guarded.Backends[0].UntilStatsAsync("probed because of the cuts", s => s.HealthProbes > before);
        var instance = await guarded.Registry.InstanceAsync(service, "a");
        (instance.Health(), instance.Circuit(), instance.GetProperty("failed_requests").GetInt64()).Should().Be(("healthy", "closed", 10));
    }
}

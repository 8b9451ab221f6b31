using System.Diagnostics;
using Alicia.Proxy.IntegrationTests.Harness;
using Xunit.Abstractions;

namespace Alicia.Proxy.IntegrationTests.Guarding;

/// <summary>An instance that accepts and says nothing is out within two probe timeouts of the first request that it keeps waiting.</summary>
[Trait("Depends", "forwarder")]
public sealed class HangingInstanceTests(GuardedProxy guarded, ITestOutputHelper output) : IClassFixture<GuardedProxy>
{
    private const double Timeout = 2;

    /// <summary>What a busy machine may take beyond the two timeouts.</summary>
    private static readonly TimeSpan _slack = TimeSpan.FromSeconds(3);

    [Fact]
    public async Task A_stopped_process_is_out_and_comes_back_through_trials()
    {
        var service = await guarded.ServiceAsync(1, new { health_check = new { interval = 3600, timeout = Timeout, fast = 0.3 } });
        var victim = await guarded.OwnBackendAsync("victim");
        await guarded.Registry.RegisterActiveAsync(service, victim);
        victim.Process.Pause();
        try
        {
            var start = Stopwatch.GetTimestamp();
            var hanging = Enumerable.Range(0, 4).Select(_ => guarded.Http.GetAsync($"/{service}/echo")).ToArray();
            var seen = await guarded.Registry.UntilInstanceAsync(service, "victim", "unhealthy", i => i.Health() == "unhealthy");
            var elapsed = Stopwatch.GetElapsedTime(start);
            output.WriteLine($"out after {elapsed.TotalSeconds:0.00} s, with a probe timeout of {Timeout} s");
            elapsed.Should().BeLessThan(TimeSpan.FromSeconds(2 * Timeout) + _slack);
            (seen.Circuit(), seen.Reason()).Should().Be(("open", "probes_failed"));
            (await guarded.BackendsOfAsync(service, 10)).Should().AllBe("a");

            victim.Process.Resume();
            foreach (var request in hanging)
            {
                using var answer = await request;
                ((int)answer.StatusCode).Should().Be(200, "who waits long enough is answered");
            }
        }
        finally
        {
            victim.Process.Resume();
        }

        var back = await guarded.Registry.UntilInstanceAsync(service, "victim", "healthy", i => i.Health() == "healthy");
        back.Circuit().Should().Be("half_open");
        await guarded.UntilOnTrialAsync(service, "victim");
        var before = (await victim.StatsAsync()).Requests;
        (await guarded.BackendsOfAsync(service, 3)).Should().AllBe("victim", "one at a time, trials come first");
        (await guarded.Registry.InstanceAsync(service, "victim")).Circuit().Should().Be("closed");
        (await guarded.BackendsOfAsync(service, 10)).Count(b => b == "victim").Should().Be(5);
        (await victim.StatsAsync()).Requests.Should().Be(before + 8);
    }

    [Fact]
    public async Task An_instance_that_hangs_for_requests_and_probes_is_out()
    {
        var service = await guarded.ServiceAsync(2, new { health_check = new { interval = 3600, timeout = Timeout, fast = 0.3 } });
        await guarded.Backends[0].ModeAsync(new BackendMode(Hang: true, Health: new BackendHealthMode(Hang: true)));
        using var leave = new CancellationTokenSource();
        var start = Stopwatch.GetTimestamp();
        var sent = Enumerable.Range(0, 4).Select(_ => guarded.Http.GetAsync($"/{service}/status/204", leave.Token)).ToArray();

        await guarded.Registry.UntilInstanceAsync(service, "a", "unhealthy", i => i.Health() == "unhealthy");
        var elapsed = Stopwatch.GetElapsedTime(start);
        output.WriteLine($"out after {elapsed.TotalSeconds:0.00} s, with a probe timeout of {Timeout} s");
        elapsed.Should().BeLessThan(TimeSpan.FromSeconds(2 * Timeout) + _slack);
        (await guarded.SendAsync(service, 20, "status/204")).Should().AllBeEquivalentTo(204);

        sent.Count(s => s.IsCompletedSuccessfully).Should().Be(2, "the others had gone to the instance that hangs");
        await leave.CancelAsync();
        await Task.WhenAll(sent).Invoking(s => s).Should().ThrowAsync<OperationCanceledException>();
    }

    [Fact]
    public async Task A_slow_endpoint_of_an_instance_that_answers_its_probes_takes_nobody_out()
    {
        var service = await guarded.ServiceAsync(1, new { health_check = new { interval = 3600, timeout = 0.5, fast = 3600 } });
        var probes = (await guarded.Backends[0].StatsAsync()).HealthProbes;
        var slow = guarded.Http.GetAsync($"/{service}/hold/long");
        await guarded.Backends[0].UntilHeldAsync("long", 1);

        await guarded.Backends[0].UntilStatsAsync("probed several times, because it was silent", s => s.HealthProbes >= probes + 3);

        var instance = await guarded.Registry.InstanceAsync(service, "a");
        (instance.Health(), instance.Circuit()).Should().Be(("healthy", "closed"));
        await guarded.Backends[0].ReleaseAsync("long");
        using var answer = await slow;
        ((int)answer.StatusCode).Should().Be(200);
    }

    [Fact]
    public async Task Requests_that_time_out_open_the_circuit()
    {
        var service = await guarded.ServiceAsync(2, new { health_check = GuardedProxy.RareProbes, timeouts = new { response = 0.2 }, circuit_breaker = new { recovery_timeout = 60 }, retry = new { attempts = 0 } });
        await guarded.Backends[0].ModeAsync(new BackendMode(Hang: true));

        (await guarded.SendAsync(service, 10, "status/204")).Count(s => s == 504).Should().Be(5);

        var opened = await guarded.Registry.InstanceAsync(service, "a");
        (opened.Circuit(), opened.Reason()).Should().Be(("open", "timeouts"));
    }
}

using Alicia.Proxy.IntegrationTests.Harness;
using Alicia.Proxy.IntegrationTests.Metrics;

namespace Alicia.Proxy.IntegrationTests.Guarding;

/// <summary>An instance far worse than its peers is taken out although it never fails often enough in a row.</summary>
public sealed class EjectionTests(GuardedProxy guarded) : IClassFixture<GuardedProxy>
{
    /// <summary>One outlier among four stands √3 = 1.73 deviations off; among the three that are left, √2 = 1.41: nobody follows.</summary>
    private static object Settings(object ejection, int maxEjectionPercent = 100) => new
    {
        health_check = GuardedProxy.RareProbes,
        circuit_breaker = new { failure_threshold = 10000, recovery_timeout = 600 },
        max_ejection_percent = maxEjectionPercent,
        ejection,
    };

    private static readonly object _rule = new { enabled = true, stdev_factor = 1.5, minimum_hosts = 3, minimum_requests = 20 };

    [Fact]
    public async Task Under_load_an_instance_that_fails_far_more_often_than_its_peers_is_out_with_that_reason()
    {
        var service = await guarded.ServiceAsync(4, Settings(new { interval = 1, success_rate = _rule }));
        var bad = guarded.Backends[0];
        await bad.ModeAsync(new BackendMode(Status: 500));
        var load = Load.Start(guarded.Proxy.Address, clients: 4, _ => $"/{service}/echo");

        var instance = await guarded.Registry.UntilInstanceAsync(service, "a", "its circuit is open", i => i.Circuit() == "open");

        (instance.Reason(), instance.Health()).Should().Be(("success_rate", "healthy"));
        (instance.RetryAt() - instance.OpenedAt()).Should().Be(TimeSpan.FromMinutes(10));
        // What was on its way when the circuit opened has ended once each client has had an answer since.
        await load.MoreAsync(8);
        var seen = (await bad.StatsAsync()).Requests;
        await load.MoreAsync(200);
        (await bad.StatsAsync()).Requests.Should().Be(seen, "nothing goes there any more");
        await load.StopAsync();
        var document = await guarded.Registry.ServiceAsync(service);
        document.Ids().Where(id => document.Instance(id).Circuit() != "closed").Should().Equal("a");
        (await MetricsPage.ReadAsync(guarded.Proxy.Api)).Sum("alicia_circuit_transitions_total", ("to", "open"), ("reason", "success_rate")).Should().BeGreaterThan(0);
    }

    [Fact]
    public async Task Under_load_an_instance_that_is_far_slower_than_its_peers_is_out_with_that_reason()
    {
        var service = await guarded.ServiceAsync(4, Settings(new { interval = 1, latency = _rule }));
        await guarded.Backends[1].ModeAsync(new BackendMode(DelayMs: 150));
        // Twelve clients keep the slow one above 20 answers a second.
        var load = Load.Start(guarded.Proxy.Address, clients: 12, _ => $"/{service}/echo");

        var instance = await guarded.Registry.UntilInstanceAsync(service, "b", "its circuit is open", i => i.Circuit() == "open");

        instance.Reason().Should().Be("latency");
        var report = await load.StopAsync();
        report.Failures.Should().BeEmpty("slow is not failed");
    }

    [Fact]
    public async Task The_share_that_may_be_out_holds_here_too()
    {
        var service = await guarded.ServiceAsync(4, Settings(new { interval = 1, success_rate = _rule }, maxEjectionPercent: 20));
        await guarded.Backends[0].ModeAsync(new BackendMode(Status: 500));
        var load = Load.Start(guarded.Proxy.Address, clients: 4, _ => $"/{service}/echo");

        await Eventually.Until("an opening was held", async () => (await MetricsPage.ReadAsync(guarded.Proxy.Api)).Sum("alicia_circuit_openings_held_total") > 0);

        (await guarded.Registry.InstanceAsync(service, "a")).Circuit().Should().Be("closed", "one of four is 25 %");
        await load.StopAsync();
    }
}

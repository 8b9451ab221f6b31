using System.Net;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Guarding;

/// <summary>An operator's word on a circuit holds until the operator's next.</summary>
public sealed class CircuitByHandTests(GuardedProxy guarded) : IClassFixture<GuardedProxy>
{
    [Fact]
    public async Task Open_stays_open_through_good_probes_and_its_time()
    {
        // Recovery after 1 s, two good probes half a second apart: either would have brought it back long before the eighth.
        var service = await guarded.ServiceAsync(2, new { health_check = new { interval = 0.5, timeout = 0.5, fast = 0.5, fall = 100 } });

        var opened = await guarded.Registry.CircuitAsync(service, "a", "open");

        (opened.Circuit(), opened.Reason(), opened.RetryAt()).Should().Be(("open", "operator", (DateTimeOffset?)null));
        var probes = (await guarded.Backends[0].StatsAsync()).HealthProbes;
        (await guarded.BackendsOfAsync(service, 10)).Should().AllBe("b");
        await guarded.Backends[0].UntilStatsAsync("probed eight times", s => s.HealthProbes >= probes + 8);
        (DateTimeOffset.UtcNow - opened.OpenedAt()).Should().BeGreaterThan(TimeSpan.FromSeconds(1));
        (await guarded.Registry.InstanceAsync(service, "a")).Circuit().Should().Be("open");
        (await guarded.BackendsOfAsync(service, 10)).Should().AllBe("b");
        (await guarded.Backends[0].StatsAsync()).Requests.Should().Be(0);

        var closed = await guarded.Registry.CircuitAsync(service, "a", "closed");
        (closed.Circuit(), closed.Reason(), closed.OpenedAt()).Should().Be(("closed", null, null));
        await Eventually.Until("a has its place back", async () => await guarded.BackendOfAsync(service) == "a");
        (await guarded.BackendsOfAsync(service, 10)).Count(b => b == "a").Should().Be(5, "at once, and without trials");
    }

    [Fact]
    public async Task Closing_lets_requests_through_before_the_time_is_over()
    {
        var service = await guarded.ServiceAsync(1, new { health_check = GuardedProxy.RareProbes, circuit_breaker = new { recovery_timeout = 60 } });
        await guarded.SendAsync(service, 5, "status/503");
        (await guarded.SendAsync(service, 1, "status/204")).Should().Equal(503);

        await guarded.Registry.CircuitAsync(service, "a", "closed");

        await Eventually.Until("requests get through", async () => (await guarded.SendAsync(service, 1, "status/204"))[0] == 204);
        (await guarded.SendAsync(service, 4, "status/503")).Should().AllBeEquivalentTo(503);
        (await guarded.Registry.InstanceAsync(service, "a")).Circuit().Should().Be("closed", "the past is forgotten");
    }

    [Fact]
    public async Task Closing_sends_nothing_to_an_unhealthy_instance()
    {
        var service = await guarded.ServiceAsync(2);
        await guarded.Backends[0].ModeAsync(new BackendMode(Health: new BackendHealthMode(Status: 503)));
        await guarded.Registry.UntilInstanceAsync(service, "a", "unhealthy", i => i.Health() == "unhealthy");

        var closed = await guarded.Registry.CircuitAsync(service, "a", "closed");

        (closed.Circuit(), closed.Health()).Should().Be(("closed", "unhealthy"));
        (await guarded.BackendsOfAsync(service, 20)).Should().AllBe("b");
        (await guarded.Backends[0].StatsAsync()).Requests.Should().Be(0);
        await guarded.Backends[0].ModeAsync();
        await guarded.Registry.UntilInstanceAsync(service, "a", "healthy", i => (i.Health(), i.Circuit()) == ("healthy", "closed"));
        await Eventually.Until("a has its place back", async () => await guarded.BackendOfAsync(service) == "a");
    }

    [Fact]
    public async Task An_unknown_state_or_instance_is_refused()
    {
        var service = await guarded.ServiceAsync(1);

        using var half = await guarded.Registry.SetCircuitAsync(service, "a", "half_open");
        half.StatusCode.Should().Be(HttpStatusCode.BadRequest);
        using var unknown = await guarded.Registry.SetCircuitAsync(service, "nobody", "open");
        unknown.StatusCode.Should().Be(HttpStatusCode.NotFound);
        (await guarded.Registry.InstanceAsync(service, "a")).Circuit().Should().Be("closed");
    }
}

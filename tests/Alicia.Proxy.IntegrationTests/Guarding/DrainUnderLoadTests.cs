using System.Net;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Guarding;

/// <summary>With probes and circuits at work, instances leave and come back under load without a single request failing.</summary>
public sealed class DrainUnderLoadTests(GuardedProxy guarded) : IClassFixture<GuardedProxy>
{
    [Fact]
    public async Task Draining_and_bringing_back_under_load_fails_nothing()
    {
        var service = await guarded.ServiceAsync(3);
        var load = TimedLoad.Start(guarded.Proxy.Address, 12, $"/{service}/delay?ms=5");
        for (var cycle = 0; cycle < 8; cycle++)
        {
            await load.MoreAsync(50);
            await StateAsync(service, "a", "draining");
            await guarded.Registry.UntilInstanceAsync(service, "a", "empty", i => i.GetProperty("active_connections").GetInt32() == 0);
            var seen = (await guarded.Backends[0].StatsAsync()).Requests;
            await load.MoreAsync(50);
            (await guarded.Backends[0].StatsAsync()).Requests.Should().Be(seen, "no new request from the reply on");
            await StateAsync(service, "a", "active");
        }

        var requests = await load.StopAsync();
        requests.Should().NotContain(r => r.Failed);
        requests.Count(r => r.Backend == "a").Should().BePositive();
    }

    [Fact]
    public async Task Deregistering_and_registering_under_load_fails_nothing()
    {
        var service = await guarded.ServiceAsync(3);
        var load = TimedLoad.Start(guarded.Proxy.Address, 12, $"/{service}/delay?ms=5");
        for (var cycle = 0; cycle < 8; cycle++)
        {
            await load.MoreAsync(50);
            using (var removed = await guarded.Registry.DeleteInstanceAsync(service, "a", wait: 15))
                removed.StatusCode.Should().Be(HttpStatusCode.OK);
            var seen = (await guarded.Backends[0].StatsAsync()).Requests;
            await load.MoreAsync(50);
            (await guarded.Backends[0].StatsAsync()).Requests.Should().Be(seen, "no new request from the reply on");
            await guarded.Registry.RegisterActiveAsync(service, guarded.Backends[0]);
        }

        (await load.StopAsync()).Should().NotContain(r => r.Failed);
        (await guarded.Backends[0].StatsAsync()).Aborted.Should().Be(0);
    }

    private async Task StateAsync(string service, string instance, string state)
    {
        using var answer = await guarded.Registry.PatchInstanceAsync(service, instance, new { state });
        (await RegistryApi.DocumentOfAsync(answer)).State().Should().Be(state);
    }
}

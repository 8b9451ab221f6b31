using System.Globalization;
using System.Net;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Guarding;

/// <summary>An instance that does not renew its lease leaves; when very many do not, heartbeats are lost rather than instances.</summary>
public sealed class LeaseTests(GuardedProxy guarded) : IClassFixture<GuardedProxy>
{
    /// <summary>Seconds; the shortest that may be asked for.</summary>
    private const int Ttl = 5;

    private static readonly object _leased = new { ttl_seconds = Ttl };

    [Fact]
    public async Task Without_heartbeats_an_instance_drains_and_is_gone()
    {
        var service = await guarded.ServiceAsync(0);
        await guarded.Registry.RegisterActiveAsync(service, guarded.Backends[0], extra: _leased);
        await guarded.Registry.RegisterActiveAsync(service, guarded.Backends[1], extra: _leased);
        var held = guarded.Http.GetAsync($"/{service}/hold/last");
        var holder = await Eventually.Until(
            "one holds the request", async () => (await Task.WhenAll(guarded.Backends.Take(2).Select(b => b.StatsAsync()))).FirstOrDefault(s => s.InFlight == 1), s => s is not null);
        var (lapsed, kept) = holder!.Name == "a" ? (guarded.Backends[0], guarded.Backends[1]) : (guarded.Backends[1], guarded.Backends[0]);

        await Eventually.Until("its lease has run out", async () =>
        {
            (await HeartbeatAsync(service, kept.Name)).Should().Be(HttpStatusCode.NoContent);
            return (await guarded.Registry.InstanceAsync(service, lapsed.Name)).State() == "draining";
        });

        (await guarded.BackendsOfAsync(service, 10)).Should().AllBe(kept.Name);
        (await HeartbeatAsync(service, lapsed.Name)).Should().Be(HttpStatusCode.NotFound, "it has to register again");
        await lapsed.ReleaseAsync("last");
        using (var answer = await held)
            answer.StatusCode.Should().Be(HttpStatusCode.OK);
        await guarded.Registry.UntilAsync("it is gone", $"/services/{service}", s => s.Ids().Single() == kept.Name);
        await guarded.Proxy.LoggedAsync(l => l.Contains($"Instance {lapsed.Name} of {service} is removed (lease", StringComparison.Ordinal));

        var back = await guarded.Registry.RegisterActiveAsync(service, lapsed, extra: _leased);
        back.GetProperty("total_requests").GetInt64().Should().Be(0);
    }

    [Fact]
    public async Task Registering_again_renews_the_lease()
    {
        var service = await guarded.ServiceAsync(0);
        await guarded.Registry.RegisterActiveAsync(service, guarded.Backends[0], extra: _leased);
        await guarded.Registry.RegisterActiveAsync(service, guarded.Backends[1], extra: _leased);

        await Eventually.Until("the other's lease has run out", async () =>
        {
            using (await guarded.Registry.RegisterAsync(service, guarded.Backends[0])) { }
            return (await guarded.Registry.ServiceAsync(service)).Ids().Count == 1;
        });

        (await guarded.Registry.ServiceAsync(service)).Ids().Should().Equal("a");
    }

    [Fact]
    public async Task When_very_many_leases_run_out_at_once_most_are_held()
    {
        const int Instances = 25;
        // A proxy of its own: the guard counts all leases of a proxy.
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions
        {
            Guards = true,
            Arguments = ["--Defaults:HealthCheck:Interval=00:00:05", "--Defaults:HealthCheck:Timeout=00:00:05", "--Defaults:HealthCheck:Fast=00:00:00.2", "--Defaults:Ttl=00:00:10"],
        });
        await using var a = await Backend.StartAsync("a");
        await using var dying = await Backend.StartAsync("dying");
        var names = Enumerable.Range(1, Instances - 1).Select(n => "i" + n.ToString(CultureInfo.InvariantCulture)).ToArray();
        await Task.WhenAll(names.Select(name => proxy.Registry.RegisterActiveAsync("s", a, name)));
        await proxy.Registry.RegisterActiveAsync("s", dying);
        foreach (var name in names.Append("dying"))
        {
            using var heartbeat = await proxy.Registry.HeartbeatAsync("s", name);
            heartbeat.StatusCode.Should().Be(HttpStatusCode.NoContent);
        }

        var load = TimedLoad.Start(proxy.Address, 2, "/s/delay?ms=5");

        var degraded = await proxy.Registry.UntilAsync("leases are held", "/health", h => h.GetProperty("status").GetString() == "degraded");
        degraded.GetProperty("reasons").EnumerateArray().Should().ContainSingle().Which.GetString().Should().Contain("lease");
        await UntilOverdueAsync(proxy);
        (await CountAsync(proxy)).Should().Be(Instances - 3, "at most three go within a minute");

        // A held one that is really dead goes all the same.
        (await proxy.Registry.ServiceAsync("s")).Ids().Should().Contain("dying", "it was registered last");
        await dying.ModeAsync(new BackendMode(Health: new BackendHealthMode(Status: 503)));
        await proxy.Registry.UntilAsync("the dead one is gone", "/services/s", s => !s.Ids().Contains("dying"));
        (await CountAsync(proxy)).Should().Be(Instances - 4);

        foreach (var name in (await proxy.Registry.ServiceAsync("s")).Ids())
        {
            using var heartbeat = await proxy.Registry.HeartbeatAsync("s", name);
            heartbeat.StatusCode.Should().Be(HttpStatusCode.NoContent);
        }

        await proxy.Registry.UntilAsync("heartbeats are back", "/health", h => h.GetProperty("status").GetString() == "healthy");
        (await load.StopAsync()).Should().NotContain(r => r.Failed);
    }

    /// <summary>Until every lease ran out more than two looks ago: whoever has not gone by then is held.</summary>
    private static Task UntilOverdueAsync(ProxyProcess proxy) => proxy.Registry.UntilAsync(
        "every lease has been over for two seconds", "/services/s",
        s => s.GetProperty("instances").EnumerateArray().All(i => DateTimeOffset.UtcNow - i.GetProperty("lease").GetProperty("expires_at").GetDateTimeOffset() > TimeSpan.FromSeconds(2)),
        TimeSpan.FromSeconds(40));

    private static async Task<int> CountAsync(ProxyProcess proxy) => (await proxy.Registry.ServiceAsync("s")).Ids().Count;

    private async Task<HttpStatusCode> HeartbeatAsync(string service, string id)
    {
        using var answer = await guarded.Registry.HeartbeatAsync(service, id);
        return answer.StatusCode;
    }
}

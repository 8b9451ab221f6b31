using System.Diagnostics;
using Alicia.Proxy.IntegrationTests.Harness;
using Xunit.Abstractions;

namespace Alicia.Proxy.IntegrationTests.Guarding;

/// <summary>A proxy that starts again goes on with those that were active, and finds out who has died meanwhile before it calls itself ready.</summary>
public sealed class RestartTests(ITestOutputHelper output)
{
    /// <summary>Probes by schedule come too late to matter.</summary>
    private static readonly IReadOnlyList<string> _rare = ["--Defaults:HealthCheck:Interval=01:00:00", "--Defaults:HealthCheck:Timeout=00:00:30", "--Defaults:HealthCheck:Fast=01:00:00"];

    [Fact]
    public async Task What_was_active_takes_requests_before_it_is_probed()
    {
        await using var backend = await Backend.StartAsync("a");
        await using var proxy = await StartAsync(_rare, waitForReady: false);
        await proxy.Registry.RegisterActiveAsync("s", backend);
        await backend.ModeAsync(new BackendMode(Health: new BackendHealthMode(Hang: true)));

        await proxy.RestartAsync();

        var document = await proxy.Registry.InstanceAsync("s", "a");
        (document.State(), document.Health(), document.Circuit()).Should().Be(("active", "unknown", "closed"));
        using var answer = await proxy.Http.GetAsync("/s/status/204");
        ((int)answer.StatusCode).Should().Be(204);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_has_died_meanwhile_is_out_when_the_proxy_is_ready(bool kill)
    {
        await using var a = await Backend.StartAsync("a");
        await using var b = await Backend.StartAsync("b");
        await using var proxy = await StartAsync(_rare);
        await proxy.Registry.RegisterActiveAsync("s", a);
        await proxy.Registry.RegisterActiveAsync("s", b);
        await proxy.StopAsync(kill);
        b.Process.Kill();
        await b.Process.WaitForExitAsync();

        await proxy.StartAgainAsync();

        var document = await proxy.Registry.ServiceAsync("s");
        (document.Instance("a").State(), document.Instance("a").Health()).Should().Be(("active", "healthy"));
        (document.Instance("b").State(), document.Instance("b").Health()).Should().Be(("active", "unhealthy"));
        for (var i = 0; i < 20; i++)
        {
            using var answer = await proxy.Http.GetAsync("/s/status/204");
            ((int)answer.StatusCode).Should().Be(204);
        }
    }

    [Fact]
    public async Task One_that_hangs_keeps_the_proxy_from_being_ready_for_three_seconds_at_most()
    {
        await using var a = await Backend.StartAsync("a");
        await using var hangs = await Backend.StartAsync("hangs");
        await using var proxy = await StartAsync(_rare, waitForReady: false);
        await proxy.Registry.RegisterActiveAsync("s", a);
        await proxy.Registry.RegisterActiveAsync("s", hangs);
        await hangs.ModeAsync(new BackendMode(Health: new BackendHealthMode(Hang: true)));

        await proxy.RestartAsync();
        var listening = Stopwatch.GetTimestamp();
        using (var early = await proxy.Api.GetAsync("/health/ready"))
            ((int)early.StatusCode).Should().Be(503);
        await proxy.UntilReadyAsync();

        var elapsed = Stopwatch.GetElapsedTime(listening);
        output.WriteLine($"ready {elapsed.TotalSeconds:0.00} s after it listened");
        elapsed.Should().BeGreaterThan(TimeSpan.FromSeconds(1)).And.BeLessThan(TimeSpan.FromSeconds(8));
        (await proxy.Registry.ServiceAsync("s")).Instance("hangs").Health().Should().Be("unknown");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_was_pending_is_pending(bool kill)
    {
        await using var a = await Backend.StartAsync("a");
        await using var b = await Backend.StartAsync("b");
        await using var proxy = await StartAsync(GuardedProxy.Quick);
        await proxy.Registry.RegisterActiveAsync("s", a);
        await b.ModeAsync(new BackendMode(Health: new BackendHealthMode(Status: 503)));
        using (var pending = await proxy.Registry.RegisterAsync("s", b, query: "wait=10"))
            (await RegistryApi.DocumentOfAsync(pending)).State().Should().Be("pending");

        await proxy.RestartAsync(kill);

        (await proxy.Registry.InstanceAsync("s", "b")).State().Should().Be("pending");
        await Load.RunAsync(proxy.Address, 4, 100, _ => "/s/status/204");
        (await b.StatsAsync()).Requests.Should().Be(0);
        await b.ModeAsync();
        var active = await proxy.Registry.UntilInstanceAsync("s", "b", "active", i => i.State() == "active");
        active.Health().Should().Be("healthy");

        await proxy.RestartAsync(kill);
        (await proxy.Registry.InstanceAsync("s", "b")).State().Should().Be("active", "admission is durable");
    }

    [Fact]
    public async Task Leases_begin_anew()
    {
        await using var a = await Backend.StartAsync("a");
        await using var proxy = await StartAsync(_rare);
        var before = (await proxy.Registry.RegisterActiveAsync("s", a, extra: new { ttl_seconds = 60 })).GetProperty("lease").GetProperty("expires_at").GetDateTimeOffset();

        await proxy.RestartAsync();

        var after = (await proxy.Registry.InstanceAsync("s", "a")).GetProperty("lease").GetProperty("expires_at").GetDateTimeOffset();
        after.Should().BeAfter(before).And.BeCloseTo(DateTimeOffset.UtcNow.AddSeconds(60), TimeSpan.FromSeconds(20));
    }

    private static Task<ProxyProcess> StartAsync(IReadOnlyList<string> arguments, bool waitForReady = true) =>
        ProxyProcess.StartAsync(new ProxyOptions { Guards = true, Arguments = [.. arguments, "--Shutdown:Grace=00:00:00"], WaitForReady = waitForReady });
}

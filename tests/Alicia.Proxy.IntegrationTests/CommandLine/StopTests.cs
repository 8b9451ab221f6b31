using System.Diagnostics;
using System.Net;
using Alicia.Proxy.IntegrationTests.Api;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.CommandLine;

/// <summary>The proxy leaves in order: not ready, then no new connections, then what is in flight finishes, and never later than it says.</summary>
public sealed class StopTests
{
    [Fact]
    public async Task In_the_grace_period_it_is_not_ready_and_still_accepts_then_the_request_in_flight_finishes()
    {
        await using var backend = await Backend.StartAsync("A");
        await using var proxy = await StartAsync(backend, grace: 2, timeout: 15);
        var held = proxy.Http.GetAsync("/s/hold/key");
        await backend.UntilHeldAsync("key", 1);

        proxy.Process.Terminate();
        await Eventually.Until("it is not ready", async () => await proxy.Api.GetAsync("/health/ready").StatusAsync() == 503);
        (await proxy.Api.GetAsync("/health/live").StatusAsync()).Should().Be(200);
        using (var fresh = Clients.Create(proxy.Address))
            (await fresh.GetAsync("/s/status/200").StatusAsync()).Should().Be(200);

        await Eventually.Until("it accepts no more", async () =>
        {
            try
            {
                using var refused = await RawConnection.ConnectAsync(proxy.Address);
                return false;
            }
            catch (System.Net.Sockets.SocketException)
            {
                return true;
            }
        });
        proxy.Process.HasExited.Should().BeFalse("a request is in flight");
        held.IsCompleted.Should().BeFalse();
        await backend.ReleaseAsync("key");

        (await held.StatusAsync()).Should().Be(200);
        (await proxy.Process.WaitForExitAsync()).Should().Be(0);
    }

    [Fact]
    public async Task An_answer_on_a_kept_connection_after_the_grace_period_says_that_it_closes()
    {
        await using var backend = await Backend.StartAsync("A");
        await using var proxy = await StartAsync(backend, grace: 1, timeout: 15);
        using var kept = await RawConnection.ConnectAsync(proxy.Address);
        await kept.SendAsync("GET /s/status/204 HTTP/1.1\r\nHost: x\r\n\r\n");
        (await kept.ReadHeadAsync()).Text.Should().NotContainEquivalentOf("Connection:");
        await kept.SendAsync("GET /s/hold/key HTTP/1.1\r\nHost: x\r\n\r\n");
        await backend.UntilHeldAsync("key", 1);
        using var idle = await RawConnection.ConnectAsync(proxy.Address);
        await idle.SendAsync("GET /s/status/204 HTTP/1.1\r\nHost: x\r\n\r\n");
        (await idle.ReadHeadAsync()).Text.Should().StartWith("HTTP/1.1 204 ");

        proxy.Process.Terminate();
        (await idle.ReadToEndAsync()).Should().Be(("", RawEnd.Closed), "an idle connection ends with the grace period, in order");
        await backend.ReleaseAsync("key");

        (await kept.ReadHeadAsync()).Text.Should().StartWith("HTTP/1.1 200 ").And.Contain("\r\nConnection: close\r\n");
        (await kept.ReadToEndAsync()).End.Should().Be(RawEnd.Closed);
        (await proxy.Process.WaitForExitAsync()).Should().Be(0);
    }

    [Fact]
    public async Task A_request_that_outlasts_the_timeout_holds_it_no_longer()
    {
        await using var backend = await Backend.StartAsync("A");
        await using var proxy = await StartAsync(backend, grace: 0, timeout: 1);
        var hanging = proxy.Http.GetAsync("/s/hang");
        await backend.UntilStatsAsync("in flight", stats => stats.InFlight == 1);

        var start = Stopwatch.GetTimestamp();
        (await proxy.StopAsync()).Should().Be(0);

        Stopwatch.GetElapsedTime(start).Should().BeGreaterThan(TimeSpan.FromSeconds(0.9)).And.BeLessThan(TimeSpan.FromSeconds(6));
        await ((Func<Task>)(() => hanging)).Should().ThrowAsync<HttpRequestException>();
    }

    [Fact]
    public async Task A_second_signal_ends_the_grace_period()
    {
        await using var backend = await Backend.StartAsync("A");
        await using var proxy = await StartAsync(backend, grace: 600, timeout: 8);
        proxy.Process.Terminate();
        await Eventually.Until("it is not ready", async () => await proxy.Api.GetAsync("/health/ready").StatusAsync() == 503);

        proxy.Process.Terminate();

        (await proxy.Process.WaitForExitAsync()).Should().Be(0);
    }

    [Fact]
    public async Task A_signal_after_the_grace_period_ends_the_wait_for_requests()
    {
        await using var backend = await Backend.StartAsync("A");
        await using var proxy = await StartAsync(backend, grace: 0, timeout: 600);
        var hanging = proxy.Http.GetAsync("/s/hang");
        await backend.UntilStatsAsync("in flight", stats => stats.InFlight == 1);
        proxy.Process.Terminate();
        await Eventually.Until("it accepts no more", async () =>
        {
            try
            {
                using var refused = await RawConnection.ConnectAsync(proxy.Address);
                return false;
            }
            catch (System.Net.Sockets.SocketException)
            {
                return true;
            }
        });

        proxy.Process.Terminate();

        (await proxy.Process.WaitForExitAsync()).Should().Be(0);
        await ((Func<Task>)(() => hanging)).Should().ThrowAsync<HttpRequestException>();
    }

    [Fact]
    public async Task An_idle_proxy_does_not_wait_for_idle_connections()
    {
        await using var backend = await Backend.StartAsync("A");
        await using var proxy = await StartAsync(backend, grace: 0, timeout: 600);
        (await proxy.Http.GetAsync("/s/status/200")).StatusCode.Should().Be(HttpStatusCode.OK);

        (await proxy.StopAsync()).Should().Be(0);
    }

    private static async Task<ProxyProcess> StartAsync(Backend backend, int grace, int timeout)
    {
        var proxy = await ProxyProcess.StartAsync(new ProxyOptions
        {
            Arguments = [$"--Shutdown:Grace={TimeSpan.FromSeconds(grace)}", $"--Shutdown:Timeout={TimeSpan.FromSeconds(timeout)}"],
        });
        await proxy.Registry.RegisterActiveAsync("s", backend);
        return proxy;
    }
}

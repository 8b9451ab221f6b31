using Alicia.Proxy.IntegrationTests.Guarding;
using Alicia.Proxy.IntegrationTests.Harness;
using Xunit.Abstractions;

namespace Alicia.Proxy.IntegrationTests.Faults;

/// <summary>An instance is killed, or stops dead with its connections open, while others serve under load: no GET fails, and a POST fails only when it was at work there.</summary>
[Trait("Depends", "forwarder")]
public sealed class CrashTests(ITestOutputHelper output)
{
    private static readonly IReadOnlyList<Caller> _callers = Caller.OfEachKind(3);

    private static Task<ProxyProcess> StartAsync() =>
        ProxyProcess.StartAsync(new ProxyOptions { Guards = true, Arguments = [.. GuardedProxy.Quick, "--Defaults:Retry:BudgetPercent=100"] });

    [Fact]
    public async Task An_instance_killed_under_load_costs_no_GET_and_of_the_POSTs_only_those_at_work_in_it()
    {
        using var journal = new Journal();
        await using var proxy = await StartAsync();
        await using var a = await Backend.StartAsync("a", journal: journal);
        await using var b = await Backend.StartAsync("b", journal: journal);
        await using var victim = await Backend.StartAsync("victim", journal: journal);
        foreach (var backend in new[] { a, b, victim })
            await proxy.Registry.RegisterActiveAsync("s", backend);
        var load = LedgerLoad.Start(proxy.Address, _callers, "/s/delay?ms=20");
        await load.MoreAsync(100);

        victim.Process.Kill();
        await proxy.Registry.UntilInstanceAsync("s", "victim", "out", i => i.Health() == "unhealthy" || i.Circuit() == "open");
        await load.MoreAsync(500);
        var ledger = await load.StopAsync(journal);

        output.WriteLine($"{ledger}");
        ledger.ShouldBalance();
        ledger.Some(f => f is { Failed: true, Method: "GET" }).Should().BeEmpty();
        ledger.FailedPosts.Should().HaveCountLessThanOrEqualTo(_callers.Count / 2, "no more than one of each caller was on its way");
        ledger.Some(f => f is { Failed: true, Method: "POST" } && f.Error != "connection_terminated").Should().BeEmpty();
    }

    /// <summary>A process that is stopped keeps its connections, and the kernel goes on accepting for it: only time tells. It works off what it had read when it goes on.</summary>
    [Fact]
    public async Task An_instance_that_hangs_under_load_costs_no_GET_and_no_POST_is_sent_twice()
    {
        using var journal = new Journal();
        await using var proxy = await StartAsync();
        await using var a = await Backend.StartAsync("a", journal: journal);
        await using var victim = await Backend.StartAsync("victim", journal: journal);
        using (var put = await proxy.Registry.PutServiceAsync("s", new { timeouts = new { response = 3 }, retry = new { per_try = 1 } }))
            await RegistryApi.DocumentOfAsync(put);
        foreach (var backend in new[] { a, victim })
            await proxy.Registry.RegisterActiveAsync("s", backend);
        var load = LedgerLoad.Start(proxy.Address, _callers, "/s/delay?ms=20");
        await load.MoreAsync(100);

        victim.Process.Pause();
        try
        {
            await proxy.Registry.UntilInstanceAsync("s", "victim", "out", i => i.Health() == "unhealthy" || i.Circuit() == "open");
            await load.MoreAsync(300);
        }
        finally
        {
            victim.Process.Resume();
        }

        await proxy.Registry.UntilInstanceAsync("s", "victim", "back", i => i.Health() == "healthy" && i.Circuit() == "closed");
        await load.MoreAsync(100);
        await load.StopAsync(journal);
        // What lay unread in its connections while it was stopped has been read when nothing is at work any more.
        await victim.UntilStatsAsync("nothing is at work", s => s.InFlight == 0);
        var ledger = await load.StopAsync(journal);

        output.WriteLine($"{ledger}");
        ledger.ShouldBalance();
        ledger.Some(f => f is { Failed: true, Method: "GET" }).Should().BeEmpty();
        ledger.Some(f => f is { Failed: true, Method: "POST" } && f.Error != "http_response_timeout").Should().BeEmpty();
        ledger.FailedPosts.Should().HaveCountLessThanOrEqualTo(_callers.Count / 2);
    }

    /// <summary>The last instance dies: requests are refused and say so, none hangs, and all is well when it is back.</summary>
    [Fact]
    public async Task When_the_only_instance_crashes_requests_are_refused_until_it_is_back()
    {
        using var journal = new Journal();
        await using var proxy = await StartAsync();
        await using var first = await Backend.StartAsync("only", journal: journal);
        await proxy.Registry.RegisterActiveAsync("s", first);
        var load = LedgerLoad.Start(proxy.Address, _callers, "/s/delay?ms=5");
        await load.MoreAsync(100);

        first.Process.Kill();
        await proxy.Registry.UntilInstanceAsync("s", "only", "out", i => i.Health() == "unhealthy");
        await load.MoreAsync(100);
        await using var second = await Backend.StartAsync("only", port: first.Port, journal: journal);
        await proxy.Registry.RegisterActiveAsync("s", second);
        await proxy.Registry.UntilAsync("the circuit is closed", "/services/s/only", i => i.Circuit() == "closed");
        var seen = await load.StopAsync(journal);
        var after = await LedgerLoad.RunAsync(proxy.Address, _callers, "/s/delay?ms=5", 10, journal);

        output.WriteLine($"meanwhile: {seen}\nafter: {after}");
        seen.Some(f => f.Status is not (200 or 502 or 503)).Should().BeEmpty();
        seen.Some(f => f.Failed && f.Error is not ("connection_terminated" or "connection_refused" or "destination_unavailable")).Should().BeEmpty();
        seen.Some(f => f.Error is "connection_refused" or "destination_unavailable" && f.Method == "POST" && seen.ArrivalsOf(f) > 0).Should().BeEmpty("these were not sent");
        seen.Some(f => f.Method == "POST" && seen.ArrivalsOf(f) > 1).Should().BeEmpty();
        after.Some(f => f.Failed || after.ArrivalsOf(f) != 1).Should().BeEmpty();
    }
}

using Alicia.Proxy.IntegrationTests.Guarding;
using Alicia.Proxy.IntegrationTests.Harness;
using Xunit.Abstractions;

namespace Alicia.Proxy.IntegrationTests.Faults;

/// <summary>An instance is killed, or stops dead with its connections open, while others serve under load: no GET fails, and a POST fails only when it was at work there.</summary>
public sealed partial class CrashTests(ITestOutputHelper output)
{
    private static readonly IReadOnlyList<Caller> _callers = Caller.OfEachKind(3);

    private static Task<ProxyProcess> StartAsync() =>
        ProxyProcess.StartAsync(new ProxyOptions { Guards = true, Arguments = [.. GuardedProxy.Quick, "--Defaults:Retry:BudgetPercent=100"] });

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

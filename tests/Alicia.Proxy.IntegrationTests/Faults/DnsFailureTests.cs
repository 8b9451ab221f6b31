using Alicia.Proxy.IntegrationTests.Guarding;
using Alicia.Proxy.IntegrationTests.Harness;
using Xunit.Abstractions;

namespace Alicia.Proxy.IntegrationTests.Faults;

/// <summary>The name of an instance comes to mean a dead address, then nothing, then the living one again, under load: no request fails, and the instance is back by itself.</summary>
public sealed class DnsFailureTests(ITestOutputHelper output)
{
    private static readonly TimeSpan _renewal = TimeSpan.FromSeconds(40);

    [NeedsOwnHostsFact]
    public async Task A_name_that_fails_under_load_costs_no_request()
    {
        using var journal = new Journal();
        using var hosts = new OwnHosts("127.0.0.1 named.test");
        await using var a = await Backend.StartAsync("a", journal: journal);
        await using var named = await Backend.StartAsync("named", journal: journal);
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Guards = true, Arguments = GuardedProxy.Quick, Wrapper = hosts.Wrapper });
        await proxy.Registry.RegisterActiveAsync("s", a);
        using (var registered = await proxy.Registry.RegisterAsync("s", "named.test", named.Port, "named", query: "wait=10"))
            (await RegistryApi.DocumentOfAsync(registered)).State().Should().Be("active");
        var load = LedgerLoad.Start(proxy.Address, Caller.OfEachKind(1), "/s/delay?ms=10");
        await load.MoreAsync(40);

        hosts.Write("127.0.0.9 named.test");
        await proxy.Registry.UntilInstanceAsync("s", "named", "its address is dead", i => i.Health() == "unhealthy", _renewal);
        hosts.Write("");
        await load.MoreAsync(40);
        hosts.Write("127.0.0.1 named.test");
        await proxy.Registry.UntilInstanceAsync("s", "named", "it is back", i => i.Health() == "healthy" && i.Circuit() == "closed", _renewal);
        var before = journal.ArrivalsAt("named").Count;
        await Eventually.Until("it has its turns again", () => journal.ArrivalsAt("named").Count > before);
        var ledger = await load.StopAsync(journal);

        output.WriteLine($"{ledger}");
        ledger.Some(f => f.Failed).Should().BeEmpty();
        ledger.ShouldBalance();
    }
}

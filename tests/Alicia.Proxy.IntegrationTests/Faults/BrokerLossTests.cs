using Alicia.Proxy.IntegrationTests.Harness;
using Xunit.Abstractions;
using static Alicia.Proxy.IntegrationTests.Bus.BusProxy;

namespace Alicia.Proxy.IntegrationTests.Faults;

/// <summary>The broker is killed, hangs and comes back under load: requests and registrations go on, what the bus had announced stays, and the bus is heard again.</summary>
public sealed class BrokerLossTests(ITestOutputHelper output)
{
    [NeedsPackageFact(Mosquitto.Package, Mosquitto.Clients)]
    public async Task A_broker_that_dies_hangs_and_returns_costs_no_request()
    {
        using var journal = new Journal();
        await using var broker = await Mosquitto.StartAsync();
        await using var a = await Backend.StartAsync("a", journal: journal);
        await using var b = await Backend.StartAsync("b", journal: journal);
        await using var proxy = await StartConnectedAsync(broker.Port);
        await broker.PublishAsync(Register, Announcement("tts", a));
        await UntilAnsweredAsync(proxy, "tts", 204);
        var load = LedgerLoad.Start(proxy.Address, Caller.OfEachKind(2), "/tts/delay?ms=5");
        await load.MoreAsync(50);

        await broker.KillAsync();
        await UntilConnectedAsync(proxy, connected: false);
        await load.MoreAsync(100);
        await proxy.Registry.RegisterActiveAsync("stt", b);
        await AnsweredAsync(proxy, "stt");

        await broker.StartAgainAsync();
        await UntilConnectedAsync(proxy);
        await load.MoreAsync(50);
        broker.Process.Pause();
        try
        {
            await load.MoreAsync(300);
            await proxy.Registry.RegisterActiveAsync("stt", b, "again");
        }
        finally
        {
            broker.Process.Resume();
        }

        // Heard again: what is announced now is proxied.
        await UntilConnectedAsync(proxy);
        await Eventually.Until("an announcement is heard", async () =>
        {
            await broker.PublishAsync(Register, Announcement("new", b));
            using var answer = await proxy.Http.GetAsync("/new/status/204");
            return (int)answer.StatusCode == 204;
        });
        var ledger = await load.StopAsync(journal);

        output.WriteLine($"{ledger}");
        ledger.Some(f => f.Failed || ledger.ArrivalsOf(f) != 1).Should().BeEmpty();
    }
}

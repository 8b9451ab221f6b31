using Alicia.Proxy.IntegrationTests.Harness;
using Xunit.Abstractions;

namespace Alicia.Proxy.IntegrationTests.Faults;

/// <summary>An instance that closes kept connections at the worst moment: right after its answer, when the next request may be on its way already; or when the next request has just come.</summary>
public sealed partial class IdleCloseTests(FaultyService faulty, ITestOutputHelper output) : IClassFixture<FaultyService>
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    /// <summary>The kernel has the closing before the next request is there: it is seen before anything is sent.</summary>
    [Theory]
    [InlineData("GET")]
    [InlineData("POST")]
    public async Task A_closing_that_comes_before_the_next_request_costs_nothing(string method)
    {
        using var closed = new SemaphoreSlim(0);
        await using var closing = faulty.Scripted(async (wire, _) =>
        {
            await wire.SendAsync(Ok);
            wire.Socket.Close();
            closed.Release();
            return false;
        });
        var service = await faulty.ServiceAsync(new { retry = new { attempts = 0 } }, good: false, bad: ("127.0.0.1", closing.Port));
        var fates = new List<Fate>();
        for (var i = 0; i < 50; i++)
        {
            var ledger = await LedgerLoad.RunAsync(faulty.Proxy.Address, [new Caller(method, Keep: true)], $"/{service}/x", 1, faulty.Journal);
            fates.AddRange(ledger.Fates);
            (await closed.WaitAsync(Deadlines.Wait)).Should().BeTrue();
        }

        var all = new Ledger(fates, faulty.Journal.Arrivals());
        output.WriteLine($"{all}");
        all.Some(f => f.Failed || all.ArrivalsOf(f) != 1).Should().BeEmpty();
    }
}

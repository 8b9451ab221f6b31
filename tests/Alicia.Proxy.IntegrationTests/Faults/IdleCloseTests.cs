using Alicia.Proxy.IntegrationTests.Harness;
using Xunit.Abstractions;

namespace Alicia.Proxy.IntegrationTests.Faults;

/// <summary>An instance that closes kept connections at the worst moment: right after its answer, when the next request may be on its way already; or when the next request has just come.</summary>
[Trait("Depends", "forwarder")]
public sealed class IdleCloseTests(FaultyService faulty, ITestOutputHelper output) : IClassFixture<FaultyService>
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

    /// <summary>Closing and next request may cross on the wire. Nobody can tell then whether the instance has the request, so a POST is not sent again; a GET is.</summary>
    [Fact]
    public async Task A_closing_that_crosses_the_next_request_costs_no_GET_and_a_POST_is_not_sent_again()
    {
        await using var closing = faulty.Scripted(async (wire, _) =>
        {
            await wire.SendAsync(Ok);
            return false;
        });
        // There is no other instance, and on a busy machine each next try can meet a kept connection that is closing too: ten in a row will not.
        var service = await faulty.ServiceAsync(
            new { retry = new { attempts = 10, budget_percent = 100, reserve = 1000 } }, good: false, bad: ("127.0.0.1", closing.Port));

        var ledger = await LedgerLoad.RunAsync(faulty.Proxy.Address, Caller.OfEachKind(2), $"/{service}/x", 50, faulty.Journal);

        output.WriteLine($"{ledger}");
        ledger.ShouldBalance(tries: 1);
        ledger.Some(f => f is { Failed: true, Method: "GET" }).Should().BeEmpty();
        ledger.Some(f => f.Failed && ledger.ArrivalsOf(f) != 0).Should().BeEmpty("the instance reads nothing after its answer");
    }

    /// <summary>Answers the first request of each connection; reads the second, and closes. The POST may have done its work.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_connection_that_closes_when_the_next_request_has_come_costs_no_GET_and_no_POST_is_sent_again(bool reset)
    {
        await using var closing = WireServer.Start(async wire =>
        {
            var first = await wire.ReadMessageAsync();
            if (first is null)
                return;
            faulty.Journal.Note(FaultyService.Bad, first);
            await wire.SendAsync(Ok);
            if (await wire.ReadMessageAsync() is not { } second)
                return;
            faulty.Journal.Note(FaultyService.Bad, second);
            if (reset)
                wire.Socket.Close(timeout: 0);
        });
        var service = await faulty.ServiceAsync(
            new { retry = new { attempts = 1, budget_percent = 100, reserve = 1000 } }, good: true, bad: ("127.0.0.1", closing.Port));

        var ledger = await LedgerLoad.RunAsync(faulty.Proxy.Address, Caller.OfEachKind(2), $"/{service}/echo", 40, faulty.Journal);

        output.WriteLine($"{ledger}");
        ledger.ShouldBalance();
        ledger.Some(f => f is { Failed: true, Method: "GET" }).Should().BeEmpty();
        ledger.FailedPosts.Should().NotBeEmpty("some of them came second");
        ledger.Some(f => f is { Failed: true, Method: "POST" } && (f.Error != "connection_terminated" || ledger.ArrivalsOf(f) != 1)).Should().BeEmpty();
    }
}

using Alicia.Proxy.IntegrationTests.Harness;
using Xunit.Abstractions;

namespace Alicia.Proxy.IntegrationTests.Faults;

/// <summary>
/// An instance that reads requests and never gives a whole head back, beside one that works. It has had the request: a GET goes to the other one, a POST is told what happened and is not sent again.
/// </summary>
[Trait("Depends", "forwarder")]
public sealed class BrokenInstanceTests(FaultyService faulty, ITestOutputHelper output) : IClassFixture<FaultyService>
{
    private const int Each = 20;

    /// <summary>What is said in place of an answer; then, how the connection ends.</summary>
    private static readonly Dictionary<string, (string Said, string End, string Error)> _faults = new()
    {
        ["closes before the head"] = ("", "close", "connection_terminated"),
        ["resets before the head"] = ("", "reset", "connection_terminated"),
        ["half a head, then closes"] = ("HTTP/1.1 200 OK\r\nContent-Le", "close", "connection_terminated"),
        ["half a head, then resets"] = ("HTTP/1.1 200 OK\r\nContent-Le", "reset", "connection_terminated"),
        ["hangs"] = ("", "hang", "http_response_timeout"),
        ["half a head, then hangs"] = ("HTTP/1.1 200 OK\r\nContent-Le", "hang", "http_response_timeout"),
        ["trickles its head without end"] = ("HTTP/1.1 200 OK\r\nX-Slow: ", "trickle", "http_response_timeout"),
    };

    /// <summary>Retries wherever they are allowed.</summary>
    private static readonly object _eager = new { retry = new { attempts = 3, budget_percent = 100, reserve = 1000 } };

    public static TheoryData<string> Faults => [.. _faults.Keys];

    [Theory]
    [MemberData(nameof(Faults))]
    public async Task A_GET_is_answered_by_the_other_instance_and_a_POST_is_not_sent_again(string fault)
    {
        var (said, end, error) = _faults[fault];
        await using var bad = faulty.Scripted((wire, _) => MisbehaveAsync(wire, said, end));
        var slow = end is "hang" or "trickle";
        // Long enough for the good instance on a busy machine.
        var service = await faulty.ServiceAsync(
            new { timeouts = new { response = slow ? 1 : 20 }, retry = new { attempts = 1, budget_percent = 100, reserve = 1000 } }, good: true, bad: ("127.0.0.1", bad.Port));

        var ledger = await faulty.LoadAsync(service, slow ? 4 : Each);

        output.WriteLine($"{fault}: {ledger}");
        ledger.ShouldBalance();
        ledger.Some(f => f is { Failed: true, Method: "GET" }).Should().BeEmpty();
        ledger.FailedPosts.Should().NotBeEmpty("it had its turns");
        ledger.Some(f => f is { Failed: true, Method: "POST" } && (f.Error != error || ledger.ArrivalsOf(f) != 1)).Should().BeEmpty();
        var atBad = faulty.Journal.ArrivalsAt(FaultyService.Bad);
        ledger.Fates.Count(f => f.Method == "GET" && atBad.ContainsKey(f.Id)).Should().BePositive("it had its turns");
        ledger.Some(f => atBad.GetValueOrDefault(f.Id) > 1).Should().BeEmpty("a retry goes to another instance");
    }

    [Fact]
    public async Task Where_every_instance_breaks_off_each_request_is_answered_with_what_happened()
    {
        await using var one = faulty.Scripted((_, _) => Task.FromResult(false));
        await using var two = faulty.Scripted((_, _) => Task.FromResult(false));
        var service = await faulty.ServiceAsync(
            new { retry = new { attempts = 5, budget_percent = 100, reserve = 1000 } }, good: false, bad: [("127.0.0.1", one.Port), ("127.0.0.1", two.Port)]);

        var ledger = await faulty.LoadAsync(service, Each);

        output.WriteLine($"{ledger}");
        ledger.Some(f => f.Status != 502 || f.Error != "connection_terminated").Should().BeEmpty();
        // With nobody else left they ask the same ones again.
        ledger.ShouldBalance(tries: 6);
        ledger.Some(f => f.Method == "GET" && ledger.ArrivalsOf(f) < 2).Should().BeEmpty("both were asked");
    }

    /// <summary>Half an answer is no reason to ask again: the caller has its head. It never looks whole.</summary>
    [Theory]
    [InlineData("cut?after=10&length=1000")]
    [InlineData("cut?after=10")]
    public async Task An_answer_that_breaks_off_in_its_body_never_looks_whole_and_is_not_asked_for_again(string cut)
    {
        var service = await faulty.ServiceAsync(_eager, good: true);
        await faulty.Proxy.Registry.RegisterActiveAsync(service, faulty.Backend, "twin");

        var ledger = await faulty.LoadAsync(service, Each, cut);

        output.WriteLine($"{cut}: {ledger}");
        ledger.Some(f => f.Status != Fate.NoAnswer || ledger.ArrivalsOf(f) != 1).Should().BeEmpty();
    }

    /// <summary>A reset may overtake what was sent before it, so the caller sees the head or 502; a whole answer it never sees.</summary>
    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhello")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")]
    public async Task An_answer_that_is_reset_in_its_body_never_looks_whole(string said)
    {
        await using var bad = faulty.Scripted((wire, _) => MisbehaveAsync(wire, said, "reset"));
        var service = await faulty.ServiceAsync(_eager, good: false, bad: ("127.0.0.1", bad.Port));

        var ledger = await faulty.LoadAsync(service, Each);

        output.WriteLine($"{ledger}");
        ledger.Some(f => f.Status is not (Fate.NoAnswer or 502) || ledger.ArrivalsOf(f) != 1).Should().BeEmpty();
    }

    /// <summary>A body that comes byte by byte goes on byte by byte, and comes whole.</summary>
    [Fact]
    public async Task An_answer_that_trickles_comes_whole()
    {
        var service = await faulty.ServiceAsync(new { timeouts = new { response = 2, idle = 2 } }, good: true);

        var ledger = await faulty.LoadAsync(service, 2, "stream?chunks=40&ms=60&size=1");

        ledger.Some(f => f.Status != 200 || ledger.ArrivalsOf(f) != 1).Should().BeEmpty();
    }

    private static async Task<bool> MisbehaveAsync(Wire wire, string said, string end)
    {
        if (said.Length > 0)
            await wire.SendAsync(said);
        switch (end)
        {
            case "reset":
                wire.Socket.Close(timeout: 0);
                break;
            case "hang":
                await wire.ReadSomeAsync();
                break;
            case "trickle":
                // Until the proxy has had enough. The instance's own pace, not a wait for something to happen.
                for (var i = 0; i < 1000; i++)
                {
                    await wire.SendAsync("x");
                    await Task.Delay(50);
                }

                break;
        }

        return false;
    }
}

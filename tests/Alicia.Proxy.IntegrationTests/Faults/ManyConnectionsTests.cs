using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using Alicia.Proxy.IntegrationTests.Harness;
using Xunit.Abstractions;

namespace Alicia.Proxy.IntegrationTests.Faults;

/// <summary>Two thousand callers connect at the same moment: each is answered, and what they cost is given back.</summary>
[Trait("Depends", "forwarder")]
[Collection(HeavyTests.Name)]
public sealed class ManyConnectionsTests(ITestOutputHelper output)
{
    private const int Count = 2000;

    [Fact]
    public async Task Two_thousand_connections_opened_at_once_are_all_served()
    {
        using var journal = new Journal();
        await using var a = await Backend.StartAsync("a", journal: journal);
        await using var b = await Backend.StartAsync("b", journal: journal);
        await using var proxy = await ProxyProcess.StartAsync();
        foreach (var backend in new[] { a, b })
            await proxy.Registry.RegisterActiveAsync("s", backend, extra: new { max_connections = Count });

        for (var wave = 0; wave < 2; wave++)
        {
            var start = Stopwatch.GetTimestamp();
            var fates = await Task.WhenAll(Enumerable.Range(0, Count).Select(i => Task.Run(() => AskAsync(proxy.Address, wave, i))));
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"wave {wave}: {fates.Count(f => f.Status == 200)} of {Count} answered in {Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s"));
            var ledger = new Ledger(fates, journal.Arrivals());
            ledger.Some(f => f.Status != 200 || ledger.ArrivalsOf(f) != 1).Should().BeEmpty();
        }

        await proxy.Registry.UntilAsync("nothing in flight", "/stats/s", s => s.GetProperty("active_connections").GetInt64() == 0);
        using var after = await proxy.Http.GetAsync("/s/echo");
        ((int)after.StatusCode).Should().Be(200);
    }

    /// <summary>A connection and a request of its own, as raw as can be: what is to be busy is the proxy.</summary>
    private static async Task<Fate> AskAsync(Uri address, int wave, int number)
    {
        var method = number % 2 == 0 ? "GET" : "POST";
        var id = string.Create(CultureInfo.InvariantCulture, $"many.{wave}.{number}");
        try
        {
            using var caller = await Wire.ConnectAsync(address);
            await caller.SendAsync($"{method} /s/delay?ms=20 HTTP/1.1\r\nHost: x\r\nX-Request-Id: {id}\r\nConnection: close\r\n{(method == "POST" ? "Content-Length: 2\r\n\r\nok" : "\r\n")}");
            var answer = await caller.ReadMessageAsync();
            return answer is null
                ? new Fate(id, method, Fate.NoAnswer, null)
                : new Fate(id, method, int.Parse(answer.StartLine.AsSpan(9, 3), CultureInfo.InvariantCulture), ProxyStatus.ErrorOf(answer.Values("Proxy-Status").FirstOrDefault()));
        }
        catch (Exception broken) when (broken is SocketException or EndOfStreamException or OperationCanceledException)
        {
            return new Fate(id, method, Fate.NoAnswer, broken.Message);
        }
    }
}

using System.Diagnostics;
using System.Net.Sockets;
using Alicia.Proxy.IntegrationTests.Harness;
using Alicia.Proxy.IntegrationTests.Metrics;

namespace Alicia.Proxy.IntegrationTests.Strictness;

/// <summary>Callers that are slow on purpose, and crowds of them.</summary>
[Collection(HeavyTests.Name)]
public sealed class SlowCallerTests
{
    /// <summary>What 10,000 connections may cost in all, with what Kestrel, the guard and their timers keep of each.</summary>
    private const int MiBFor10000 = 400;

    [NeedsFiles(12_000)]
    public async Task Ten_thousand_trickling_connections_leave_others_served_and_are_ended()
    {
        const int slow = 10_000;
        await using var backend = await Backend.StartAsync("served");
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Limits:HeadTimeout=00:00:12", "--Registry:Store=memory"] });
        using var registered = await proxy.Registry.RegisterAsync("web", backend.Host, backend.Port, query: "wait=10");
        await proxy.Http.GetStringAsync("/web/bytes?n=1");
        var before = Memory.ResidentMiB(proxy.Process.Id);
        var callers = new List<Socket>(slow);
        try
        {
            for (var i = 0; i < slow; i++)
            {
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
                callers.Add(socket);
                await socket.ConnectAsync(proxy.Address.Host, proxy.Address.Port);
                await socket.SendAsync("GET /web/ HTTP/1.1\r\nX: "u8.ToArray());
            }

            using var stop = new CancellationTokenSource();
            var trickle = TrickleAsync(callers, stop.Token);
            var slowest = TimeSpan.Zero;
            for (var i = 0; i < 200; i++)
            {
                var startedAt = Stopwatch.GetTimestamp();
                (await proxy.Http.GetByteArrayAsync("/web/bytes?n=100")).Should().HaveCount(100);
                slowest = Stopwatch.GetElapsedTime(startedAt) is var took && took > slowest ? took : slowest;
            }

            slowest.Should().BeLessThan(TimeSpan.FromSeconds(2));
            (Memory.ResidentMiB(proxy.Process.Id) - before).Should().BeLessThan(MiBFor10000);
            await Eventually.Until("the trickling connections are ended", async () => (await MetricsPage.ReadAsync(proxy.Api)).Sum("alicia_client_connections"), open => open < 10, TimeSpan.FromSeconds(60));
            await stop.CancelAsync();
            await trickle;
        }
        finally
        {
            foreach (var socket in callers)
                socket.Dispose();
        }
    }

    [Fact]
    public async Task Connections_beyond_the_limit_in_all_are_closed_and_counted_and_room_that_comes_free_is_used()
    {
        await using var backend = await Backend.StartAsync("served");
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Limits:Connections=3", "--Registry:Store=memory"] });
        using var registered = await proxy.Registry.RegisterAsync("web", backend.Host, backend.Port, query: "wait=10");

        await CrowdAsync(proxy, "all");
    }

    [Fact]
    public async Task Connections_of_one_address_beyond_its_limit_are_closed_and_counted()
    {
        await using var backend = await Backend.StartAsync("served");
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Limits:ConnectionsPerAddress=3", "--Registry:Store=memory"] });
        using var registered = await proxy.Registry.RegisterAsync("web", backend.Host, backend.Port, query: "wait=10");

        await CrowdAsync(proxy, "address");
    }

    [Fact]
    public async Task A_head_that_does_not_come_in_time_is_answered_408_and_an_idle_connection_is_closed()
    {
        await using var backend = await Backend.StartAsync("served");
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Limits:HeadTimeout=00:00:01", "--Limits:IdleTimeout=00:00:01", "--Registry:Store=memory"] });
        using var registered = await proxy.Registry.RegisterAsync("web", backend.Host, backend.Port, query: "wait=10");

        var late = RawHttp.SendAsync(proxy.Address, "GET /web/bytes?n=1 HTTP/1.1\r\nHost: x\r\n");
        var silent = RawHttp.SendAsync(proxy.Address, "");
        var idle = RawHttp.SendAsync(proxy.Address, "GET /web/bytes?n=1 HTTP/1.1\r\nHost: x\r\n\r\n");
        var second = RawHttp.SendAsync(proxy.Address, "GET /web/bytes?n=1 HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost:");

        Errors.ProxyAnswerTests.AssertProblem(await late, new Errors.Expected(408, "http_request_error", 14));
        (await silent).Should().Be(new RawAnswer("", RawEnd.Closed));
        ((await idle).Status, (await idle).End).Should().Be((200, RawEnd.Closed));
        (await second).Text.Should().StartWith("HTTP/1.1 200 ").And.Contain("HTTP/1.1 408 ");
    }

    /// <summary>In heads, in bodies, in answers: what a caller leaves behind is gone when it has gone.</summary>
    [Fact]
    public async Task Callers_that_break_off_by_the_thousand_leave_nothing_behind()
    {
        await using var upstream = new RecordingUpstream();
        await using var backend = await Backend.StartAsync("served");
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Registry:Store=memory", "--Defaults:MaxConnections=5000"] });
        using var registered = await proxy.Registry.RegisterAsync("web", "127.0.0.1", upstream.Port, query: "wait=10");
        using var second = await proxy.Registry.RegisterAsync("large", backend.Host, backend.Port, query: "wait=10");
        string[] beginnings =
        [
            "POST /web/ HTTP/1.1\r\nHost: x\r\nX: ", "POST /web/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf", "POST /web/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            "GET /large/bytes?n=50000000 HTTP/1.1\r\nHost: x\r\n\r\n",
        ];
        await Parallel.ForAsync(0, 200, async (i, _) => await BreakOffAsync(i));
        var before = Memory.ResidentMiB(proxy.Process.Id);

        await Parallel.ForAsync(0, 2000, new ParallelOptions { MaxDegreeOfParallelism = 32 }, async (i, _) => await BreakOffAsync(i));

        await Eventually.Until("all connections are closed", async () => (await MetricsPage.ReadAsync(proxy.Api)).Sum("alicia_client_connections"), open => open == 0);
        await Eventually.Until("nothing is in flight", async () => (await proxy.Registry.GetJsonAsync("/stats")).GetProperty("active_connections").GetInt64(), n => n == 0);
        (Memory.ResidentMiB(proxy.Process.Id) - before).Should().BeLessThan(150);
        upstream.Received.SelectMany(ForwardedRequests.Of).Should().BeEmpty("no request was whole");

        async Task BreakOffAsync(int number)
        {
            using var connection = await RawConnection.ConnectAsync(proxy.Address);
            await connection.SendAsync(beginnings[number % beginnings.Length]);
            if (number % 2 == 0)
                connection.Reset();
        }
    }

    [Fact]
    public async Task A_body_beyond_the_limit_is_refused_with_413_however_it_says_its_length()
    {
        await using var upstream = new RecordingUpstream();
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Limits:BodyBytes=1000", "--Registry:Store=memory"], Listen = "http://127.0.0.1:0;h2c://127.0.0.1:0" });
        using var registered = await proxy.Registry.RegisterAsync("web", "127.0.0.1", upstream.Port, query: "wait=10");
        const string head = "POST /web/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
        var chunk = $"64\r\n{new string('x', 100)}\r\n";

        var exact = await RawHttp.SendAsync(proxy.Address, $"{head}Content-Length: 1000\r\n\r\n{new string('x', 1000)}");
        var longer = await RawHttp.SendAsync(proxy.Address, $"{head}Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n");
        var chunked = await RawHttp.SendAsync(proxy.Address, $"{head}Transfer-Encoding: chunked\r\n\r\n{string.Concat(Enumerable.Repeat(chunk, 11))}0\r\n\r\n");
        using var http2 = await proxy.H2c.PostAsync("/web/", new ByteArrayContent(new byte[1001]));

        exact.Status.Should().Be(200);
        Errors.ProxyAnswerTests.AssertProblem(longer, new Errors.Expected(413, "http_request_error", 14));
        Errors.ProxyAnswerTests.AssertProblem(chunked, new Errors.Expected(413, "http_request_error", 14));
        ((int)http2.StatusCode).Should().Be(413);
        upstream.Received.SelectMany(ForwardedRequests.Of).Should().ContainSingle();
    }

    [Fact]
    public async Task Bodies_that_are_slower_than_the_rates_are_ended()
    {
        await using var backend = await Backend.StartAsync("served");
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Limits:RequestBodyRate=1000", "--Limits:ResponseBodyRate=20000000", "--Registry:Store=memory"] });
        using var registered = await proxy.Registry.RegisterAsync("web", backend.Host, backend.Port, query: "wait=10");
        using var reader = await RawConnection.ConnectAsync(proxy.Address);

        var up = RawHttp.SendAsync(proxy.Address, "POST /web/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc", TimeSpan.FromSeconds(40));
        await reader.SendAsync("GET /web/bytes?n=200000000 HTTP/1.1\r\nHost: x\r\n\r\n");

        (await up).Status.Should().Be(408);
        await Eventually.Until("the caller that does not read is cut off", async () => (await proxy.Registry.GetJsonAsync("/stats/web")).GetProperty("active_connections").GetInt64(), n => n == 0, TimeSpan.FromSeconds(40));
    }

    [Fact]
    public async Task Changed_limits_hold_for_what_begins_afterwards()
    {
        await using var backend = await Backend.StartAsync("served");
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { ConfigJson = """{ "Limits": { "FieldCount": 100 } }""", Arguments = ["--Registry:Store=memory"] });
        using var registered = await proxy.Registry.RegisterAsync("web", backend.Host, backend.Port, query: "wait=10");
        var request = $"GET /web/bytes?n=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{string.Concat(Enumerable.Range(0, 50).Select(i => $"X-{i}: 1\r\n"))}\r\n";
        (await RawHttp.SendAsync(proxy.Address, request)).Status.Should().Be(200);

        await proxy.WriteConfigAsync("""{ "Limits": { "FieldCount": 40 } }""");

        await Eventually.Until("the new limit holds", () => RawHttp.SendAsync(proxy.Address, request), answer => answer.Status == 431);
    }

    private static async Task CrowdAsync(ProxyProcess proxy, string limit)
    {
        const string request = "GET /web/bytes?n=1 HTTP/1.1\r\nHost: x\r\n\r\n";
        var kept = new List<RawConnection>();
        for (var i = 0; i < 3; i++)
        {
            kept.Add(await RawConnection.ConnectAsync(proxy.Address));
            await kept[i].SendAsync(request);
            (await kept[i].ReadHeadAsync()).Text.Should().StartWith("HTTP/1.1 200 ");
        }

        using (var fourth = await RawConnection.ConnectAsync(proxy.Address))
            (await fourth.ReadToEndAsync()).End.Should().BeOneOf(RawEnd.Closed, RawEnd.Reset);
        await kept[0].SendAsync(request);
        (await kept[0].ReadUntilAsync("HTTP/1.1 200 ")).End.Should().Be(RawEnd.Found, "those that were there go on");
        (await MetricsPage.ReadAsync(proxy.Api)).Sum("alicia_client_connections_refused_total", ("limit", limit)).Should().Be(1);

        kept[0].Dispose();
        await Eventually.Until("room that came free is used", () => RawHttp.SendAsync(proxy.Address, "GET /web/bytes?n=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), answer => answer.Status == 200);
        foreach (var connection in kept)
            connection.Dispose();
    }

    /// <summary>A byte now and then on each, for as long as it takes.</summary>
    private static async Task TrickleAsync(List<Socket> callers, CancellationToken stop)
    {
        var letter = "x"u8.ToArray();
        for (var at = 0; !stop.IsCancellationRequested; at = (at + 1) % callers.Count)
        {
            try
            {
                await callers[at].SendAsync(letter, CancellationToken.None);
            }
            catch (SocketException)
            {
                // Ended by the proxy.
            }
            catch (ObjectDisposedException)
            {
                return;
            }

            // The trickle's own pace.
            if (at % 100 == 0)
                await Task.Delay(10, CancellationToken.None);
        }
    }
}

/// <summary>Skips where a process may not have so many files open.</summary>
internal sealed class NeedsFilesAttribute : FactAttribute
{
    public NeedsFilesAttribute(int count)
    {
        var line = File.ReadLines("/proc/self/limits").First(l => l.StartsWith("Max open files", StringComparison.Ordinal));
        var hard = line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[4];
        if (hard != "unlimited" && long.Parse(hard, System.Globalization.CultureInfo.InvariantCulture) < count)
            Skip = $"A process may have {hard} files open here; this needs {count}.";
    }
}

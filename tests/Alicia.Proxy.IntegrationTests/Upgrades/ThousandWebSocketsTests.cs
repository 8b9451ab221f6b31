using System.Globalization;
using System.Net;
using System.Net.WebSockets;
using System.Text;
using Alicia.Proxy.IntegrationTests.Harness;
using Xunit.Abstractions;

namespace Alicia.Proxy.IntegrationTests.Upgrades;

/// <summary>A thousand WebSockets outlive everything that happens to the registry and the configuration; their own instance's removal ends them in order, and no sooner than its drain timeout.</summary>
[Collection(HeavyTests.Name)]
public sealed class ThousandWebSocketsTests(ITestOutputHelper output)
{
    private const int Count = 1000;

    [Fact]
    public async Task They_all_live_through_a_registry_storm_and_end_with_the_drain_timeout_of_their_instance()
    {
        await using var own = await Backend.StartAsync("own");
        await using var other = await Backend.StartAsync("other");
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions
        {
            ConfigJson = """{ "Defaults": { "MaxConnections": 2000 } }""",
            Arguments = ["--Defaults:Drain:Timeout=00:00:07", "--Defaults:HealthCheck:Type=tcp"],
        });
        await proxy.Registry.RegisterActiveAsync("live", own);
        using (var warm = await OpenAsync(proxy))
            await EchoAsync(warm, "warm");
        await proxy.Registry.UntilAsync("none in flight", "/stats/live", s => s.GetProperty("active_connections").GetInt64() == 0);
        var before = Memory.ResidentKiB(proxy.Process.Id);
        var abortedBefore = (await own.StatsAsync()).Aborted;

        var sockets = new List<ClientWebSocket>();
        try
        {
            foreach (var batch in Enumerable.Range(0, Count).Chunk(50))
                sockets.AddRange(await Task.WhenAll(batch.Select(_ => OpenAsync(proxy))));
            await proxy.Registry.UntilAsync("all in flight", "/stats/live", s => s.GetProperty("active_connections").GetInt64() == Count);
            await EchoAllAsync(sockets, "first");
            var each = (Memory.ResidentKiB(proxy.Process.Id) - before) / (double)Count;
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{each:0.0} KiB of the proxy's memory for each idle WebSocket"));
            each.Should().BeLessThan(100);

            await StormAsync(proxy, other);
            await EchoAllAsync(sockets, "after the storm");

            using (var removed = await proxy.Registry.DeleteInstanceAsync("live", "own"))
                removed.StatusCode.Should().Be(HttpStatusCode.Accepted);
            await EchoAllAsync(sockets, "while leaving");
            using (var refused = await proxy.Http.GetAsync("/live/echo"))
                refused.StatusCode.Should().Be(HttpStatusCode.ServiceUnavailable);
            await Task.WhenAll(sockets.Take(10).Select(s => s.CloseAsync((WebSocketCloseStatus)4000, "done", default))).WaitAsync(Deadlines.Wait);
            sockets.Take(10).Should().OnlyContain(s => (int)s.CloseStatus!.Value == 4000);

            await Task.WhenAll(sockets.Skip(10).Select(EndsAsync)).WaitAsync(Deadlines.Wait);
            sockets.Skip(10).Should().OnlyContain(s => s.CloseStatus == WebSocketCloseStatus.EndpointUnavailable);
        }
        finally
        {
            foreach (var socket in sockets)
                socket.Dispose();
        }

        await own.UntilStatsAsync("none in flight at the instance", s => s.InFlight == 0, TimeSpan.FromSeconds(5));
        (await own.StatsAsync()).Aborted.Should().Be(abortedBefore, "every one of them was closed, not cut");
        await proxy.Registry.UntilAsync("none in flight", "/stats/live", s => s.GetProperty("active_connections").GetInt64() == 0);
    }

    private static async Task EndsAsync(ClientWebSocket socket)
    {
        using var late = new CancellationTokenSource(Deadlines.Wait);
        (await socket.ReceiveAsync(new byte[100], late.Token)).MessageType.Should().Be(WebSocketMessageType.Close);
        await socket.CloseOutputAsync(WebSocketCloseStatus.EndpointUnavailable, null, late.Token);
    }

    private static async Task StormAsync(ProxyProcess proxy, Backend other)
    {
        var api = proxy.Registry;
        for (var i = 0; i < 40; i++)
        {
            await Succeeded(api.RegisterAsync("live", other, $"guest-{i}"));
            await Succeeded(api.PatchInstanceAsync("live", $"guest-{i}", new { weight = 1 + i, max_connections = 50 }));
            await Succeeded(api.RegisterAsync($"service-{i}", other, "a"));
            await Succeeded(api.PutServiceAsync($"routed-{i}", new { routes = new[] { new { hosts = new[] { $"r{i}.example.org" } } } }));
            await Succeeded(api.PatchServiceAsync("live", new { algorithm = i % 2 == 0 ? "least_connections" : "round_robin" }));
            await Succeeded(api.DeleteInstanceAsync("live", $"guest-{i}"));
            await Succeeded(api.DeleteServiceAsync($"service-{i}"));
        }

        await proxy.WriteConfigAsync("""
            { "Defaults": { "MaxConnections": 1900 }, "Services": { "fixed": { "Instances": [ { "Host": "127.0.0.1", "Port": 1 } ] } } }
            """);
        await Eventually.Until("the configuration is in force", async () =>
        {
            using var answer = await proxy.Api.GetAsync("/services/fixed");
            return answer.StatusCode == HttpStatusCode.OK;
        }, Deadlines.Start);
    }

    private static async Task Succeeded(Task<HttpResponseMessage> call)
    {
        using var answer = await call;
        answer.IsSuccessStatusCode.Should().BeTrue(await answer.Content.ReadAsStringAsync());
    }

    private static async Task EchoAllAsync(List<ClientWebSocket> sockets, string text)
    {
        for (var i = 0; i < sockets.Count; i += 100)
            await Task.WhenAll(sockets.Skip(i).Take(100).Select(s => EchoAsync(s, text)));
    }

    private static async Task EchoAsync(ClientWebSocket socket, string text)
    {
        using var late = new CancellationTokenSource(Deadlines.Wait);
        await socket.SendAsync(Encoding.UTF8.GetBytes(text), WebSocketMessageType.Text, true, late.Token);
        var buffer = new byte[100];
        var part = await socket.ReceiveAsync(buffer, late.Token);
        Encoding.UTF8.GetString(buffer, 0, part.Count).Should().Be(text);
    }

    private static async Task<ClientWebSocket> OpenAsync(ProxyProcess proxy)
    {
        var socket = new ClientWebSocket();
        socket.Options.Proxy = null;
        using var late = new CancellationTokenSource(Deadlines.Wait);
        await socket.ConnectAsync(new Uri($"ws://{proxy.Address.Authority}/live/ws"), late.Token);
        return socket;
    }
}

using System.Net;
using System.Net.WebSockets;
using System.Text;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Upgrades;

/// <summary>WebSockets end as they do over HTTP/1.1 where one side or both speak HTTP/2.</summary>
public sealed class Http2FarewellTests : IAsyncLifetime
{
    private ProxyProcess _proxy = null!;
    private Backend _http1 = null!;
    private Backend _h2c = null!;

    public async Task InitializeAsync()
    {
        _http1 = await Backend.StartAsync("one");
        _h2c = await Backend.StartAsync("two", h2c: true);
        _proxy = await ProxyProcess.StartAsync(new ProxyOptions
        {
            Listen = "http://127.0.0.1:0;h2c://127.0.0.1:0",
            Arguments = [
                "--Defaults:Drain:Timeout=00:00:00.5", "--Defaults:HealthCheck:Enabled=false", "--Registry:Store=memory",
                "--Shutdown:Grace=00:00:00", "--Shutdown:Timeout=00:00:03",
            ],
        });
        await _proxy.Registry.RegisterActiveAsync("http1", _http1, id: "a");
        await _proxy.Registry.RegisterActiveAsync("h2c", _h2c, id: "a");
    }

    public async Task DisposeAsync()
    {
        await _proxy.DisposeAsync();
        await _http1.DisposeAsync();
        await _h2c.DisposeAsync();
    }

    [Theory]
    [InlineData("h2c", "http1")]
    [InlineData("h2c", "h2c")]
    [InlineData("http1", "h2c")]
    public async Task At_the_drain_timeout_both_peers_see_an_orderly_end(string caller, string instance)
    {
        var backend = instance == "h2c" ? _h2c : _http1;
        using var invoker = new HttpMessageInvoker(new SocketsHttpHandler { UseProxy = false });
        using var kept = await OpenAsync(caller, instance == "h2c" ? "http1" : "h2c", invoker);
        using var socket = await OpenAsync(caller, instance, invoker);
        await EchoAsync(socket);

        using (var removal = await _proxy.Registry.DeleteInstanceAsync(instance, "a"))
            removal.StatusCode.Should().Be(HttpStatusCode.Accepted);

        await EndsWith1001Async(socket);
        await backend.UntilStatsAsync("none in flight", s => s.InFlight == 0);
        (await backend.StatsAsync()).Aborted.Should().Be(0, "it had a close frame and answered it");
        var stats = await _proxy.Registry.UntilAsync("none in flight", $"/stats/{instance}", s => s.GetProperty("active_connections").GetInt64() == 0);
        stats.GetProperty("aborted_requests").GetInt64().Should().Be(0);
        stats.GetProperty("failed_requests").GetInt64().Should().Be(0);
        await EchoAsync(kept);
    }

    [Theory]
    [InlineData("h2c", "http1")]
    [InlineData("h2c", "h2c")]
    [InlineData("http1", "h2c")]
    public async Task A_proxy_that_stops_closes_them(string caller, string instance)
    {
        using var invoker = new HttpMessageInvoker(new SocketsHttpHandler { UseProxy = false });
        using var socket = await OpenAsync(caller, instance, invoker);

        _proxy.Process.Terminate();

        await EndsWith1001Async(socket);
        (await _proxy.Process.WaitForExitAsync()).Should().Be(0);
    }

    [Fact]
    public async Task A_frame_that_does_not_end_is_cut_and_other_streams_of_the_connection_go_on()
    {
        await using var upstream = RawUpstream.Start(async (connection, head) =>
        {
            var key = head.Split("\r\n").First(l => l.StartsWith("Sec-WebSocket-Key: ", StringComparison.OrdinalIgnoreCase)).Split(' ')[1];
            var accept = Convert.ToBase64String(System.Security.Cryptography.SHA1.HashData(Encoding.ASCII.GetBytes(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")));
            await connection.SendAsync(
                $"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n\u0082\u007e\u0003\u00e8half");
            await connection.ReadToEndAsync();
        });
        using (var answer = await _proxy.Registry.RegisterAsync("half", upstream.Host, upstream.Port, "a"))
            await RegistryApi.DocumentOfAsync(answer);
        using var invoker = new HttpMessageInvoker(new SocketsHttpHandler { UseProxy = false });
        using var kept = await OpenAsync("h2c", "http1", invoker);
        using var socket = await OpenAsync("h2c", "half", invoker);

        using (var removal = await _proxy.Registry.DeleteInstanceAsync("half", "a"))
            removal.StatusCode.Should().Be(HttpStatusCode.Accepted);

        using var late = new CancellationTokenSource(Deadlines.Wait);
        var reading = async () =>
        {
            // What there is of the frame first, then the end.
            while (true)
                (await socket.ReceiveAsync(new byte[100], late.Token)).MessageType.Should().NotBe(WebSocketMessageType.Close);
        };
        await reading.Should().ThrowAsync<WebSocketException>();
        var stats = await _proxy.Registry.UntilAsync("none in flight", "/stats/half", s => s.GetProperty("active_connections").GetInt64() == 0);
        stats.GetProperty("aborted_requests").GetInt64().Should().Be(0);
        await EchoAsync(kept);
    }

    private async Task<ClientWebSocket> OpenAsync(string caller, string service, HttpMessageInvoker invoker)
    {
        var socket = new ClientWebSocket();
        var address = _proxy.Address;
        if (caller == "h2c")
        {
            socket.Options.HttpVersion = HttpVersion.Version20;
            socket.Options.HttpVersionPolicy = HttpVersionPolicy.RequestVersionExact;
            address = _proxy.H2c.BaseAddress!;
        }

        using var late = new CancellationTokenSource(Deadlines.Wait);
        await socket.ConnectAsync(new Uri($"ws://{address.Authority}/{service}/ws"), invoker, late.Token);
        return socket;
    }

    private static async Task EchoAsync(ClientWebSocket socket)
    {
        using var late = new CancellationTokenSource(Deadlines.Wait);
        await socket.SendAsync(Encoding.UTF8.GetBytes("there?"), WebSocketMessageType.Text, true, late.Token);
        var buffer = new byte[100];
        var read = await socket.ReceiveAsync(buffer, late.Token);
        Encoding.UTF8.GetString(buffer, 0, read.Count).Should().Be("there?");
    }

    private static async Task EndsWith1001Async(ClientWebSocket socket)
    {
        using var late = new CancellationTokenSource(Deadlines.Wait);
        (await socket.ReceiveAsync(new byte[100], late.Token)).MessageType.Should().Be(WebSocketMessageType.Close);
        socket.CloseStatus.Should().Be(WebSocketCloseStatus.EndpointUnavailable);
        await socket.CloseOutputAsync(WebSocketCloseStatus.EndpointUnavailable, null, late.Token);
    }
}

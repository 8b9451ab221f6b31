using System.Net.WebSockets;
using System.Text;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Faults;

/// <summary>WebSockets and streams of events may be silent for longer than other bodies, and for as long as their own settings say.</summary>
[Trait("Depends", "forwarder")]
public sealed class IdleRuleTests(DataPlaneFixture fixture) : IClassFixture<DataPlaneFixture>
{
    private const double Short = 0.5;

    [Fact]
    public async Task A_silent_WebSocket_outlives_the_idle_time_of_bodies()
    {
        await using var backend = await Backend.StartAsync("a");
        var host = await fixture.ServiceAsync(backend, new { timeouts = new { idle = Short } });
        using var socket = await OpenAsync(host);
        await EchoAsync(socket, "before");

        await ABodyIsCutAsync(host);

        await EchoAsync(socket, "after");
    }

    [Fact]
    public async Task A_WebSocket_that_is_silent_for_longer_than_its_own_time_is_ended()
    {
        await using var backend = await Backend.StartAsync("a");
        var host = await fixture.ServiceAsync(backend, new { timeouts = new { idle = 60, web_socket_idle = Short } });
        using var socket = await OpenAsync(host);
        await EchoAsync(socket, "before");

        await backend.UntilStatsAsync("it is ended at the instance", s => s.InFlight == 0);
        await fixture.Proxy.Registry.UntilAsync("its slot is free", $"/stats/{host.Split('.')[0]}", s => s.GetProperty("active_connections").GetInt64() == 0);
    }

    [Fact]
    public async Task A_silent_stream_of_events_outlives_the_idle_time_of_bodies()
    {
        await using var backend = await Backend.StartAsync("a");
        var host = await fixture.ServiceAsync(backend, new { timeouts = new { idle = Short } });
        var events = fixture.SendAsync($"GET /sse?events=3&ms=1000 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");

        await ABodyIsCutAsync(host);

        var answer = await events;
        (answer.Status, answer.End).Should().Be((200, RawEnd.Closed));
        answer.Body.Should().Contain("id: 2");
    }

    [Fact]
    public async Task A_stream_of_events_that_is_silent_for_longer_than_its_own_time_is_cut()
    {
        await using var backend = await Backend.StartAsync("a");
        var host = await fixture.ServiceAsync(backend, new { timeouts = new { idle = 60, event_stream_idle = Short } });

        var answer = await fixture.SendAsync($"GET /sse?events=2&ms=15000 HTTP/1.1\r\nHost: {host}\r\n\r\n", TimeSpan.FromSeconds(10));

        (answer.Status, answer.End).Should().Be((200, RawEnd.Reset));
    }

    /// <summary>A body of the same service falls silent and is cut: the idle time of bodies has passed, whatever the machine's pace.</summary>
    private async Task ABodyIsCutAsync(string host)
    {
        var cut = await fixture.SendAsync($"GET /stream?chunks=2&ms=15000&size=10 HTTP/1.1\r\nHost: {host}\r\n\r\n", TimeSpan.FromSeconds(10));
        (cut.Status, cut.End).Should().Be((200, RawEnd.Reset));
    }

    private async Task<ClientWebSocket> OpenAsync(string host)
    {
        var socket = new ClientWebSocket();
        socket.Options.Proxy = null;
        socket.Options.KeepAliveInterval = TimeSpan.Zero;
        socket.Options.SetRequestHeader("Host", host);
        using var late = new CancellationTokenSource(Deadlines.Wait);
        await socket.ConnectAsync(new Uri($"ws://{fixture.Address.Authority}/ws"), late.Token);
        return socket;
    }

    private static async Task EchoAsync(ClientWebSocket socket, string text)
    {
        using var late = new CancellationTokenSource(Deadlines.Wait);
        await socket.SendAsync(Encoding.UTF8.GetBytes(text), WebSocketMessageType.Text, true, late.Token);
        var buffer = new byte[100];
        var part = await socket.ReceiveAsync(buffer, late.Token);
        Encoding.UTF8.GetString(buffer, 0, part.Count).Should().Be(text);
    }
}

using System.Net.WebSockets;
using System.Text;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Upgrades;

/// <summary>WebSockets of another implementation go through, on either side: messages, control frames, extensions and the way they close.</summary>
public sealed class WebSocketPeerTests : IAsyncLifetime
{
    private ProxyProcess _proxy = null!;
    private PythonPeer _server = null!;

    private string Url => $"ws://{_proxy.Address.Authority}/talk";

    public async Task InitializeAsync()
    {
        if (MissingPackages.SkipReason(["python3-websockets"]) is not null)
            return;
        _server = await PythonPeer.ServeAsync("ws_server.py");
        _proxy = await ProxyProcess.StartAsync();
        using var answer = await _proxy.Registry.RegisterAsync(
            "talk", "127.0.0.1", _server.Port, "one", new { health_check = new { type = "tcp" } }, "wait=10");
        answer.IsSuccessStatusCode.Should().BeTrue();
    }

    public async Task DisposeAsync()
    {
        if (_proxy is not null)
            await _proxy.DisposeAsync();
        if (_server is not null)
            await _server.DisposeAsync();
    }

    [NeedsPackageFact("python3-websockets")]
    public async Task Everything_that_a_client_and_a_server_say_to_each_other_arrives()
    {
        var result = await PythonPeer.RunAsync("ws_client.py", Url);

        result.GetProperty("subprotocol").GetString().Should().BeOneOf("chat.v1", "chat.v2");
        result.GetProperty("extensions").EnumerateArray().Select(e => e.GetString()).Should().Equal("permessage-deflate");
        result.GetProperty("text").GetString().Should().Be("höchst");
        result.GetProperty("binary").GetString().Should().Be("00ff80");
        result.GetProperty("fragments").GetString().Should().Be("one two three");
        result.GetProperty("empty").GetString().Should().BeEmpty();
        result.GetProperty("ping").GetBoolean().Should().BeTrue();
        result.GetProperty("large").GetBoolean().Should().BeTrue();
        result.GetProperty("closed")[0].GetInt32().Should().Be(4321);
        result.GetProperty("closed")[1].GetString().Should().Be("enough");
        result.GetProperty("uncompressed").GetArrayLength().Should().Be(0);
        result.GetProperty("plain").GetInt32().Should().Be(100_000);
        await _server.Process.WaitForLineAsync(l => l == "closed 4321 enough");
        await UntilSettledAsync();
    }

    [NeedsPackageFact("python3-websockets")]
    public async Task The_proxy_adds_no_extension_and_no_subprotocol()
    {
        using var socket = await ConnectAsync("/echo");

        socket.SubProtocol.Should().BeNull();
        await socket.SendAsync(Encoding.UTF8.GetBytes("plain"), WebSocketMessageType.Text, true, default);
        (await ReadAsync(socket)).Should().Be("plain");
    }

    [NeedsPackageTheory("python3-websockets")]
    [InlineData(1000, "")]
    [InlineData(1001, "away")]
    [InlineData(3999, "höchste Zeit")]
    [InlineData(4999, "b")]
    public async Task A_server_s_close_code_and_reason_reach_the_client(int code, string reason)
    {
        using var socket = await ConnectAsync($"/close?{code}&{Uri.EscapeDataString(reason)}");

        var end = await socket.ReceiveAsync(new byte[100], new CancellationTokenSource(Deadlines.Wait).Token);

        end.MessageType.Should().Be(WebSocketMessageType.Close);
        ((int)socket.CloseStatus!.Value).Should().Be(code);
        socket.CloseStatusDescription.Should().Be(reason);
        await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, "", default);
        await _server.Process.WaitForLineAsync(l => l.StartsWith("closed ", StringComparison.Ordinal));
        await UntilSettledAsync();
    }

    [NeedsPackageFact("python3-websockets")]
    public async Task A_client_that_closes_and_leaves_at_once_is_still_heard()
    {
        for (var round = 0; round < 20; round++)
        {
            using var socket = await ConnectAsync("/echo");
            await socket.CloseOutputAsync((WebSocketCloseStatus)4100 + round, "bye", default);
            // Gone, without waiting for the server's half of the farewell.
        }

        await Eventually.Until(
            "twenty farewells", () => Enumerable.Range(4100, 20).All(code => _server.Process.Output.Contains($"closed {code} bye")), Deadlines.Wait);
    }

    [NeedsPackageFact("python3-websockets")]
    public async Task A_client_that_vanishes_without_a_word_ends_the_connection_to_the_server()
    {
        using (var socket = await ConnectAsync("/echo"))
            socket.Abort();

        await _server.Process.WaitForLineAsync(l => l.StartsWith("closed 1006", StringComparison.Ordinal), TimeSpan.FromSeconds(2));
        await UntilSettledAsync();
    }

    [NeedsPackageFact("python3-websockets")]
    public async Task Pings_of_the_server_are_answered_by_the_client_and_fragments_stay_fragments()
    {
        using var pinged = await ConnectAsync("/ping");
        (await ReadAsync(pinged)).Should().Be("pong");

        using var parts = await ConnectAsync("/parts");
        await parts.SendAsync(Encoding.UTF8.GetBytes("abcdef"), WebSocketMessageType.Text, true, default);
        (await ReadAsync(parts)).Should().Be("abcdef");
    }

    private async Task UntilSettledAsync()
    {
        var stats = await _proxy.Registry.UntilAsync(
            "nothing in flight", "/stats/talk", s => s.GetProperty("active_connections").GetInt64() == 0);
        stats.GetProperty("failed_requests").GetInt64().Should().Be(0);
    }

    private async Task<ClientWebSocket> ConnectAsync(string path)
    {
        var socket = new ClientWebSocket();
        using var late = new CancellationTokenSource(Deadlines.Wait);
        await socket.ConnectAsync(new Uri(Url + path), late.Token);
        return socket;
    }

    private static async Task<string> ReadAsync(WebSocket socket)
    {
        using var late = new CancellationTokenSource(Deadlines.Wait);
        var buffer = new byte[100_000];
        var length = 0;
        while (true)
        {
            var part = await socket.ReceiveAsync(buffer.AsMemory(length), late.Token);
            length += part.Count;
            if (part.EndOfMessage)
                return Encoding.UTF8.GetString(buffer, 0, length);
        }
    }
}

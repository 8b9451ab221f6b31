using System.Net.WebSockets;
using System.Text;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.TestKit;

/// <summary>The scriptable upstream streams, upgrades and sends trailers.</summary>
public sealed class BackendStreamTests(RunningBackends backends) : IClassFixture<RunningBackends>
{
    [Theory]
    [InlineData("http1")]
    [InlineData("h2c")]
    public async Task Stream_flushes_each_chunk(string protocol)
    {
        using var answer = await backends.Of(protocol).Http.GetAsync("/stream?chunks=2&ms=700&size=7", HttpCompletionOption.ResponseHeadersRead);
        await using var body = await answer.Content.ReadAsStreamAsync();
        var buffer = new byte[100];

        var first = await body.ReadAsync(buffer);
        await body.ReadExactlyAsync(buffer.AsMemory(first, 7));

        first.Should().Be(7, "the first chunk comes alone");
        (await body.ReadAsync(buffer.AsMemory(50))).Should().Be(0);
        buffer[..14].Should().Equal(Enumerable.Range(0, 14).Select(i => (byte)i));
    }

    [Fact]
    public async Task Events_come_one_by_one()
    {
        using var answer = await backends.Http1.Http.GetAsync("/sse?events=3&ms=1");

        answer.Content.Headers.ContentType!.MediaType.Should().Be("text/event-stream");
        (await answer.Content.ReadAsStringAsync()).Should().Be(
            string.Concat(Enumerable.Range(0, 3).Select(i => $"id: {i}\nevent: tick\ndata: {{\"n\":{i}}}\n\n")));
    }

    [Theory]
    [InlineData("http1", 0, false)]
    [InlineData("http1", 1, false)]
    [InlineData("http1", 2_000_003, false)]
    [InlineData("http1", 2_000_003, true)]
    [InlineData("h2c", 2_000_003, false)]
    public async Task Bytes_follow_the_pattern(string protocol, int length, bool chunked)
    {
        using var answer = await backends.Of(protocol).Http.GetAsync(
            $"/bytes?n={length}{(chunked ? "&chunked=1" : "")}", HttpCompletionOption.ResponseHeadersRead);

        answer.Content.Headers.ContentLength.Should().Be(chunked ? null : length);
        var body = await answer.Content.ReadAsByteArrayAsync();
        body.AsSpan().SequenceEqual(Enumerable.Range(0, length).Select(i => (byte)(i % 251)).ToArray()).Should().BeTrue();
    }

    [Theory]
    [InlineData("http1")]
    [InlineData("h2c")]
    public async Task Trailers_follow_the_body(string protocol)
    {
        using var answer = await backends.Of(protocol).Http.GetAsync("/trailers?t=X-One:1&t=X-Two:2");

        (await answer.Content.ReadAsStringAsync()).Should().Be("trailed");
        answer.Headers.GetValues("X-Backend").Should().ContainSingle();
        answer.TrailingHeaders.GetValues("X-One").Should().Equal("1");
        answer.TrailingHeaders.GetValues("X-Two").Should().Equal("2");
    }

    [Fact]
    public async Task Trailers_end_in_an_orderly_close_on_http1()
    {
        using var connection = await RawConnection.ConnectAsync(backends.Http1.Address);
        await connection.SendAsync("GET /trailers HTTP/1.1\r\nHost: x\r\n\r\n");

        var (text, end) = await connection.ReadUntilAsync("X-Checksum: abc\r\n\r\n");

        end.Should().Be(RawEnd.Found);
        text.Should().StartWith("HTTP/1.1 200 OK\r\n").And.Contain("\r\n\r\n7\r\ntrailed\r\n0\r\n");
    }

    [Fact]
    public async Task Hold_may_send_its_head_first()
    {
        using var answer = await backends.Http1.Http.GetAsync("/hold/head-first?head=1", HttpCompletionOption.ResponseHeadersRead);
        var body = answer.Content.ReadAsStringAsync();
        await backends.Http1.UntilHeldAsync("head-first", 1);
        body.IsCompleted.Should().BeFalse();

        await backends.Http1.ReleaseAsync("head-first");

        (await body.WaitAsync(Deadlines.Wait)).Should().Be("released");
    }

    [Fact]
    public async Task Upgrade_switches_to_any_protocol_and_echoes_bytes()
    {
        using var connection = await RawConnection.ConnectAsync(backends.Http1.Address);
        await connection.SendAsync("GET /upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: made-up/7\r\n\r\n");
        var (head, _) = await connection.ReadHeadAsync();

        await connection.SendAsync("\u0000\u00ffping");
        var (echoed, end) = await connection.ReadCountAsync(6);
        connection.EndInput();
        var (rest, last) = await connection.ReadToEndAsync();

        head.Should().StartWith("HTTP/1.1 101 ").And.ContainEquivalentOf("Upgrade: made-up/7");
        (echoed, end).Should().Be(("\u0000\u00ffping", RawEnd.Found));
        (rest, last).Should().Be(("", RawEnd.Closed));
    }

    [Theory]
    [InlineData("/upgrade")]
    [InlineData("/ws")]
    public async Task A_request_without_upgrade_is_told_to(string target)
    {
        using var answer = await backends.Http1.Http.GetAsync(target);

        ((int)answer.StatusCode).Should().Be(426);
    }

    [Fact]
    public async Task Web_socket_messages_come_back_and_the_close_is_answered()
    {
        using var late = new CancellationTokenSource(Deadlines.Wait);
        using var socket = new ClientWebSocket();
        socket.Options.AddSubProtocol("chat");
        await socket.ConnectAsync(new UriBuilder(backends.Http1.Address) { Scheme = "ws", Path = "/ws" }.Uri, late.Token);
        var buffer = new byte[1000];

        await socket.SendAsync(Encoding.UTF8.GetBytes("tëxt"), WebSocketMessageType.Text, true, late.Token);
        var text = await socket.ReceiveAsync(buffer, late.Token);
        Encoding.UTF8.GetString(buffer, 0, text.Count).Should().Be("tëxt");
        text.MessageType.Should().Be(WebSocketMessageType.Text);

        await socket.SendAsync(new byte[] { 0, 255 }, WebSocketMessageType.Binary, true, late.Token);
        var binary = await socket.ReceiveAsync(buffer, late.Token);
        buffer[..binary.Count].Should().Equal(0, 255);
        binary.MessageType.Should().Be(WebSocketMessageType.Binary);

        await socket.CloseAsync((WebSocketCloseStatus)4001, "enough", late.Token);
        socket.SubProtocol.Should().Be("chat");
        socket.CloseStatus.Should().Be((WebSocketCloseStatus)4001);
    }
}

using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Strictness;

/// <summary>Requests of HTTP/2 that would be something else as requests of HTTP/1.1: none reaches an instance. And floods of frames: the connection ends, the proxy goes on.</summary>
public sealed class Http2StrictnessTests(DataPlaneFixture fixture) : IClassFixture<DataPlaneFixture>
{
    /// <summary>Some are answered, for some the server resets the stream or ends the connection.</summary>
    [Theory]
    [InlineData("path:/a#b")]
    [InlineData("path:/a b")]
    [InlineData("path:/a HTTP/1.1\r\nX: 1")]
    [InlineData("path:/a\u0000b")]
    [InlineData("path:/a\u00e9")]
    [InlineData("path:a")]
    [InlineData("path:*")]
    [InlineData("path:")]
    [InlineData("method:GET / HTTP/1.1\r\nX:")]
    [InlineData("method:G T")]
    [InlineData("method:CONNECT")]
    [InlineData("authority:a b")]
    [InlineData("authority:{host}\r\nX: 1")]
    [InlineData("authority:{host},b")]
    [InlineData("authority:user@{host}")]
    [InlineData("x:a\r\nTransfer-Encoding: chunked")]
    [InlineData("x:a\nb")]
    [InlineData("x:a\rb")]
    [InlineData("x:a\u0000b")]
    [InlineData("x:a\u0001b")]
    [InlineData("x\r\ny:1")]
    [InlineData("x y:1")]
    [InlineData("x\u0000y:1")]
    [InlineData("x(y):1")]
    [InlineData("X:1")]
    [InlineData(" x:1")]
    [InlineData("transfer-encoding:chunked")]
    [InlineData("connection:close")]
    [InlineData("keep-alive:timeout=5")]
    [InlineData("proxy-connection:close")]
    [InlineData("upgrade:h2c")]
    [InlineData("te:gzip")]
    [InlineData("content-length:+5")]
    [InlineData("content-length:5,5")]
    [InlineData("content-length:x")]
    [InlineData("content-length:5")]
    public async Task What_could_not_be_a_request_of_HTTP_1_1_goes_nowhere(string special)
    {
        await using var upstream = new RecordingUpstream();
        var host = await fixture.ServiceAsync("127.0.0.1", upstream.Port);
        using var caller = await RawHttp2.ConnectAsync(fixture.Proxy.Listeners.Single(l => l.Scheme == "h2c"));
        var colon = special.IndexOf(':', StringComparison.Ordinal);
        var (name, value) = (special[..colon], special[(colon + 1)..].Replace("{host}", host, StringComparison.Ordinal));
        var fields = new List<(string, string)>
        {
            (":method", name == "method" ? value : "GET"), (":scheme", "http"), (":authority", name == "authority" ? value : host), (":path", name == "path" ? value : "/"),
        };
        if (name is not ("method" or "authority" or "path"))
            fields.Add((name, value));

        await caller.SendAsync(RawHttp2.Headers, RawHttp2.EndStream | RawHttp2.EndHeaders, 1, RawHttp2.Fields([.. fields]));

        (await caller.OutcomeAsync(1)).Should().BeOneOf(400, 405, 0, -1);
        (await fixture.SendAsync($"GET /last HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).Status.Should().Be(200);
        upstream.Received.SelectMany(ForwardedRequests.Of).Should().ContainSingle().Which.Head.Should().StartWith("GET /last ");
    }

    [Fact]
    public async Task The_authority_is_the_host_whatever_a_host_field_says()
    {
        await using var upstream = new RecordingUpstream();
        var host = await fixture.ServiceAsync("127.0.0.1", upstream.Port);
        using var caller = await RawHttp2.ConnectAsync(fixture.Proxy.Listeners.Single(l => l.Scheme == "h2c"));

        await caller.SendAsync(RawHttp2.Headers, RawHttp2.EndStream | RawHttp2.EndHeaders, 1,
            RawHttp2.Fields((":method", "GET"), (":scheme", "http"), (":authority", host), (":path", "/"), ("host", "elsewhere")));

        (await caller.OutcomeAsync(1)).Should().Be(200);
        upstream.Received.SelectMany(ForwardedRequests.Of).Should().ContainSingle().Which.Head.Should().Contain($"\r\nHost: {host}\r\n").And.NotContain("elsewhere");
    }

    [Fact]
    public async Task Fields_and_targets_beyond_the_limits_go_nowhere_over_HTTP_2_either()
    {
        await using var upstream = new RecordingUpstream();
        var host = await fixture.ServiceAsync("127.0.0.1", upstream.Port);
        var address = fixture.Proxy.Listeners.Single(l => l.Scheme == "h2c");
        (string, string)[] head = [(":method", "GET"), (":scheme", "http"), (":authority", host), (":path", "/")];
        using var large = await RawHttp2.ConnectAsync(address);
        using var many = await RawHttp2.ConnectAsync(address);
        using var longer = await RawHttp2.ConnectAsync(address);

        await large.SendHeadAsync(1, RawHttp2.Fields([.. head, .. Enumerable.Range(0, 7).Select(i => ($"x-{i}", new string('x', 10_000)))]));
        await many.SendHeadAsync(1, RawHttp2.Fields([.. head, .. Enumerable.Range(0, 501).Select(i => ($"x-{i}", "1"))]));
        await longer.SendHeadAsync(1, RawHttp2.Fields([.. head[..3], (":path", "/" + new string('x', 33_000))]));

        (await large.OutcomeAsync(1)).Should().BeOneOf(431, 0, -1);
        (await many.OutcomeAsync(1)).Should().BeOneOf(431, 0, -1);
        (await longer.OutcomeAsync(1)).Should().BeOneOf(414, 0, -1);
        (await fixture.SendAsync($"GET /last HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).Status.Should().Be(200);
        upstream.Received.SelectMany(ForwardedRequests.Of).Should().ContainSingle();
    }

    [Theory]
    [InlineData("resets")]
    [InlineData("continuations")]
    [InlineData("settings")]
    [InlineData("empty frames")]
    public async Task A_flood_ends_its_connection_and_nobody_else_s(string kind)
    {
        await using var upstream = new RecordingUpstream();
        var host = await fixture.ServiceAsync("127.0.0.1", upstream.Port);
        var before = Memory.ResidentMiB(fixture.Proxy.Process.Id);
        using var flooder = await RawHttp2.ConnectAsync(fixture.Proxy.Listeners.Single(l => l.Scheme == "h2c"));
        var head = RawHttp2.Fields((":method", "GET"), (":scheme", "http"), (":authority", host), (":path", "/"));
        var ended = flooder.GoAwayAsync();

        var sent = 0;
        try
        {
            // As many frames as a minute of a patient flood has; the end comes long before.
            for (; sent < 3000 && !ended.IsCompleted; sent++)
                await flooder.SendAsync(Burst(kind, head, sent));
        }
        catch (System.Net.Sockets.SocketException)
        {
            // Closed on us.
        }

        // A flood of frames that each are allowed costs what it costs; then it is over or the proxy has borne it. Others are served in either case.
        if (kind != "settings")
            await ended.WaitAsync(Deadlines.Wait);
        (await fixture.SendAsync($"GET /last HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).Status.Should().Be(200);
        (Memory.ResidentMiB(fixture.Proxy.Process.Id) - before).Should().BeLessThan(100);
    }

    private static byte[] Burst(string kind, byte[] head, int number)
    {
        using var burst = new MemoryStream();
        for (var i = 0; i < 50; i++)
        {
            var stream = (((number * 50) + i) * 2) + 1;
            switch (kind)
            {
                case "resets":
                    burst.Write(RawHttp2.Frame(RawHttp2.Headers, RawHttp2.EndStream | RawHttp2.EndHeaders, stream, head));
                    burst.Write(RawHttp2.Frame(RawHttp2.Reset, 0, stream, [0, 0, 0, 8]));
                    break;
                case "continuations":
                    burst.Write(number == 0 && i == 0 ? RawHttp2.Frame(RawHttp2.Headers, RawHttp2.EndStream, 1, head) : RawHttp2.Frame(RawHttp2.Continuation, 0, 1, RawHttp2.Fields(($"x-{stream}", new string('x', 100)))));
                    break;
                case "settings":
                    burst.Write(RawHttp2.Frame(RawHttp2.Settings, 0, 0, []));
                    burst.Write(RawHttp2.Frame(RawHttp2.Ping, 0, 0, new byte[8]));
                    break;
                default:
                    burst.Write(number == 0 && i == 0 ? RawHttp2.Frame(RawHttp2.Headers, 0, 1, head) : RawHttp2.Frame(RawHttp2.Continuation, 0, 1, []));
                    break;
            }
        }

        return burst.ToArray();
    }
}

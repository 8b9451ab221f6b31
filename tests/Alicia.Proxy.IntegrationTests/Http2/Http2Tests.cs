using System.Net;
using System.Net.WebSockets;
using System.Security.Cryptography;
using System.Text;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Http2;

/// <summary>A proxy with a listener of each protocol before a backend of each protocol.</summary>
public sealed class BothProtocols : IAsyncLifetime
{
    internal ProxyProcess Proxy { get; private set; } = null!;

    internal Backend Http1 { get; private set; } = null!;

    internal Backend H2c { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        Http1 = await Backend.StartAsync("one");
        H2c = await Backend.StartAsync("two", h2c: true);
        Proxy = await ProxyProcess.StartAsync(new ProxyOptions { Listen = "http://127.0.0.1:0;h2c://127.0.0.1:0" });
        await Proxy.Registry.RegisterActiveAsync("http1", Http1, extra: new { max_connections = 1000 });
        await Proxy.Registry.RegisterActiveAsync("h2c", H2c, extra: new { max_connections = 1000 });
    }

    public async Task DisposeAsync()
    {
        await Proxy.DisposeAsync();
        await Http1.DisposeAsync();
        await H2c.DisposeAsync();
    }

    internal HttpClient Caller(string protocol) => protocol == "h2c" ? Proxy.H2c : Proxy.Http;

    internal Backend Instance(string protocol) => protocol == "h2c" ? H2c : Http1;
}

/// <summary>Clear-text HTTP/2 and HTTP/1.1 meet in every combination: bodies, trailers, cancellation, many streams, slow readers.</summary>
public sealed class Http2Tests(BothProtocols peers) : IClassFixture<BothProtocols>
{
    /// <summary>What the caller speaks, what the instance speaks.</summary>
    public static TheoryData<string, string> Combinations => new() { { "http1", "http1" }, { "http1", "h2c" }, { "h2c", "http1" }, { "h2c", "h2c" } };

    [Theory]
    [MemberData(nameof(Combinations))]
    public async Task Bodies_go_both_ways(string caller, string instance)
    {
        var body = RandomNumberGenerator.GetBytes(3_000_000);

        using var sent = await peers.Caller(caller).PostAsync($"/{instance}/sink", new ByteArrayContent(body));
        var got = await RegistryApi.DocumentOfAsync(sent);
        using var read = await peers.Caller(caller).GetAsync($"/{instance}/bytes?n=3000000&chunked=1");
        var bytes = await read.Content.ReadAsByteArrayAsync();

        got.GetProperty("body_sha256").GetString().Should().Be(Convert.ToHexStringLower(SHA256.HashData(body)));
        bytes.Should().HaveCount(3_000_000);
        Enumerable.Range(0, bytes.Length).All(i => bytes[i] == i % 251).Should().BeTrue();
        read.Version.Should().Be(caller == "h2c" ? HttpVersion.Version20 : HttpVersion.Version11);
    }

    [Theory]
    [MemberData(nameof(Combinations))]
    public async Task The_instance_hears_its_own_protocol_and_the_caller_s_authority(string caller, string instance)
    {
        using var request = new HttpRequestMessage(HttpMethod.Put, "/a%2Fb?x=%20") { Content = new StringContent("y") };
        request.Headers.Host = instance + ".alicia.local";
        request.Headers.TryAddWithoutValidation("TE", "trailers");

        using var answer = await peers.Caller(caller).SendAsync(request);
        var echo = await Backend.EchoOfAsync(answer);

        echo.Protocol.Should().Be(instance == "h2c" ? "HTTP/2" : "HTTP/1.1");
        echo.RawTarget.Should().Be("/a%2Fb?x=%20");
        echo.Values("Host").Should().Equal(instance + ".alicia.local");
        echo.Values("X-Forwarded-Proto").Should().Equal("http");
        echo.BodyLength.Should().Be(1);
        echo.Values("TE").Should().Equal(caller == "h2c" ? ["trailers"] : []);
        echo.Values("Connection").Should().Equal(caller == "h2c" && instance == "http1" ? ["TE"] : []);
    }

    [Theory]
    [InlineData("http1")]
    [InlineData("h2c")]
    public async Task Trailers_reach_a_caller_that_speaks_http2(string instance)
    {
        using var answer = await peers.Proxy.H2c.GetAsync($"/{instance}/trailers?t=X-Sum:42&t=X-Other:b");

        (await answer.Content.ReadAsStringAsync()).Should().Be("trailed");
        answer.TrailingHeaders.GetValues("X-Sum").Should().Equal("42");
        answer.TrailingHeaders.GetValues("X-Other").Should().Equal("b");
    }

    [Theory]
    [MemberData(nameof(Combinations))]
    public async Task A_caller_that_gives_up_frees_the_instance_within_a_second(string caller, string instance)
    {
        var backend = peers.Instance(instance);
        var key = $"{caller}-{instance}";
        var before = await backend.StatsAsync();
        var aborted = await AbortedAsync(instance);
        using var patience = new CancellationTokenSource();
        var waiting = peers.Caller(caller).GetAsync($"/{instance}/hold/{key}", patience.Token);
        await backend.UntilHeldAsync(key, 1);

        await patience.CancelAsync();

        await backend.UntilStatsAsync("it knows", s => s.Aborted == before.Aborted + 1, TimeSpan.FromSeconds(1));
        await ((Func<Task>)(() => waiting)).Should().ThrowAsync<OperationCanceledException>();
        await Eventually.Until("counted as aborted", async () => await AbortedAsync(instance) == aborted + 1);
        // The connection of a caller that speaks HTTP/2 goes on with its other streams.
        using var next = await peers.Caller(caller).GetAsync($"/{instance}/echo");
        next.StatusCode.Should().Be(HttpStatusCode.OK);
    }

    [Theory]
    [InlineData("http1")]
    [InlineData("h2c")]
    public async Task Two_hundred_streams_of_one_connection_are_under_way_at_once(string instance)
    {
        var backend = peers.Instance(instance);
        using var client = Clients.Create(peers.Proxy.H2c.BaseAddress!, http2: true);
        var held = Enumerable.Range(0, 200).Select(_ => client.GetAsync($"/{instance}/hold/many")).ToArray();

        await backend.UntilHeldAsync("many", 200);
        (await backend.ReleaseAsync("many")).Should().Be(200);

        foreach (var answer in await Task.WhenAll(held))
        {
            answer.StatusCode.Should().Be(HttpStatusCode.OK);
            answer.Dispose();
        }
    }

    [Theory]
    [MemberData(nameof(Combinations))]
    public async Task A_reader_that_takes_its_time_costs_no_memory(string caller, string instance)
    {
        var process = peers.Proxy.Process.Id;
        using var answer = await peers.Caller(caller).GetAsync($"/{instance}/bytes?n=300000000", HttpCompletionOption.ResponseHeadersRead);
        await using var body = await answer.Content.ReadAsStreamAsync();
        var buffer = new byte[1000];
        await body.ReadExactlyAsync(buffer);
        var before = Memory.ResidentMiB(process);

        // Long enough for anything that reads ahead without bound to show: the loopback moves 300 MB in far less.
        for (var i = 0; i < 60; i++)
        {
            await body.ReadExactlyAsync(buffer);
            await Task.Delay(25);
        }

        Memory.ResidentMiB(process).Should().BeLessThan(before + 40);
    }

    [Theory]
    [InlineData("http1")]
    [InlineData("h2c")]
    public async Task A_writer_that_is_faster_than_the_instance_is_held_back(string instance)
    {
        var process = peers.Proxy.Process.Id;
        var before = Memory.ResidentMiB(process);
        using var patience = new CancellationTokenSource();
        var endless = new EndlessContent();
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/{instance}/hang") { Content = endless };
        var sending = peers.Proxy.H2c.SendAsync(request, patience.Token);

        // Held back: for a whole second not one more byte is taken.
        var last = -1L;
        await Eventually.Until("no more is taken", async () =>
        {
            last = endless.Written;
            await Task.Delay(1000);
            return endless.Written == last && last > 0;
        });

        last.Should().BeLessThan(30_000_000);
        Memory.ResidentMiB(process).Should().BeLessThan(before + 60);
        await patience.CancelAsync();
        await ((Func<Task>)(() => sending)).Should().ThrowAsync<OperationCanceledException>();
    }

    [Theory]
    [InlineData("http1")]
    [InlineData("h2c")]
    public async Task Cookies_in_crumbs_of_32_KB_arrive_as_one_field(string instance)
    {
        var crumbs = Enumerable.Range(0, 40).Select(i => $"c{i}=" + new string((char)('a' + (i % 26)), 800)).ToArray();
        using var request = new HttpRequestMessage(HttpMethod.Get, $"/{instance}/echo");
        // One field line each, as browsers send them over HTTP/2.
        request.Headers.TryAddWithoutValidation("Cookie", crumbs);

        using var answer = await peers.Proxy.H2c.SendAsync(request);
        var echo = await Backend.EchoOfAsync(answer);

        echo.Values("Cookie").Should().Equal(string.Join("; ", crumbs));
    }

    [Fact]
    public async Task A_stream_that_the_instance_resets_is_reset_and_its_neighbours_go_on()
    {
        var neighbour = peers.Proxy.H2c.GetAsync("/h2c/hold/neighbour");
        await peers.H2c.UntilHeldAsync("neighbour", 1);

        using var cut = await peers.Proxy.H2c.GetAsync("/h2c/cut?after=300000", HttpCompletionOption.ResponseHeadersRead);
        var reading = () => cut.Content.ReadAsByteArrayAsync();
        await reading.Should().ThrowAsync<HttpRequestException>();

        await peers.H2c.ReleaseAsync("neighbour");
        (await neighbour).StatusCode.Should().Be(HttpStatusCode.OK);
    }

    [Theory]
    [InlineData("http1")]
    [InlineData("h2c")]
    public async Task A_websocket_over_http2_reaches_the_instance(string instance)
    {
        using var socket = new ClientWebSocket();
        socket.Options.HttpVersion = HttpVersion.Version20;
        socket.Options.HttpVersionPolicy = HttpVersionPolicy.RequestVersionExact;
        using var handler = new SocketsHttpHandler { UseProxy = false };
        using var invoker = new HttpMessageInvoker(handler);
        using var late = new CancellationTokenSource(Deadlines.Wait);

        await socket.ConnectAsync(new Uri($"ws://{peers.Proxy.H2c.BaseAddress!.Authority}/{instance}/ws"), invoker, late.Token);
        await socket.SendAsync(Encoding.UTF8.GetBytes("over 2"), WebSocketMessageType.Text, true, late.Token);
        var buffer = new byte[100];
        var read = await socket.ReceiveAsync(buffer, late.Token);
        Encoding.UTF8.GetString(buffer, 0, read.Count).Should().Be("over 2");
        await socket.CloseAsync((WebSocketCloseStatus)4002, "done", late.Token);

        ((int)socket.CloseStatus!.Value).Should().Be(4002);
        await peers.Instance(instance).UntilStatsAsync("none in flight", s => s.InFlight == 0);
    }

    [Theory]
    [InlineData("http1")]
    [InlineData("h2c")]
    public async Task A_websocket_over_http2_that_is_given_up_ends_at_the_instance_within_a_second(string instance)
    {
        var backend = peers.Instance(instance);
        using var socket = new ClientWebSocket();
        socket.Options.HttpVersion = HttpVersion.Version20;
        socket.Options.HttpVersionPolicy = HttpVersionPolicy.RequestVersionExact;
        using var invoker = new HttpMessageInvoker(new SocketsHttpHandler { UseProxy = false });
        using var late = new CancellationTokenSource(Deadlines.Wait);
        await socket.ConnectAsync(new Uri($"ws://{peers.Proxy.H2c.BaseAddress!.Authority}/{instance}/ws"), invoker, late.Token);
        await backend.UntilStatsAsync("one in flight", s => s.InFlight == 1);

        socket.Abort();

        await backend.UntilStatsAsync("none in flight", s => s.InFlight == 0, TimeSpan.FromSeconds(1.5));
        await peers.Proxy.Registry.UntilAsync("none in flight", $"/stats/{instance}", s => s.GetProperty("active_connections").GetInt64() == 0);
    }

    [Fact]
    public async Task A_websocket_over_http1_reaches_an_instance_that_speaks_http2()
    {
        using var socket = new ClientWebSocket();
        using var late = new CancellationTokenSource(Deadlines.Wait);

        await socket.ConnectAsync(new Uri($"ws://{peers.Proxy.Address.Authority}/h2c/ws"), late.Token);
        await socket.SendAsync(Encoding.UTF8.GetBytes("up"), WebSocketMessageType.Text, true, late.Token);
        var buffer = new byte[100];
        var read = await socket.ReceiveAsync(buffer, late.Token);

        Encoding.UTF8.GetString(buffer, 0, read.Count).Should().Be("up");
    }

    [Theory]
    [InlineData("http1")]
    [InlineData("h2c")]
    public async Task A_tunnel_of_another_protocol_over_http2_is_refused_and_the_connection_goes_on(string instance)
    {
        using var client = Clients.Create(peers.Proxy.H2c.BaseAddress!, http2: true);
        // The client asks for a tunnel only on a connection whose server has said that it can.
        using var first = await client.GetAsync($"/{instance}/echo");
        using var request = new HttpRequestMessage(HttpMethod.Connect, $"/{instance}/upgrade");
        request.Headers.Protocol = "made-up";

        using var answer = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);

        answer.StatusCode.Should().Be(HttpStatusCode.BadRequest);
        answer.Headers.GetValues("Proxy-Status").Should().Equal("alicia; error=http_request_error");
        using var next = await client.GetAsync($"/{instance}/echo");
        next.StatusCode.Should().Be(HttpStatusCode.OK);
    }

    private async Task<long> AbortedAsync(string service) =>
        (await peers.Proxy.Registry.GetJsonAsync($"/stats/{service}")).GetProperty("aborted_requests").GetInt64();

    private sealed class EndlessContent : HttpContent
    {
        private long _written;

        public long Written => Volatile.Read(ref _written);

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
        {
            var block = new byte[16 * 1024];
            while (true)
            {
                await stream.WriteAsync(block, cancellationToken);
                Interlocked.Add(ref _written, block.Length);
            }
        }

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, default);

        protected override bool TryComputeLength(out long length)
        {
            length = -1;
            return false;
        }
    }
}

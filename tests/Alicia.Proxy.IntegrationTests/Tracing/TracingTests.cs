using System.Globalization;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Tracing;

/// <summary>Traces of a real proxy at a real receiver of OTLP.</summary>
public sealed class TracingTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    private const string TraceId = "0af7651916cd43dd8448eb211c80319c";
    private const string CallersSpan = "b7ad6b7169203331";

    /// <summary>Spans are sent at once, so that tests need not wait for five seconds.</summary>
    private static readonly Dictionary<string, string?> _quick = new() { ["OTEL_BSP_SCHEDULE_DELAY"] = "50", ["OTEL_EXPORTER_OTLP_TIMEOUT"] = "2000" };

    [Theory]
    [InlineData($"traceparent: 00-{TraceId}-{CallersSpan}-01\r\ntracestate: vendor=1, other@x=a;b:c \r\n")]
    [InlineData("traceparent: nonsense\r\nTraceState: ,,=\r\nbaggage: a=1\r\n")]
    [InlineData("")]
    public async Task Trace_fields_go_through_as_they_came_while_tracing_is_off(string fields)
    {
        await using var proxy = await StartAsync(null);
        await using var upstream = RawUpstream.Start(Ok);
        await ServiceAsync(proxy, upstream);

        await SendAsync(proxy, "/tts/x", fields);

        upstream.Heads[0].Split("\r\n").Where(line => line.StartsWith("trace", StringComparison.OrdinalIgnoreCase) || line.StartsWith("baggage"))
            .Select(Lower).Should().BeEquivalentTo(fields.Split("\r\n", StringSplitOptions.RemoveEmptyEntries).Select(Lower));

        // Known names arrive in their usual case, and blanks around values mean nothing.
        static string Lower(string line) => line.Split(':', 2)[0].ToLowerInvariant() + ": " + line.Split(':', 2)[1].Trim();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_request_is_a_server_span_below_the_callers_and_an_attempt_a_client_span_below_it(bool grpc)
    {
        await using var receiver = await OtlpReceiver.StartAsync(grpc);
        await using var proxy = await StartAsync(receiver.Address, grpc ? new() { ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "grpc" } : []);
        await using var upstream = RawUpstream.Start(Ok);
        await ServiceAsync(proxy, upstream);

        await SendAsync(proxy, "/tts/say?text=1&token=hidden",
            $"X-Request-Id: one\r\nUser-Agent: test/1\r\ntraceparent: 00-{TraceId}-{CallersSpan}-01\r\ntracestate: vendor=1\r\ntracestate: other=2\r\n");

        var (server, clients) = await receiver.RequestAsync("one");
        var client = clients.Single();
        (server.TraceId, server.ParentId, server.Name, server.StatusCode, server.Scope).Should().Be((TraceId, CallersSpan, "GET", 0, "Alicia.Proxy"));
        (client.TraceId, client.ParentId, client.Name, client.StatusCode).Should().Be((TraceId, server.SpanId, "GET", 0));
        server.TraceState.Should().MatchRegex("^vendor=1, ?other=2$");
        (server.Start <= client.Start && client.Start < client.End && client.End <= server.End).Should().BeTrue();
        server.Resource["service.name"].Should().Be("load_balancer");
        server.Resource.Should().ContainKey("service.version");
        server.Attributes.Should().BeEquivalentTo(new Dictionary<string, string>
        {
            ["http.request.method"] = "GET",
            ["url.scheme"] = "http",
            ["url.path"] = "/tts/say",
            ["url.query"] = "text=1&token=***",
            ["server.address"] = "front.example",
            ["server.port"] = "81",
            ["client.address"] = "127.0.0.1",
            ["network.protocol.version"] = "1.1",
            ["user_agent.original"] = "test/1",
            ["http.response.status_code"] = "200",
            ["alicia.request_id"] = "one",
            ["alicia.service"] = "tts",
            ["alicia.instance_id"] = "a",
            ["alicia.outcome"] = "success",
        });
        var port = upstream.Port.ToString(CultureInfo.InvariantCulture);
        client.Attributes.Should().BeEquivalentTo(new Dictionary<string, string>
        {
            ["http.request.method"] = "GET",
            ["url.full"] = $"http://127.0.0.1:{port}/say?text=1&token=***",
            ["server.address"] = "127.0.0.1",
            ["server.port"] = port,
            ["network.peer.address"] = "127.0.0.1",
            ["network.peer.port"] = port,
            ["http.response.status_code"] = "200",
            ["alicia.service"] = "tts",
            ["alicia.instance_id"] = "a",
        });

        var head = new RawAnswer(upstream.Heads[0], RawEnd.Found);
        head.Values("traceparent").Should().Equal($"00-{TraceId}-{client.SpanId}-01");
        head.Values("tracestate").Should().ContainSingle().Which.Should().MatchRegex("^vendor=1, ?other=2$");
        receiver.Refused.Should().BeEmpty();
    }

    [Fact]
    public async Task Without_a_callers_span_a_trace_begins_here()
    {
        await using var receiver = await OtlpReceiver.StartAsync();
        await using var proxy = await StartAsync(receiver.Address);
        await using var upstream = RawUpstream.Start(Ok);
        await ServiceAsync(proxy, upstream);

        await SendAsync(proxy, "/tts/x", "X-Request-Id: none\r\n");
        await SendAsync(proxy, "/tts/x", $"X-Request-Id: odd\r\ntraceparent: 00-{TraceId}-nonsense-01\r\ntracestate: vendor=1\r\n");

        var (server, clients) = await receiver.RequestAsync("none");
        server.ParentId.Should().BeEmpty();
        new RawAnswer(upstream.Heads[0], RawEnd.Found).Values("traceparent").Should().Equal($"00-{server.TraceId}-{clients[0].SpanId}-01");
        var (restarted, _) = await receiver.RequestAsync("odd");
        (restarted.ParentId, restarted.TraceState).Should().Be(("", ""));
        restarted.TraceId.Should().NotBe(TraceId);
        new RawAnswer(upstream.Heads[1], RawEnd.Found).Values("tracestate").Should().BeEmpty("the state of a trace that could not be read is not that of another");
    }

    [Fact]
    public async Task A_trace_that_the_caller_does_not_record_is_not_recorded_here_and_stays_so_behind()
    {
        await using var receiver = await OtlpReceiver.StartAsync();
        await using var proxy = await StartAsync(receiver.Address);
        await using var upstream = RawUpstream.Start(Ok);
        await ServiceAsync(proxy, upstream);

        await SendAsync(proxy, "/tts/x", $"X-Request-Id: quiet\r\ntraceparent: 00-{TraceId}-{CallersSpan}-00\r\ntracestate: vendor=1\r\n");
        await SendAsync(proxy, "/tts/x", "X-Request-Id: loud\r\n");

        await receiver.RequestAsync("loud");
        receiver.Spans.Should().NotContain(s => s.TraceId == TraceId);
        var head = new RawAnswer(upstream.Heads[0], RawEnd.Found);
        head.Values("traceparent").Should().ContainSingle().Which.Should().MatchRegex($"^00-{TraceId}-[0-9a-f]{{16}}-00$");
        head.Values("tracestate").Should().Equal("vendor=1");
    }

    [Fact]
    public async Task Errors_have_a_type_on_both_spans_and_what_the_caller_did_wrong_is_no_error_of_the_server()
    {
        await using var receiver = await OtlpReceiver.StartAsync();
        await using var proxy = await StartAsync(receiver.Address);
        var dead = RawUpstream.Start(Ok);
        await ServiceAsync(proxy, dead);
        await dead.DisposeAsync();
        await using var teapot = RawUpstream.Start("HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n");
        await ServiceAsync(proxy, teapot, "tea");

        await SendAsync(proxy, "/tts/x", "X-Request-Id: dead\r\n");
        await SendAsync(proxy, "/tea/x", "X-Request-Id: tea\r\n");
        await SendAsync(proxy, "/nobody", "X-Request-Id: nobody\r\n", "BREW");

        var (server, clients) = await receiver.RequestAsync("dead");
        Errors(server).Should().Be((2, "connection_refused", "502"));
        Errors(clients[0]).Should().Be((2, "connection_refused", null));
        (server, clients) = await receiver.RequestAsync("tea");
        Errors(server).Should().Be((0, null, "418"));
        Errors(clients[0]).Should().Be((2, "418", "418"));
        (server, _) = await receiver.RequestAsync("nobody", clients: 0);
        Errors(server).Should().Be((0, null, "404"));
        (server.Name, server.Attributes["http.request.method"], server.Attributes["http.request.method_original"]).Should().Be(("HTTP", "_OTHER", "BREW"));
    }

    [Fact]
    public async Task A_receiver_that_is_away_is_told_once_and_requests_do_not_notice()
    {
        var receiver = await OtlpReceiver.StartAsync();
        var address = receiver.Address;
        await receiver.DisposeAsync();
        await using var proxy = await StartAsync(address);
        await using var upstream = RawUpstream.Start(Ok);
        await ServiceAsync(proxy, upstream);

        for (var i = 0; i < 20; i++)
            (await SendAsync(proxy, "/tts/x", "")).Status.Should().Be(200);
        await Eventually.Until("it is told", () => proxy.Process.Errors.Any(l => l.Contains("Traces cannot be sent")), Deadlines.Start);
        for (var i = 0; i < 20; i++)
            (await SendAsync(proxy, "/tts/x", "")).Status.Should().Be(200);

        await using var back = await OtlpReceiver.StartAsync(port: address.Port);
        await Eventually.Until("traces come again", async () =>
        {
            await SendAsync(proxy, "/tts/x", "");
            return back.Spans.Count > 0;
        }, Deadlines.Start);
        await Eventually.Until("and that is told", () => proxy.Process.Errors.Any(l => l.Contains("can be sent") && l.Contains("again")), Deadlines.Start);
        proxy.Process.Errors.Count(l => l.Contains("Traces cannot be sent")).Should().Be(1);
    }

    [Fact]
    public async Task Tracing_goes_on_and_off_with_the_configuration()
    {
        await using var receiver = await OtlpReceiver.StartAsync();
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Registry:Store=memory"], ConfigJson = "{}", Environment = _quick });
        await using var upstream = RawUpstream.Start(Ok);
        await ServiceAsync(proxy, upstream);

        await proxy.WriteConfigAsync($$"""{ "Otlp": { "Endpoint": "{{receiver.Address}}" } }""");
        await Eventually.Until("the request is traced", async () =>
        {
            await SendAsync(proxy, "/tts/x", "");
            return receiver.Spans.Count > 0;
        }, Deadlines.Start);
        await proxy.WriteConfigAsync("{}");
        await Eventually.Until("no trace field is sent", async () =>
        {
            await SendAsync(proxy, "/tts/x", "");
            return new RawAnswer(upstream.Heads[^1], RawEnd.Found).Values("traceparent").Count == 0;
        }, Deadlines.Start);
    }

    private static (int Status, string? Type, string? Code) Errors(OtlpSpan span) =>
        (span.StatusCode, span.Attributes.GetValueOrDefault("error.type"), span.Attributes.GetValueOrDefault("http.response.status_code"));

    private static Task<ProxyProcess> StartAsync(Uri? endpoint, Dictionary<string, string?>? environment = null) => ProxyProcess.StartAsync(new ProxyOptions
    {
        Arguments = ["--Registry:Store=memory", "--Defaults:Retry:Attempts=0", .. endpoint is null ? Array.Empty<string>() : [$"--Otlp:Endpoint={endpoint}"]],
        Environment = _quick.Concat(environment ?? []).ToDictionary(),
    });

    private static async Task ServiceAsync(ProxyProcess proxy, RawUpstream upstream, string service = "tts")
    {
        using var registered = await proxy.Registry.RegisterAsync(service, upstream.Host, upstream.Port, extra: new { instance_id = "a" }, query: "wait=10");
        await RegistryApi.DocumentOfAsync(registered);
    }

    private static Task<RawAnswer> SendAsync(ProxyProcess proxy, string target, string fields, string method = "GET") =>
        RawHttp.SendAsync(proxy.Address, $"{method} {target} HTTP/1.1\r\nHost: front.example:81\r\n{fields}Connection: close\r\n\r\n");
}

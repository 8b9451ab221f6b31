using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Errors;

/// <summary>Requests that are refused before any instance sees them, or that turn out to be malformed on their way to one.</summary>
public sealed class RefusedRequestTests(DataPlaneFixture fixture) : IClassFixture<DataPlaneFixture>
{
    /// <summary>Well-formed, but nothing that the proxy could send on. What is not even that is in <c>Strictness/CorpusTests</c>.</summary>
    [Theory]
    [InlineData(405, "CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n")]
    [InlineData(405, "connect /x HTTP/1.1\r\nHost: {host}\r\n\r\n")]
    [InlineData(400, "OPTIONS * HTTP/1.1\r\nHost: {host}\r\n\r\n")]
    [InlineData(400, "GET /../x HTTP/1.1\r\nHost: {host}\r\n\r\n")]
    [InlineData(400, "POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")]
    public async Task A_request_that_cannot_be_forwarded_is_refused_with_a_document(int status, string request)
    {
        var (seen, answer) = await fixture.ExchangeAsync(request.Replace("\r\nHost", "\r\nConnection: close\r\nHost", StringComparison.Ordinal));

        ProxyAnswerTests.AssertProblem(answer, new Expected(status, "http_request_error", 14));
        seen.Should().BeEmpty();
    }

    /// <summary>The server refuses it itself, without a document.</summary>
    [Fact]
    public async Task A_null_character_in_the_path_is_refused_however_it_is_encoded()
    {
        var (seen, answer) = await fixture.ExchangeAsync("GET /a%00b HTTP/1.1\r\nHost: {host}\r\n\r\n");

        (answer.Status, answer.End, answer.Body, seen).Should().Be((400, RawEnd.Closed, "", ""));
    }

    [Fact]
    public async Task A_target_beyond_32_KiB_is_too_long()
    {
        var (seen, answer) = await fixture.ExchangeAsync($"GET /{new string('x', 33_000)} HTTP/1.1\r\nHost: {{host}}\r\n\r\n");

        (answer.Status, seen).Should().Be((414, ""));
    }

    [Fact]
    public async Task Fields_beyond_64_KiB_or_500_are_too_large()
    {
        var (_, size) = await fixture.ExchangeAsync($"GET / HTTP/1.1\r\nHost: {{host}}\r\nX: {new string('x', 66_000)}\r\n\r\n");
        var (_, count) = await fixture.ExchangeAsync($"GET / HTTP/1.1\r\nHost: {{host}}\r\n{string.Concat(Enumerable.Range(0, 501).Select(i => $"X-{i}: 1\r\n"))}\r\n");

        (size.Status, count.Status).Should().Be((431, 431));
    }

    [Theory]
    [InlineData("zz\r\n")]
    [InlineData("5\r\nhello!!\r\n0\r\n\r\n")]
    [InlineData("5\r\nhello\r\n-1\r\n")]
    public async Task A_malformed_chunk_is_refused_and_the_instance_does_not_get_a_whole_request(string body)
    {
        var whole = new TaskCompletionSource<string>();
        await using var upstream = RawUpstream.Start(async (connection, _) => whole.TrySetResult((await connection.ReadToEndAsync()).Text));
        var host = await fixture.ServiceAsync(upstream);

        var answer = await fixture.SendAsync($"POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n{body}");

        ProxyAnswerTests.AssertProblem(answer, new Expected(400, "http_request_error", 14));
        if (upstream.Heads.Count > 0)
            (await whole.Task.WaitAsync(Deadlines.Wait)).Should().NotEndWith("0\r\n\r\n");
        var stats = await fixture.Proxy.Registry.GetJsonAsync($"/stats/{host.Split('.')[0]}");
        stats.GetProperty("failed_requests").GetInt64().Should().Be(0);
    }

    [Fact]
    public async Task After_a_refusal_the_connection_serves_the_next_request()
    {
        await using var upstream = RawUpstream.Start("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        var host = await fixture.ServiceAsync(upstream);
        using var caller = await Wire.ConnectAsync(fixture.Address);

        await caller.SendAsync($"GET /../x HTTP/1.1\r\nHost: {host}\r\n\r\nGET /y HTTP/1.1\r\nHost: {host}\r\n\r\n");

        (await caller.ReadMessageAsync())!.StartLine.Should().StartWith("HTTP/1.1 400 ");
        (await caller.ReadMessageAsync())!.StartLine.Should().StartWith("HTTP/1.1 200 ");
    }

    [Fact]
    public async Task An_instance_whose_network_is_forbidden_later_is_refused()
    {
        await using var upstream = RawUpstream.Start("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { ConfigJson = """{ "Registry": { "Store": "memory" } }""" });
        using var registered = await proxy.Registry.RegisterAsync("tts", "localhost", upstream.Port, query: "wait=10");
        registered.EnsureSuccessStatusCode();
        await proxy.WriteConfigAsync("""{ "Registry": { "Store": "memory", "AllowedNetworks": "10.0.0.0/8" } }""");
        await Eventually.Until("the network is forbidden", async () =>
        {
            using var answer = await proxy.Registry.RegisterAsync("other", "127.0.0.1", upstream.Port);
            return answer.StatusCode == System.Net.HttpStatusCode.BadRequest;
        });

        var answer = await RawHttp.SendAsync(proxy.Address, "GET /tts/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

        ProxyAnswerTests.AssertProblem(answer, new Expected(502, "destination_ip_prohibited", 14));
        upstream.Heads.Should().BeEmpty();
    }
}

using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Fidelity;

/// <summary>Connections are kept where both sides want it, old clients are served, and answers without a body stay without one.</summary>
public sealed class ConnectionTests(DataPlaneFixture fixture) : IClassFixture<DataPlaneFixture>
{
    [Fact]
    public async Task Requests_sent_in_one_go_are_answered_in_their_order()
    {
        await using var upstream = WireServer.Start(EchoTargetsAsync);
        var host = await fixture.ServiceAsync(upstream);
        using var caller = await Wire.ConnectAsync(fixture.Address);

        await caller.SendAsync(string.Concat(Enumerable.Range(0, 20).Select(i => i % 3 == 0
            ? $"POST /{i} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\n\r\nbody"
            : $"GET /{i} HTTP/1.1\r\nHost: {host}\r\n\r\n")));

        for (var i = 0; i < 20; i++)
            System.Text.Encoding.ASCII.GetString((await caller.ReadMessageAsync())!.Body).Should().Be($"/{i}:{(i % 3 == 0 ? 4 : 0)}");
    }

    [Fact]
    public async Task The_connection_to_the_instance_is_used_again()
    {
        await using var upstream = WireServer.Start(EchoTargetsAsync);
        var host = await fixture.ServiceAsync(upstream);
        for (var i = 0; i < 10; i++)
            (await fixture.SendAsync($"GET /{i} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).Status.Should().Be(200);

        upstream.Accepted.Should().Be(1);
    }

    [Fact]
    public async Task An_old_caller_gets_a_plain_body_and_the_end_of_the_connection()
    {
        var (seen, answer) = await fixture.ExchangeAsync("GET / HTTP/1.0\r\nHost: {host}\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");

        seen.Should().StartWith("GET / HTTP/1.1\r\n");
        answer.Values("Transfer-Encoding").Should().BeEmpty();
        (answer.Body, answer.End).Should().Be(("hello", RawEnd.Closed));
    }

    [Fact]
    public async Task An_old_caller_that_asks_for_it_keeps_its_connection()
    {
        await using var upstream = WireServer.Start(EchoTargetsAsync);
        var host = await fixture.ServiceAsync(upstream);
        using var caller = await Wire.ConnectAsync(fixture.Address);
        for (var i = 0; i < 3; i++)
        {
            await caller.SendAsync($"GET /{i} HTTP/1.0\r\nHost: {host}\r\nConnection: keep-alive\r\n\r\n");
            var answer = (await caller.ReadMessageAsync())!;

            answer.Values("Connection").Should().Equal("keep-alive");
            System.Text.Encoding.ASCII.GetString(answer.Body).Should().Be($"/{i}:0");
        }
    }

    [Theory]
    [InlineData("HEAD", "200 OK", "Content-Length: 12345\r\n", "Content-Length: 12345")]
    [InlineData("HEAD", "404 Not Found", "Content-Length: 7\r\n", "Content-Length: 7")]
    [InlineData("HEAD", "200 OK", "Transfer-Encoding: chunked\r\n", "")]
    [InlineData("HEAD", "200 OK", "", "")]
    [InlineData("GET", "304 Not Modified", "Content-Length: 12345\r\n", "Content-Length: 12345")]
    [InlineData("GET", "304 Not Modified", "", "")]
    [InlineData("GET", "204 No Content", "", "")]
    [InlineData("DELETE", "204 No Content", "Content-Length: 0\r\n", "")]
    [InlineData("GET", "204 No Content", "Content-Length: 5\r\n", "")]
    [InlineData("POST", "205 Reset", "Content-Length: 0\r\n", "Content-Length: 0")]
    public async Task An_answer_without_a_body_keeps_its_fields_and_the_connection(string method, string status, string framing, string kept)
    {
        // It keeps its connection: a POST that met one just closing would be a 502.
        await using var upstream = WireServer.Start(async wire =>
        {
            while (await wire.ReadMessageAsync() is not null)
                await wire.SendAsync($"HTTP/1.1 {status}\r\nETag: \"x\"\r\n{framing}\r\n");
        });
        var host = await fixture.ServiceAsync(upstream);
        using var caller = await Wire.ConnectAsync(fixture.Address);
        for (var i = 0; i < 2; i++)
        {
            await caller.SendAsync($"{method} / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            var answer = (await caller.ReadMessageAsync(bodyless: true))!;

            answer.StartLine.Should().Be($"HTTP/1.1 {status}");
            answer.Values("ETag").Should().Equal("\"x\"");
            string.Concat(answer.Fields.Where(f => f.Name is "Content-Length" or "Transfer-Encoding").Select(f => $"{f.Name}: {f.Value}")).Should().Be(kept);
        }
    }

    [Fact]
    public async Task A_body_after_a_head_is_not_taken_for_the_next_answer()
    {
        // The instance is in the wrong: an answer to HEAD has no body. What it sends must not reach the next caller.
        await using var upstream = WireServer.Start(async wire =>
        {
            while (await wire.ReadMessageAsync() is { } request)
            {
                await wire.SendAsync(request.StartLine.StartsWith("HEAD", StringComparison.Ordinal)
                    ? "HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
                    : "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood");
            }
        });
        var host = await fixture.ServiceAsync(upstream);
        using var caller = await Wire.ConnectAsync(fixture.Address);

        await caller.SendAsync($"HEAD / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        await caller.ReadMessageAsync(bodyless: true);
        await caller.SendAsync($"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");

        System.Text.Encoding.ASCII.GetString((await caller.ReadMessageAsync())!.Body).Should().Be("good");
    }

    private static async Task EchoTargetsAsync(Wire wire)
    {
        while (await wire.ReadMessageAsync() is { } request)
        {
            var body = $"{request.StartLine.Split(' ')[1]}:{request.Body.Length}";
            await wire.SendAsync($"HTTP/1.1 200 OK\r\nContent-Length: {body.Length}\r\n\r\n{body}");
        }
    }
}

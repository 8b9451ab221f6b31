using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Strictness;

/// <summary>Answers of instances that could be read in two ways: the caller gets 502, and the connection to the instance is not used again.</summary>
[Trait("Depends", "forwarder")]
public sealed class AnswerTests(DataPlaneFixture fixture) : IClassFixture<DataPlaneFixture>
{
    private const string Ok = "HTTP/1.1 200 OK\r\n";

    [Theory]
    [InlineData("HTTP/1.1 200 OK\nContent-Length: 2\n\nok")]
    [InlineData(Ok + "Content-Length: 2\nX: 1\r\n\r\nok")]
    [InlineData(Ok + "Content-Length: 2\r\n\nok")]
    [InlineData(Ok + "X: a\rb\r\nContent-Length: 2\r\n\r\nok")]
    [InlineData(Ok + "X: a\rContent-Length: 2\r\n\r\nok")]
    [InlineData(Ok + "X: a\u0000b\r\nContent-Length: 2\r\n\r\nok")]
    [InlineData(Ok + "X: a\u0001b\r\nContent-Length: 2\r\n\r\nok")]
    [InlineData(Ok + "X: a\r\n folded\r\nContent-Length: 2\r\n\r\nok")]
    [InlineData(Ok + "X : a\r\nContent-Length: 2\r\n\r\nok")]
    [InlineData(Ok + "Content-Length : 2\r\n\r\nok")]
    [InlineData(Ok + ": a\r\nContent-Length: 2\r\n\r\nok")]
    [InlineData(Ok + "no colon\r\nContent-Length: 2\r\n\r\nok")]
    [InlineData(Ok + "X Y: a\r\nContent-Length: 2\r\n\r\nok")]
    [InlineData(Ok + "X(Y): a\r\nContent-Length: 2\r\n\r\nok")]
    [InlineData(Ok + " X: a\r\nContent-Length: 2\r\n\r\nok")]
    [InlineData(Ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!")]
    [InlineData(Ok + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok")]
    [InlineData(Ok + "Content-Length: 2, 2\r\n\r\nok")]
    [InlineData(Ok + "Content-Length: +2\r\n\r\nok")]
    [InlineData(Ok + "Content-Length: -2\r\n\r\nok")]
    [InlineData(Ok + "Content-Length: 0x2\r\n\r\nok")]
    [InlineData(Ok + "Content-Length:\r\n\r\nok")]
    [InlineData(Ok + "Content-Length: 99999999999999999999\r\n\r\nok")]
    [InlineData(Ok + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]
    [InlineData(Ok + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n")]
    [InlineData(Ok + "Transfer-Encoding: gzip\r\n\r\nok")]
    [InlineData(Ok + "Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok")]
    [InlineData(Ok + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n")]
    [InlineData(Ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]
    [InlineData("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]
    [InlineData(Ok + "Transfer-Encoding: chunked\r\n\r\n2;\r\nok\r\n0\r\n\r\n")]
    [InlineData(Ok + "Transfer-Encoding: chunked\r\n\r\n2\nok\r\n0\r\n\r\n")]
    [InlineData(Ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nok!\r\n0\r\n\r\n")]
    [InlineData(Ok + "Transfer-Encoding: chunked\r\n\r\nx\r\nok\r\n0\r\n\r\n")]
    [InlineData(Ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\n0\r\n\r\n")]
    [InlineData(Ok + "Transfer-Encoding: chunked\r\n\r\n0\r\nX : 1\r\n\r\n")]
    [InlineData("HTTP/1.1 200OK\r\nContent-Length: 2\r\n\r\nok")]
    [InlineData("HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nok")]
    [InlineData("HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok")]
    [InlineData("HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok")]
    [InlineData("HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok")]
    [InlineData("http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")]
    [InlineData("\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")]
    [InlineData("nonsense\r\n\r\n")]
    public async Task A_malformed_answer_is_a_502_and_its_connection_is_not_used_again(string answer)
    {
        await using var upstream = WireServer.Start(async wire =>
        {
            await wire.ReadMessageAsync();
            await wire.SendAsync(answer);
            // Open, as an instance is that has not noticed. Whoever came back here would never be answered.
            await wire.ReadSomeAsync();
        });
        var host = await fixture.ServiceAsync(upstream);

        var first = await fixture.SendAsync($"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        var second = await fixture.SendAsync($"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");

        Errors.ProxyAnswerTests.AssertProblem(first, new Errors.Expected(502, "http_protocol_error", 14));
        second.Status.Should().Be(502, "it was asked, on a connection of its own");
    }

    [Theory]
    [InlineData(Ok + "Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")]
    [InlineData(Ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")]
    [InlineData("HTTP/1.1 204 None\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")]
    public async Task What_follows_an_answer_is_nobody_s(string answer)
    {
        await using var upstream = WireServer.Start(async wire =>
        {
            while (await wire.ReadMessageAsync() is not null)
                await wire.SendAsync(answer);
        });
        var host = await fixture.ServiceAsync(upstream);

        for (var i = 0; i < 5; i++)
        {
            var got = await fixture.SendAsync($"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            got.Status.Should().BeOneOf(200, 204);
            got.Text.Should().NotContain("evil");
        }
    }

    [Theory]
    [InlineData("HEAD", Ok + "Content-Length: 200\r\n\r\n", 200)]
    [InlineData("HEAD", Ok + "Transfer-Encoding: chunked\r\n\r\n", 200)]
    [InlineData("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 200\r\n\r\n", 304)]
    [InlineData("GET", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 200)]
    [InlineData("GET", "HTTP/1.1 200 \r\ncontent-length:2\r\n\r\nok", 200)]
    [InlineData("GET", "HTTP/1.0 200 OK\r\n\r\nok", 200)]
    [InlineData("GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200)]
    [InlineData("GET", Ok + "Transfer-Encoding: Chunked\r\n\r\n2;a=\"b\"\r\nok\r\n0\r\nX: 1\r\n\r\n", 200)]
    [InlineData("GET", Ok + "X: \u00e9\t\u0080\r\nContent-Length: 2\r\n\r\nok", 200)]
    public async Task Well_formed_answers_come_through(string method, string answer, int status)
    {
        var (_, got) = await fixture.ExchangeAsync($"{method} / HTTP/1.1\r\nHost: {{host}}\r\nConnection: close\r\n\r\n", answer);

        got.Status.Should().Be(status);
    }

    [Fact]
    public async Task A_body_that_goes_out_behind_its_answer_does_not_disturb_the_next_request_of_the_connection()
    {
        await using var upstream = WireServer.Start(async wire =>
        {
            while (await wire.ReadHeadAsync() is { } head)
            {
                await wire.SendAsync(head.StartLine.StartsWith("POST ", StringComparison.Ordinal) ? "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n" : Ok + "Content-Length: 2\r\n\r\nok");
                if (head.Values("Content-Length") is [var length])
                    await wire.ReadExactlyAsync(int.Parse(length, System.Globalization.CultureInfo.InvariantCulture));
            }
        });
        var host = await fixture.ServiceAsync(upstream);

        for (var i = 0; i < 5; i++)
        {
            await fixture.SendAsync($"POST / HTTP/1.1\r\nHost: {host}\r\nExpect: 100-continue\r\nContent-Length: 19\r\nConnection: close\r\n\r\nHEAD / HTTP/1.1\r\n\r\n");
            (await fixture.SendAsync($"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).Body.Should().Be("ok");
        }
    }

    [Fact]
    public async Task A_malformed_chunk_behind_the_head_cuts_the_answer()
    {
        await using var upstream = RawUpstream.Start(async (connection, _) =>
        {
            await connection.SendAsync(Ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
            await connection.SendAsync("5\nhello\r\n0\r\n\r\n");
        });
        var host = await fixture.ServiceAsync(upstream);

        var got = await fixture.SendAsync($"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");

        got.Text.Should().NotContain("\r\n0\r\n\r\n", "it never looks whole");
    }
}

using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Fidelity;

/// <summary>
/// Pins what docs/limits.md tells users: where the proxy is not transparent, and what happens instead. Runs once with each forwarder; where they differ, the test says how.
/// </summary>
public sealed class LimitTests(DataPlaneFixture fixture) : IClassFixture<DataPlaneFixture>
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    [Fact]
    public async Task A_target_with_bytes_beyond_ASCII_is_refused()
    {
        var (seen, answer) = await fixture.ExchangeAsync("GET /caf\u00e9 HTTP/1.1\r\nHost: {host}\r\n\r\n");

        (answer.Status, seen).Should().Be((400, ""));
    }

    [Theory]
    [InlineData("get", "GET")]
    [InlineData("Post", "POST")]
    [InlineData("dElEtE", "DELETE")]
    public async Task A_known_method_in_another_case_goes_on_in_upper_case_but_for_the_direct_forwarder(string sent, string arrives)
    {
        var (seen, _) = await fixture.ExchangeAsync($"{sent} / HTTP/1.1\r\nHost: {{host}}\r\nConnection: close\r\n\r\n");

        seen.Should().StartWith($"{(ProxyProcess.IsDirect ? sent : arrives)} / HTTP/1.1\r\n");
    }

    [Fact]
    public async Task Repeated_lines_of_a_request_arrive_as_one_but_for_the_direct_forwarder()
    {
        var (seen, _) = await fixture.ExchangeAsync(
            "GET / HTTP/1.1\r\nHost: {host}\r\nX-A: 1\r\nCookie: a=1\r\nAccept: x\r\nx-a: 2\r\nCookie: b=2\r\nAccept: y\r\nUser-Agent: u\r\nUser-Agent: v\r\nConnection: close\r\n\r\n");

        var head = new RawAnswer(seen, RawEnd.Found);
        head.Values("Cookie").Should().Equal("a=1; b=2");
        head.Values("X-A").Should().Equal(ProxyProcess.IsDirect ? ["1", "2"] : ["1, 2"]);
        head.Values("Accept").Should().Equal(ProxyProcess.IsDirect ? ["x", "y"] : ["x, y"]);
        head.Values("User-Agent").Should().Equal(ProxyProcess.IsDirect ? ["u", "v"] : ["u v"]);
    }

    [Fact]
    public async Task Known_names_arrive_in_their_usual_case()
    {
        var (seen, _) = await fixture.ExchangeAsync("GET / HTTP/1.1\r\nhost: {host}\r\nuser-agent: u\r\nx-lower: 1\r\nX-UPPER: 2\r\nconnection: close\r\n\r\n");
        var answer = await fixture.AnswerAsync("HTTP/1.1 200 OK\r\ncontent-length: 0\r\netag: x\r\nx-lower: 1\r\n\r\n");

        seen.Should().Contain("\r\nUser-Agent: u\r\n").And.Contain("\r\nx-lower: 1\r\n").And.Contain("\r\nX-UPPER: 2\r\n");
        answer.Head.Should().Contain("\r\nETag: x").And.Contain("\r\nx-lower: 1");
    }

    [Theory]
    [InlineData("POST", "")]
    [InlineData("PROPFIND", "")]
    [InlineData("GET", "Content-Type: text/plain\r\n")]
    [InlineData("DELETE", "Expires: 0\r\n")]
    public async Task A_request_without_a_body_may_gain_a_length_of_0(string method, string fields)
    {
        var (seen, _) = await fixture.ExchangeAsync($"{method} / HTTP/1.1\r\nHost: {{host}}\r\n{fields}Connection: close\r\n\r\n");

        seen.Should().Contain("\r\n" + fields);
        var isAdded = !ProxyProcess.IsDirect || method is "POST" or "PROPFIND";
        new RawAnswer(seen, RawEnd.Found).Values("Content-Length").Should().Equal(isAdded ? ["0"] : []);
    }

    [Fact]
    public async Task Trailers_of_a_request_end_here_but_for_the_direct_forwarder()
    {
        var body = new TaskCompletionSource<string>();
        await using var upstream = RawUpstream.Start(async (connection, _) =>
        {
            var seen = (await connection.ReadUntilAsync("\r\n0\r\n")).Text;
            for (var line = ""; line != "\r\n" && (line = (await connection.ReadUntilAsync("\r\n")).Text).Length > 0;)
                seen += line;
            body.SetResult(seen);
            await connection.SendAsync(Ok);
        });
        var host = await fixture.ServiceAsync(upstream);

        var answer = await fixture.SendAsync(
            $"POST / HTTP/1.1\r\nHost: {host}\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n");

        answer.Status.Should().Be(200);
        (await body.Task).Should().Be(ProxyProcess.IsDirect ? "2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n" : "2\r\nhi\r\n0\r\n\r\n");
    }

    [Fact]
    public async Task An_upgrade_with_a_body_goes_on_as_an_ordinary_request()
    {
        await using var upstream = RawUpstream.Start("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        var host = await fixture.ServiceAsync(upstream);

        var answer = await fixture.SendAsync(
            $"POST / HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade, close\r\nUpgrade: made-up/1\r\nContent-Length: 2\r\n\r\nhi");

        answer.Status.Should().Be(200);
        upstream.Heads.Should().ContainSingle().Which.Should().Contain("Content-Length: 2").And.NotContain("pgrade");
    }

    [Fact]
    public async Task Trailers_of_an_answer_reach_callers_of_HTTP_2_only()
    {
        await using var upstream = RawUpstream.Start("HTTP/1.1 200 OK\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n");
        var host = await fixture.ServiceAsync(upstream);
        using var request = new HttpRequestMessage(HttpMethod.Get, "/") { Headers = { Host = host } };

        var one = await fixture.SendAsync($"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        using var two = await fixture.Proxy.H2c.SendAsync(request);

        one.Body.Should().Be("2\r\nhi\r\n0\r\n\r\n");
        two.TrailingHeaders.GetValues("X-T").Should().Equal("1");
    }

    [Fact]
    public async Task Interim_answers_other_than_100_and_101_are_dropped()
    {
        var answer = await fixture.AnswerAsync($"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n{Ok}");

        answer.Head.Should().StartWith("HTTP/1.1 200 OK\r\n");
        answer.Text.Should().NotContain("Link");
    }

    [Fact]
    public async Task A_lone_keep_alive_line_hides_what_another_nominates()
    {
        await using var upstream = RawUpstream.Start("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        var host = await fixture.ServiceAsync(upstream);
        using var caller = await Wire.ConnectAsync(fixture.Address);

        await caller.SendAsync($"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: keep-alive\r\nConnection: X-N\r\nX-N: 1\r\n\r\n");

        (await caller.ReadMessageAsync())!.StartLine.Should().Be("HTTP/1.1 200 OK");
        upstream.Heads.Should().ContainSingle().Which.Should().Contain("\r\nX-N: 1\r\n");
    }

    [Fact]
    public async Task An_answer_framed_by_the_end_of_its_connection_always_looks_whole()
    {
        var answer = await fixture.AnswerAsync("HTTP/1.1 200 OK\r\n\r\nperhaps the whole");

        answer.Body.Should().Be("11\r\nperhaps the whole\r\n0\r\n\r\n");
    }

    [Fact]
    public async Task An_empty_chunked_answer_goes_out_with_a_length_of_0()
    {
        var answer = await fixture.AnswerAsync("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");

        answer.Values("Content-Length").Should().Equal("0");
        answer.Values("Transfer-Encoding").Should().BeEmpty();
    }

    [Fact]
    public async Task An_answer_without_a_Date_gets_one_and_a_204_loses_its_length()
    {
        var dated = await fixture.AnswerAsync("HTTP/1.1 204 None\r\nContent-Length: 0\r\n\r\n");

        dated.Values("Date").Should().ContainSingle();
        dated.Values("Content-Length").Should().BeEmpty();
    }

    [Fact]
    public async Task A_phrase_beyond_ASCII_loses_those_bytes()
    {
        var answer = await fixture.AnswerAsync("HTTP/1.1 200 \u00e9t\u00e9\r\nContent-Length: 0\r\n\r\n");

        answer.Head.Should().StartWith("HTTP/1.1 200 ?t?\r\n");
    }
}

using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Logging;

/// <summary>Each request has one id, and caller, instance and problem document are told the same.</summary>
public sealed class RequestIdTests(DataPlaneFixture fixture) : IClassFixture<DataPlaneFixture>
{
    private const string Made = "^[0-9a-f]{32}$";

    [Fact]
    public async Task A_callers_id_reaches_the_instance_and_comes_back()
    {
        var (seen, answer) = await fixture.ExchangeAsync("GET / HTTP/1.1\r\nHost: {host}\r\nx-request-ID: My.id_1-2\r\nConnection: close\r\n\r\n");

        new RawAnswer(seen, RawEnd.Found).Values("X-Request-Id").Should().Equal("My.id_1-2");
        answer.Values("X-Request-Id").Should().Equal("My.id_1-2");
    }

    [Theory]
    [InlineData("")]
    [InlineData("X-Request-Id:\r\n")]
    [InlineData("X-Request-Id: a b\r\n")]
    [InlineData("X-Request-Id: <script>\r\n")]
    [InlineData("X-Request-Id: \u00e9\r\n")]
    [InlineData("X-Request-Id: a\r\nX-Request-Id: b\r\n")]
    public async Task Without_a_single_well_formed_id_one_is_made(string field)
    {
        var (seen, answer) = await fixture.ExchangeAsync($"GET / HTTP/1.1\r\nHost: {{host}}\r\n{field}Connection: close\r\n\r\n");

        var id = answer.Values("X-Request-Id").Should().ContainSingle().Subject;
        id.Should().MatchRegex(Made);
        new RawAnswer(seen, RawEnd.Found).Values("X-Request-Id").Should().Equal(id);
    }

    [Fact]
    public async Task An_instance_that_tells_an_id_of_its_own_is_heard()
    {
        var answer = await fixture.AnswerAsync("HTTP/1.1 200 OK\r\nX-Request-Id: inner:1\r\nContent-Length: 0\r\n\r\n");

        answer.Values("X-Request-Id").Should().Equal("inner:1");
    }

    [Fact]
    public async Task A_problem_document_names_the_request()
    {
        var answer = await fixture.SendAsync("GET / HTTP/1.1\r\nHost: nobody\r\nX-Request-Id: abc\r\nConnection: close\r\n\r\n");

        answer.Status.Should().Be(404);
        answer.Values("X-Request-Id").Should().Equal("abc");
        JsonElement.Parse(answer.Body).GetProperty("request_id").GetString().Should().Be("abc");
    }

    [Fact]
    public async Task Over_HTTP_2_it_is_the_same()
    {
        await using var upstream = RawUpstream.Start("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        using var request = new HttpRequestMessage(HttpMethod.Get, "/") { Headers = { Host = await fixture.ServiceAsync(upstream) } };
        request.Headers.Add("X-Request-Id", "h2");

        using var answer = await fixture.Proxy.H2c.SendAsync(request);

        answer.Headers.GetValues("X-Request-Id").Should().Equal("h2");
        new RawAnswer(upstream.Heads[0], RawEnd.Found).Values("X-Request-Id").Should().Equal("h2");
    }

    [Fact]
    public async Task Management_tells_its_own_requests_ids_too()
    {
        using var answer = await fixture.Proxy.Api.GetAsync("/services/nobody");

        var id = answer.Headers.GetValues("X-Request-Id").Should().ContainSingle().Subject;
        id.Should().MatchRegex(Made);
        JsonElement.Parse(await answer.Content.ReadAsStringAsync()).GetProperty("request_id").GetString().Should().Be(id);
    }
}

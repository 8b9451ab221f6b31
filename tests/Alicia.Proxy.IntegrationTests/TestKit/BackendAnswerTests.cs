using System.Diagnostics;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.TestKit;

/// <summary>The scriptable upstream shows what it received, to the byte.</summary>
public sealed class BackendAnswerTests(RunningBackends backends) : IClassFixture<RunningBackends>
{
    [Theory]
    [InlineData("http1", "HTTP/1.1")]
    [InlineData("h2c", "HTTP/2")]
    public async Task Echo_reports_method_target_fields_and_body(string protocol, string spoken)
    {
        var backend = backends.Of(protocol);
        using var request = new HttpRequestMessage(HttpMethod.Patch, "/echo/a%2Fb?x=1&x=2%20") { Content = new StringContent("höchst") };
        request.Headers.TryAddWithoutValidation("X-Many", ["b", "a", "c"]);

        using var answer = await backend.Http.SendAsync(request);
        var echo = await Backend.EchoOfAsync(answer);

        answer.Headers.GetValues("X-Backend").Should().Equal(backend.Name);
        echo.Name.Should().Be(backend.Name);
        echo.Method.Should().Be("PATCH");
        echo.RawTarget.Should().Be("/echo/a%2Fb?x=1&x=2%20");
        echo.Protocol.Should().Be(spoken);
        string.Join(",", echo.Values("x-many")).Replace(" ", "").Should().Be("b,a,c");
        var body = Encoding.UTF8.GetBytes("höchst");
        echo.BodyLength.Should().Be(body.Length);
        echo.BodySha256.Should().Be(Convert.ToHexStringLower(SHA256.HashData(body)));
        Convert.FromBase64String(echo.BodyBase64!).Should().Equal(body);
        echo.Trailers.Should().BeEmpty();
    }

    [Fact]
    public async Task Echo_shows_a_target_with_dot_segments_as_it_was_sent()
    {
        var answer = await RawHttp.SendAsync(backends.Http1.Address, "GET /a/../b/%2e%2E/c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

        answer.Status.Should().Be(200);
        answer.End.Should().Be(RawEnd.Closed);
        JsonElement.Parse(answer.Body).GetProperty("raw_target").GetString().Should().Be("/a/../b/%2e%2E/c");
    }

    [Fact]
    public async Task Repeated_fields_stay_apart_and_in_order()
    {
        var answer = await RawHttp.SendAsync(
            backends.Http1.Address, "GET / HTTP/1.1\r\nHost: x\r\nX-Many: b\r\nX-Other: o\r\nX-Many: a\r\nConnection: close\r\n\r\n");

        var pairs = JsonElement.Parse(answer.Body).GetProperty("headers").EnumerateArray()
            .Select(pair => (Name: pair[0].GetString(), Value: pair[1].GetString())).ToArray();
        pairs.Where(pair => pair.Name == "X-Many").Select(pair => pair.Value).Should().Equal("b", "a");
        pairs.Should().Contain(("X-Other", "o"));
    }

    [Fact]
    public async Task Field_values_are_latin1_both_ways()
    {
        var answer = await RawHttp.SendAsync(
            backends.Http1.Address, "GET /echo?h=X-Out:%C3%A9t%C3%A9 HTTP/1.1\r\nHost: x\r\nX-In: \u00e9t\u00e9\r\nConnection: close\r\n\r\n");

        answer.Values("X-Out").Should().Equal("\u00e9t\u00e9");
        JsonElement.Parse(answer.Body).GetProperty("headers").EnumerateArray()
            .Should().Contain(pair => pair[0].GetString() == "X-In" && pair[1].GetString() == "\u00e9t\u00e9");
    }

    [Fact]
    public async Task Echo_reports_request_trailers()
    {
        var answer = await RawHttp.SendAsync(
            backends.Http1.Address,
            "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nConnection: close\r\n\r\n"
            + "3\r\nabc\r\n0\r\nX-Sum: 42\r\n\r\n");

        var echo = JsonElement.Parse(answer.Body);
        echo.GetProperty("body_length").GetInt64().Should().Be(3);
        echo.GetProperty("trailers")[0].EnumerateArray().Select(part => part.GetString()).Should().Equal("X-Sum", "42");
    }

    [Theory]
    [InlineData(64 * 1024 - 1, true)]
    [InlineData(64 * 1024, false)]
    [InlineData(3_000_000, false)]
    public async Task Echo_returns_only_small_bodies_but_always_their_hash(int length, bool returned)
    {
        var body = RandomNumberGenerator.GetBytes(length);

        using var answer = await backends.Http1.Http.PostAsync("/echo", new ByteArrayContent(body));
        var echo = await Backend.EchoOfAsync(answer);

        echo.BodyLength.Should().Be(length);
        echo.BodySha256.Should().Be(Convert.ToHexStringLower(SHA256.HashData(body)));
        (echo.BodyBase64 is not null).Should().Be(returned);
    }

    [Theory]
    [InlineData("http1")]
    [InlineData("h2c")]
    public async Task Sink_reads_a_large_body_to_its_end(string protocol)
    {
        var body = RandomNumberGenerator.GetBytes(5_000_000);

        using var answer = await backends.Of(protocol).Http.PostAsync("/sink", new ByteArrayContent(body));
        var document = await RegistryApi.DocumentOfAsync(answer);

        document.GetProperty("body_length").GetInt64().Should().Be(body.Length);
        document.GetProperty("body_sha256").GetString().Should().Be(Convert.ToHexStringLower(SHA256.HashData(body)));
    }

    [Fact]
    public async Task The_script_field_takes_the_place_of_the_target()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/health");
        request.Headers.Add("X-Script", "/status/418?h=X-More:1");

        using var answer = await backends.Http1.Http.SendAsync(request);

        ((int)answer.StatusCode).Should().Be(418);
        answer.Headers.GetValues("X-More").Should().Equal("1");
    }

    [Theory]
    [InlineData(200)]
    [InlineData(204)]
    [InlineData(304)]
    [InlineData(404)]
    [InlineData(599)]
    public async Task Status_answers_what_is_asked(int status)
    {
        using var answer = await backends.Http1.Http.GetAsync($"/status/{status}");

        ((int)answer.StatusCode).Should().Be(status);
        answer.Headers.GetValues("X-Backend").Should().Equal("one");
    }

    [Theory]
    [InlineData("/status/199")]
    [InlineData("/status/600")]
    [InlineData("/status/")]
    [InlineData("/delay?ms=-1")]
    [InlineData("/cut?after=5&length=5")]
    [InlineData("/echo?h=NoColon")]
    public async Task A_parameter_out_of_range_is_400(string target)
    {
        using var answer = await backends.Http1.Http.GetAsync(target);

        answer.StatusCode.Should().Be(HttpStatusCode.BadRequest);
    }

    [Fact]
    public async Task Delay_answers_after_the_time_that_was_asked_for()
    {
        var start = Stopwatch.GetTimestamp();

        using var answer = await backends.Http1.Http.GetAsync("/delay?ms=150");

        answer.StatusCode.Should().Be(HttpStatusCode.OK);
        // Timers may fire a clock tick early.
        Stopwatch.GetElapsedTime(start).Should().BeGreaterThan(TimeSpan.FromMilliseconds(140));
    }

    [Fact]
    public async Task Early_answers_without_the_body()
    {
        using var connection = await RawConnection.ConnectAsync(backends.Http1.Address);
        await connection.SendAsync("POST /early?status=413 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");

        var (head, end) = await connection.ReadHeadAsync();

        end.Should().Be(RawEnd.Found);
        head.Should().StartWith("HTTP/1.1 413 ");
    }

    [Fact]
    public async Task Large_heads_are_taken()
    {
        var target = "/echo/" + new string('t', 60_000);
        var answer = await RawHttp.SendAsync(
            backends.Http1.Address, $"GET {target} HTTP/1.1\r\nHost: x\r\nX-Large: {new string('v', 120_000)}\r\nConnection: close\r\n\r\n");

        answer.Status.Should().Be(200);
        JsonElement.Parse(answer.Body).GetProperty("raw_target").GetString().Should().Be(target);
    }
}

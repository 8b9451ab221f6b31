using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Fidelity;

/// <summary>Field values go through byte for byte, however odd, and however many.</summary>
public sealed class FieldValueTests(DataPlaneFixture fixture) : IClassFixture<DataPlaneFixture>
{
    /// <summary>Every byte that a value may have: visible ASCII, blanks inside, and all beyond ASCII.</summary>
    private static readonly string _everyByte =
        "x" + new string([.. Enumerable.Range(0, 256).Where(b => b is '\t' or (>= 0x20 and not 0x7f)).Select(b => (char)b)]) + "x";

    public static TheoryData<string, string> OddValues => new()
    {
        { "Date", "hello" },
        { "User-Agent", "(((" },
        { "Referer", "caf\u00e9 \u00ff" },
        { "Authorization", "Bearer \u00e9" },
        { "Accept", ";;q=,," },
        { "If-Match", "no quotes" },
        { "If-Modified-Since", "yesterday" },
        { "Range", "lines=1-" },
        { "Cookie", "a=1; b=\"2;3\"; \u00fc" },
        { "Content-Type", "(((" },
        { "Content-Language", "" },
        { "Expires", "-1" },
        { "From", "@@" },
        { "Max-Forwards", "x" },
        { "Cache-Control", "no-cache=,,x" },
        { "Accept-Encoding", "br;q=9" },
        { "Warning", "x" },
        { "Pragma", "" },
        { "X-Empty", "" },
        { "X-Bytes", _everyByte },
        { "traceparent", "nonsense" },
        { "X-Long", new string('v', 40_000) },
        { "Cookie", string.Join("; ", Enumerable.Range(0, 1000).Select(i => $"cookie{i:D4}={new string('c', 21)}"))[..32_768] },
    };

    [Theory]
    [MemberData(nameof(OddValues))]
    public async Task A_request_value_goes_through(string name, string value)
    {
        var (seen, answer) = await fixture.ExchangeAsync($"POST / HTTP/1.1\r\nHost: {{host}}\r\n{name}: {value}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");

        answer.Status.Should().Be(200);
        new RawAnswer(seen, RawEnd.Found).Values(name).Should().Equal(value.Trim());
    }

    [Theory]
    [MemberData(nameof(OddValues))]
    [InlineData("Server", "((")]
    [InlineData("Location", "/\u00e9 x")]
    [InlineData("ETag", "no quotes")]
    [InlineData("Set-Cookie", "a=1; expires=never, ever")]
    [InlineData("WWW-Authenticate", "Negotiate")]
    [InlineData("Retry-After", "soon")]
    [InlineData("Content-Encoding", "gzip")]
    [InlineData("Proxy-Status", "inner; error=dns_error")]
    public async Task An_answers_value_goes_through(string name, string value)
    {
        var answer = await fixture.AnswerAsync($"HTTP/1.1 200 OK\r\n{name}: {value}\r\nContent-Length: 2\r\n\r\nok");

        answer.Status.Should().Be(200);
        answer.Values(name).Should().Equal(value.Trim());
        answer.Body.Should().Be("ok");
    }

    [Fact]
    public async Task Lines_of_one_name_in_an_answer_stay_lines_in_their_order()
    {
        var answer = await fixture.AnswerAsync(
            "HTTP/1.1 200 OK\r\nSet-Cookie: b=2\r\nX-D: 1\r\nset-cookie: a=1\r\nX-D: 2, 3\r\nX-D:\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\nContent-Language: de\r\nContent-Language: en\r\n\r\n");

        answer.Values("Set-Cookie").Should().Equal("b=2", "a=1", "b=2");
        answer.Values("X-D").Should().Equal("1", "2, 3", "");
        answer.Values("Content-Language").Should().Equal("de", "en");
    }

    [Fact]
    public async Task An_answer_with_100_KB_of_fields_goes_through()
    {
        var value = new string('v', 100_000);

        var answer = await fixture.AnswerAsync($"HTTP/1.1 200 OK\r\nX-Long: {value}\r\nContent-Length: 0\r\n\r\n");

        answer.Values("X-Long").Should().Equal(value);
    }

    [Theory]
    [InlineData(200, "Fine with me")]
    [InlineData(299, "Odd")]
    [InlineData(404, "")]
    [InlineData(418, "I'm a teapot")]
    [InlineData(499, "x")]
    [InlineData(600, "Beyond")]
    [InlineData(999, "Far beyond")]
    public async Task A_status_and_its_phrase_go_through(int status, string phrase)
    {
        var answer = await fixture.AnswerAsync($"HTTP/1.1 {status} {phrase}\r\nContent-Length: 2\r\n\r\nok");

        answer.Status.Should().Be(status);
        answer.Body.Should().Be("ok");
        if (phrase.Length > 0)
            answer.Head.Should().StartWith($"HTTP/1.1 {status} {phrase}\r\n");
    }
}

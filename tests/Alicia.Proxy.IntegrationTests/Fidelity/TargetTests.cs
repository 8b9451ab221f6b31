using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Fidelity;

/// <summary>Methods and targets arrive at the instance as the caller wrote them.</summary>
public sealed class TargetTests(DataPlaneFixture fixture) : IClassFixture<DataPlaneFixture>
{
    [Theory]
    [InlineData("GET")]
    [InlineData("POST")]
    [InlineData("PUT")]
    [InlineData("DELETE")]
    [InlineData("PATCH")]
    [InlineData("OPTIONS")]
    [InlineData("TRACE")]
    [InlineData("PROPFIND")]
    [InlineData("FOO")]
    [InlineData("m-search")]
    [InlineData("!#$%&'*+-.^_`|~9")]
    public async Task A_method_goes_through(string method)
    {
        var (seen, answer) = await fixture.ExchangeAsync($"{method} /x HTTP/1.1\r\nHost: {{host}}\r\nConnection: close\r\n\r\n");

        seen.Should().StartWith($"{method} /x HTTP/1.1\r\n");
        answer.Body.Should().Be("ok");
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/?")]
    [InlineData("//")]
    [InlineData("//a//b///")]
    [InlineData("/%2F%2f/%20/%41")]
    [InlineData("/[a]{b}|c\\d^e`f\"<g>")]
    [InlineData("/%zz%2%")]
    [InlineData("/a?b=c+d&&=&e==")]
    [InlineData("/~!$&'()*+,;=:@-._")]
    [InlineData("/a;v=1/b;c?x;y")]
    [InlineData("/?a=http://x/../y")]
    [InlineData("/...")]
    public async Task A_target_goes_through(string target)
    {
        var (seen, _) = await fixture.ExchangeAsync($"GET {target} HTTP/1.1\r\nHost: {{host}}\r\nConnection: close\r\n\r\n");

        seen.Should().StartWith($"GET {target} HTTP/1.1\r\n");
    }

    [Theory]
    [InlineData("", "/")]
    [InlineData("/", "/")]
    [InlineData("//a%2Fb?c", "//a%2Fb?c")]
    [InlineData("?q", "/?q")]
    public async Task Behind_a_service_prefix_the_rest_of_the_target_goes_through(string rest, string expected)
    {
        await using var upstream = RawUpstream.Start("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        var service = (await fixture.ServiceAsync(upstream)).Split('.')[0];

        await fixture.SendAsync($"GET /{service}{rest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");

        upstream.Heads.Should().ContainSingle().Which.Should().StartWith($"GET {expected} HTTP/1.1\r\n").And.Contain($"\r\nX-Forwarded-Prefix: /{service}\r\n");
    }

    [Theory]
    [InlineData("http://{host}/p%2Fq?r", "/p%2Fq?r")]
    [InlineData("http://{host}", "/")]
    [InlineData("http://{host}?q", "/?q")]
    public async Task An_absolute_target_names_the_host_and_goes_on_as_a_path(string target, string expected)
    {
        var (seen, _) = await fixture.ExchangeAsync($"GET {target} HTTP/1.1\r\nHost: {{host}}\r\nConnection: close\r\n\r\n");

        seen.Should().StartWith($"GET {expected} HTTP/1.1\r\n");
    }

    [Theory]
    [InlineData("/a/../b")]
    [InlineData("/a/%2e%2E/b")]
    [InlineData("/.")]
    [InlineData("/a%2F..")]
    public async Task A_target_with_dot_segments_is_refused(string target)
    {
        var (seen, answer) = await fixture.ExchangeAsync($"GET {target} HTTP/1.1\r\nHost: {{host}}\r\nConnection: close\r\n\r\n");

        (answer.Status, seen).Should().Be((400, ""));
        answer.Values("Proxy-Status").Should().Equal("alicia; error=http_request_error");
    }
}

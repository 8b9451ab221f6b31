using System.Text.RegularExpressions;
using Alicia.Proxy.IntegrationTests.Api;
using Alicia.Proxy.IntegrationTests.Harness;
using RunningProxy = Alicia.Proxy.IntegrationTests.Api.RunningProxy;

namespace Alicia.Proxy.IntegrationTests.StatusPage;

/// <summary>The status page's files: what they may do in a browser, how they are cached, and that they are all there.</summary>
public sealed partial class PageFileTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    private HttpClient Api => running.Proxy.Api;

    [Theory]
    [InlineData("/", "text/html")]
    [InlineData("/page/page.css", "text/css")]
    [InlineData("/page/page.js", "text/javascript")]
    [InlineData("/page/icon.svg", "image/svg+xml")]
    public async Task A_file_has_its_type_and_may_do_nothing_but_use_its_own_host(string path, string type)
    {
        using var answer = await Api.GetAsync(path);

        answer.IsSuccessStatusCode.Should().BeTrue();
        answer.Content.Headers.ContentType!.MediaType.Should().Be(type);
        answer.Headers.GetValues("X-Content-Type-Options").Should().Equal("nosniff");
        answer.Headers.GetValues("Referrer-Policy").Should().Equal("no-referrer");
        answer.Headers.GetValues("X-Frame-Options").Should().Equal("DENY");
        var policy = answer.Headers.GetValues("Content-Security-Policy").Single();
        policy.Split(';', StringSplitOptions.TrimEntries).Should().Contain([
            "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'",
        ]);
        policy.Should().NotContain("unsafe").And.NotContain("http").And.NotContain("*");
    }

    [Fact]
    public async Task A_file_that_a_browser_has_is_not_sent_again()
    {
        using var first = await Api.GetAsync("/page/page.js");
        first.Headers.CacheControl!.NoCache.Should().BeTrue();
        var tag = first.Headers.ETag!.ToString();

        using var again = await Api.SendJsonAsync("GET", "/page/page.js", null, ("If-None-Match", tag));
        ((int)again.StatusCode).Should().Be(304);
        again.Headers.ETag!.ToString().Should().Be(tag);
        again.Headers.Contains("Content-Security-Policy").Should().BeTrue();
        (await again.Content.ReadAsByteArrayAsync()).Should().BeEmpty();
        (await Api.SendJsonAsync("GET", "/page/page.js", null, ("If-None-Match", "\"other\"")).StatusAsync()).Should().Be(200);
        using var head = await Api.SendAsync(new HttpRequestMessage(HttpMethod.Head, "/"));
        ((int)head.StatusCode, head.Content.Headers.ContentLength > 0).Should().Be((200, true));
    }

    [Fact]
    public async Task Everything_that_the_page_names_is_there_and_nothing_is_inline_or_elsewhere()
    {
        var seen = new HashSet<string> { "/" };
        var queue = new Queue<string>(seen);
        while (queue.TryDequeue(out var path))
        {
            var text = await Api.GetStringAsync(path);
            text.Should().NotContain("innerHTML").And.NotContain("eval(").And.NotMatchRegex(@"\son\w+=""").And.NotContain("style=").And.NotContain("<style");
            ElsewherePattern().Matches(text).Select(m => m.Value).Where(u => u != "http://www.w3.org/2000/svg").Should().BeEmpty("of {0}", path);
            foreach (var name in NamePattern().Matches(text).Select(m => m.Groups[1].Value.Replace("./", "/page/", StringComparison.Ordinal)))
            {
                if (seen.Add(name))
                    queue.Enqueue(name);
            }
        }

        seen.Should().HaveCountGreaterThan(8);
        ScriptPattern().Matches(await Api.GetStringAsync("/")).Should().OnlyContain(m => m.Groups[1].Value.Contains(" src=") && m.Groups[2].Value == "");
    }

    [Fact]
    public async Task Without_keys_the_page_answers_to_loopback_names_alone_and_says_that_everything_is_open()
    {
        (await RawHttp.SendAsync(running.Proxy.ManagementAddress, "GET / HTTP/1.1\r\nHost: proxy.example\r\nConnection: close\r\n\r\n")).Status.Should().Be(403);
        var who = await Api.GetAsync("/session").DocumentAsync(200);
        who.GetProperty("name").ValueKind.Should().Be(System.Text.Json.JsonValueKind.Null);
        who.GetProperty("scopes").EnumerateArray().Select(s => s.GetString()).Should().Equal("read", "register", "admin");
        await Api.SendJsonAsync("POST", "/session", """{"key":"whatever-0123456789"}""").ProblemAsync(409);
    }

    [Fact]
    public async Task The_data_listener_has_no_page()
    {
        using var answer = await running.Proxy.Http.GetAsync("/page/page.js");
        answer.Headers.GetValues("Proxy-Status").Single().Should().Contain("destination_not_found");
    }

    [GeneratedRegex(@"""((?:/page|\.)/[a-z]+\.(?:js|css|svg))""")]
    private static partial Regex NamePattern();

    [GeneratedRegex(@"(?:https?:)?//[a-z][\w.]*\.[a-z]{2,}[^""'\s]*", RegexOptions.IgnoreCase)]
    private static partial Regex ElsewherePattern();

    [GeneratedRegex(@"<script([^>]*)>([^<]*)</script>")]
    private static partial Regex ScriptPattern();
}

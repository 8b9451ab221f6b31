using System.Diagnostics;
using System.Text;
using Alicia.Proxy.IntegrationTests.Api;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.StatusPage;

/// <summary>The cookie that the status page gets for a key: what it opens, to whom, and how it ends.</summary>
public sealed class SessionTests : IAsyncLifetime
{
    private const string Configuration = """
        { "Registry": { "Store": "memory" }, "Management": { "ApiKeys": {
            "reader": { "Key": "reader-0123456789abcdef", "Scopes": ["read"] },
            "operator": { "Key": "operator-0123456789abcdef", "Scopes": ["read", "admin"] },
            "one": { "Key": "one-0123456789abcdef", "Scopes": ["read", "admin"], "Services": ["mine"] } } } }
        """;

    private ProxyProcess _proxy = null!;

    public async Task InitializeAsync() => _proxy = await ProxyProcess.StartAsync(new ProxyOptions { ConfigJson = Configuration });

    public async Task DisposeAsync() => await _proxy.DisposeAsync();

    private string Origin => _proxy.ManagementAddress.GetLeftPart(UriPartial.Authority);

    [Fact]
    public async Task The_page_needs_no_key_and_what_it_shows_does()
    {
        foreach (var path in new[] { "/", "/page/page.js", "/page/page.css", "/health" })
            (await _proxy.Api.GetAsync(path).StatusAsync()).Should().Be(200);
        foreach (var path in new[] { "/session", "/services", "/stats", "/events" })
            await _proxy.Api.GetAsync(path).ProblemAsync(401);
    }

    [Fact]
    public async Task A_key_is_traded_for_a_cookie_that_scripts_and_other_sites_cannot_use()
    {
        using var answer = await CallAsync("POST", "/session", """{"key":"operator-0123456789abcdef"}""");

        ((int)answer.StatusCode).Should().Be(200);
        var parts = answer.Headers.GetValues("Set-Cookie").Single().Split("; ");
        parts[0].Should().MatchRegex("^alicia_session=[A-Za-z0-9_-]{43}$");
        parts[1..].Should().BeEquivalentTo("max-age=43200", "path=/", "samesite=strict", "httponly");
        answer.Headers.CacheControl!.NoStore.Should().BeTrue();
        (await answer.Content.ReadAsStringAsync()).Should().Be("""{"name":"operator","scopes":["read","admin"],"services":null}""");
    }

    [Fact]
    public async Task The_cookie_opens_what_its_key_opens()
    {
        var reader = await SignInAsync("reader");
        (await CallAsync("GET", "/session", null, reader).DocumentAsync(200)).Text("name").Should().Be("reader");
        (await CallAsync("GET", "/services", null, reader).StatusAsync()).Should().Be(200);
        await CallAsync("PUT", "/services/mine", "{}", reader).ProblemAsync(403);

        var one = await SignInAsync("one");
        await CallAsync("PUT", "/services/mine", "{}", one).DocumentAsync(201);
        await CallAsync("PUT", "/services/yours", "{}", one).ProblemAsync(403);
        await CallAsync("PUT", "/services/yours", "{}", await SignInAsync("operator")).DocumentAsync(201);
        (await CallAsync("GET", "/services", null, one).DocumentAsync(200)).GetProperty("services").EnumerateObject().Select(s => s.Name).Should().Equal("mine");
    }

    [Fact]
    public async Task A_change_by_cookie_must_come_from_the_page()
    {
        var cookie = await SignInAsync("operator");

        await _proxy.Api.SendJsonAsync("PUT", "/services/mine", "{}", ("Cookie", cookie)).ProblemAsync(403);
        foreach (var origin in new[] { "null", "https://evil.example", $"http://127.0.0.1:{_proxy.Address.Port}" })
            await _proxy.Api.SendJsonAsync("PUT", "/services/mine", "{}", ("Cookie", cookie), ("Origin", origin)).ProblemAsync(403);
        foreach (var site in new[] { "same-site", "cross-site" })
        {
            await _proxy.Api.SendJsonAsync("PUT", "/services/mine", "{}", ("Cookie", cookie), ("Origin", Origin), ("Sec-Fetch-Site", site)).ProblemAsync(403);
            await _proxy.Api.SendJsonAsync("GET", "/services", null, ("Cookie", cookie), ("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", "no-cors")).ProblemAsync(403);
        }

        await _proxy.Api.SendJsonAsync("DELETE", "/session", null, ("Cookie", cookie)).ProblemAsync(403);
        await _proxy.Api.SendJsonAsync("GET", "/services/mine", null, ("Cookie", cookie)).ProblemAsync(404);
        (await _proxy.Api.SendJsonAsync("GET", "/", null, ("Cookie", cookie), ("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Mode", "navigate")).StatusAsync())
            .Should().Be(200, "a link to the page may be followed");
        await _proxy.Api.SendJsonAsync("PUT", "/services/mine", "{}", ("Cookie", cookie), ("Origin", Origin), ("Sec-Fetch-Site", "same-origin")).DocumentAsync(201);
    }

    [Fact]
    public async Task A_key_beside_the_cookie_wins()
    {
        var cookie = await SignInAsync("reader");

        await _proxy.Api.SendJsonAsync("PUT", "/services/mine", "{}", ("Cookie", cookie), ("Authorization", "Bearer operator-0123456789abcdef")).DocumentAsync(201);
        await _proxy.Api.SendJsonAsync("GET", "/services", null, ("Cookie", cookie), ("Authorization", "Bearer wrong-0123456789abcdef")).ProblemAsync(401);
    }

    [Fact]
    public async Task Signing_out_ends_the_session()
    {
        var cookie = await SignInAsync("reader");
        var other = await SignInAsync("reader");

        using (var answer = await CallAsync("DELETE", "/session", null, cookie))
        {
            ((int)answer.StatusCode).Should().Be(204);
            answer.Headers.GetValues("Set-Cookie").Single().Should().Contain("alicia_session=;").And.Contain("max-age=0");
        }

        (await CallAsync("GET", "/services", null, cookie).ProblemAsync(401)).Text("detail").Should().Contain("session has ended");
        (await CallAsync("GET", "/services", null, other).StatusAsync()).Should().Be(200);
        (await CallAsync("DELETE", "/session", null, cookie).StatusAsync()).Should().Be(204);
        (await CallAsync("DELETE", "/session", null).StatusAsync()).Should().Be(204);
    }

    [Fact]
    public async Task A_stream_of_events_ends_with_the_session_that_it_was_opened_by()
    {
        var cookie = await SignInAsync("reader");
        using var request = new HttpRequestMessage(HttpMethod.Get, "/events") { Headers = { { "Cookie", cookie } } };
        using var answer = await _proxy.Api.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        answer.EnsureSuccessStatusCode();
        var stream = answer.Content.ReadAsStringAsync();
        await CallAsync("PUT", "/services/before", "{}", await SignInAsync("operator")).DocumentAsync(201);

        (await CallAsync("DELETE", "/session", null, cookie).StatusAsync()).Should().Be(204);
        await CallAsync("PUT", "/services/after", "{}", await SignInAsync("operator")).DocumentAsync(201);

        (await stream.WaitAsync(Deadlines.Wait)).Should().Contain("\"before\"").And.NotContain("\"after\"");
    }

    [Fact]
    public async Task A_session_ends_when_a_reload_takes_its_key_away()
    {
        var (reader, one) = (await SignInAsync("reader"), await SignInAsync("one"));

        await _proxy.WriteConfigAsync(Configuration.Replace("\"reader\": { \"Key\": \"reader-", "\"reader\": { \"Key\": \"changed-", StringComparison.Ordinal));

        await Eventually.Until("the session of the old key is refused", async () => await CallAsync("GET", "/services", null, reader).StatusAsync() == 401);
        (await CallAsync("GET", "/services", null, one).StatusAsync()).Should().Be(200);
        _proxy.Process.Transcript.Should().NotContain("0123456789abcdef").And.NotContain(reader);
    }

    [Fact]
    public async Task A_wrong_key_is_refused_late_and_a_right_one_at_once()
    {
        var start = Stopwatch.GetTimestamp();
        var wrong = CallAsync("POST", "/session", """{"key":"wrong-0123456789abcdef"}""");
        await SignInAsync("reader");
        wrong.IsCompleted.Should().BeFalse();

        using var answer = await wrong;
        Stopwatch.GetElapsedTime(start).Should().BeGreaterThan(TimeSpan.FromSeconds(0.9));
        answer.Headers.Contains("Set-Cookie").Should().BeFalse();
        (await Task.FromResult(answer).ProblemAsync(401)).GetRawText().Should().Contain("not valid").And.NotContain("wrong-");
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"key":""}""")]
    [InlineData("""{"key":5}""")]
    public async Task Signing_in_takes_a_key(string body) => (await CallAsync("POST", "/session", body).ProblemAsync(400)).Faults().Should().Equal("key");

    [Fact]
    public async Task Signing_in_is_for_the_page_of_this_host()
    {
        await _proxy.Api.SendJsonAsync("POST", "/session", """{"key":"reader-0123456789abcdef"}""", ("Origin", "https://evil.example")).ProblemAsync(403);
        using var form = new StringContent("""{"key":"reader-0123456789abcdef"}""", Encoding.UTF8, "text/plain");
        using var answer = await _proxy.Api.PostAsync("/session", form);
        answer.IsSuccessStatusCode.Should().BeFalse("a form of another page cannot send JSON");
        answer.Headers.Contains("Set-Cookie").Should().BeFalse();
    }

    [Fact]
    public async Task Behind_somebody_who_ends_tls_the_page_works_and_the_cookie_is_for_tls_only()
    {
        const string Key = """{"key":"operator-0123456789abcdef"}""";
        var secure = Origin.Replace("http://", "https://", StringComparison.Ordinal);
        await _proxy.Api.SendJsonAsync("POST", "/session", Key, ("Origin", secure)).ProblemAsync(403);
        await _proxy.Api.SendJsonAsync("POST", "/session", Key, ("Origin", secure), ("Sec-Fetch-Site", "same-site")).ProblemAsync(403);

        using var answer = await _proxy.Api.SendJsonAsync("POST", "/session", Key, ("Origin", secure), ("Sec-Fetch-Site", "same-origin"));

        ((int)answer.StatusCode).Should().Be(200);
        answer.Headers.GetValues("Set-Cookie").Single().Split("; ").Should().Contain("secure");
    }

    private async Task<string> SignInAsync(string key)
    {
        using var answer = await CallAsync("POST", "/session", $$"""{"key":"{{key}}-0123456789abcdef"}""");
        return answer.EnsureSuccessStatusCode().Headers.GetValues("Set-Cookie").Single().Split(';')[0];
    }

    /// <summary>As the page calls, with its Origin.</summary>
    private Task<HttpResponseMessage> CallAsync(string method, string path, string? body, string? cookie = null) =>
        _proxy.Api.SendJsonAsync(method, path, body, cookie is null ? [("Origin", Origin)] : [("Origin", Origin), ("Cookie", cookie)]);
}

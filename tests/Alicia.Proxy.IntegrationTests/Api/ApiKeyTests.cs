using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Api;

/// <summary>Keys: which opens what, which services, and that none is ever shown.</summary>
public sealed class ApiKeyTests : IAsyncLifetime
{
    private const string Configuration = """
        { "Registry": { "Store": "memory" }, "Management": { "ApiKeys": {
            "reader": { "Key": "reader-0123456789abcdef", "Scopes": ["read"] },
            "registrar": { "Key": "registrar-0123456789abcdef", "Scopes": ["register"] },
            "admin": { "KeySha256": "$HASH$", "Scopes": ["admin"] },
            "all": { "Key": "all-0123456789abcdef", "Scopes": "read,register,admin" },
            "one": { "Key": "one-0123456789abcdef", "Scopes": ["read", "register", "admin"], "Services": ["mine"] } } } }
        """;

    private ProxyProcess _proxy = null!;
    private Backend _backend = null!;

    public async Task InitializeAsync()
    {
        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(KeyOf("admin"))));
        _proxy = await ProxyProcess.StartAsync(new ProxyOptions { ConfigJson = Configuration.Replace("$HASH$", hash, StringComparison.Ordinal) });
        _backend = await Backend.StartAsync("A");
    }

    public async Task DisposeAsync()
    {
        await _proxy.DisposeAsync();
        if (_backend is not null)
            await _backend.DisposeAsync();
    }

    public static TheoryData<string, string, string, string> Calls => new()
    {
        { "GET", "/services", "", "reader" },
        { "GET", "/services/mine", "", "reader" },
        { "GET", "/services/mine/A", "", "reader" },
        { "GET", "/stats", "", "reader" },
        { "GET", "/stats/mine", "", "reader" },
        { "GET", "/openapi/v1.json", "", "reader" },
        { "GET", "/docs/index.html", "", "reader" },
        { "POST", "/services/mine/register", """{"host":"127.0.0.1","port":9}""", "registrar" },
        { "POST", "/services/mine/A/heartbeat", "", "registrar" },
        { "DELETE", "/services/mine/B", "", "registrar" },
        { "PATCH", "/services/mine/A", """{"weight":1}""", "admin" },
        { "POST", "/services/mine/A/circuit", """{"state":"closed"}""", "admin" },
        { "PUT", "/services/mine", "{}", "admin" },
        { "PATCH", "/services/mine", "{}", "admin" },
        { "DELETE", "/services/nobody", "", "admin" },
        { "POST", "/services/mine/balance", "", "admin" },
        { "GET", "/services/mine/balance/x", "", "admin" },
    };

    [Theory]
    [MemberData(nameof(Calls))]
    public async Task A_call_takes_a_key_of_its_scope_and_no_other(string method, string path, string body, string right)
    {
        foreach (var id in new[] { "A", "B" })
            await CallAsync("POST", "/services/mine/register", $$"""{"host":"127.0.0.1","port":{{_backend.Port}},"instance_id":"{{id}}"}""", KeyOf("all")).StatusAsync();

        foreach (var key in new[] { "reader", "registrar", "admin" }.Where(k => k != right))
        {
            var problem = await CallAsync(method, path, body, KeyOf(key)).ProblemAsync(403);
            problem.GetRawText().Should().NotContain(KeyOf(key));
        }

        foreach (var bad in new[] { null, "wrong-0123456789abcdef", "", new string('x', 5000) })
        {
            using var answer = await CallAsync(method, path, body, bad);
            answer.Headers.WwwAuthenticate.Should().ContainSingle(c => c.Scheme == "Bearer");
            (await Task.FromResult(answer).ProblemAsync(401)).GetRawText().Should().NotContain("wrong-");
        }

        // DELETE of a service that is not there is 404 for who may ask.
        (await CallAsync(method, path, body, KeyOf(right)).StatusAsync()).Should().Match(s => s < 300 || (s == 404 && path == "/services/nobody"));
    }

    [Theory]
    [MemberData(nameof(Calls))]
    public async Task A_key_for_some_services_is_good_for_no_other(string method, string path, string body, string right)
    {
        right.Should().NotBeNull();
        if (!path.Contains("/mine", StringComparison.Ordinal))
            return;
        await CallAsync("POST", "/services/mine/register", $$"""{"host":"127.0.0.1","port":{{_backend.Port}},"instance_id":"A"}""", KeyOf("all")).StatusAsync();
        await CallAsync("POST", "/services/mine/register", $$"""{"host":"127.0.0.1","port":{{_backend.Port}},"instance_id":"B"}""", KeyOf("all")).StatusAsync();

        (await CallAsync(method, path, body, KeyOf("one")).StatusAsync()).Should().BeLessThan(300);
        await CallAsync(method, path.Replace("/mine", "/yours", StringComparison.Ordinal), body, KeyOf("one")).ProblemAsync(403);
        await CallAsync(method, path.Replace("/mine", "/%79ours", StringComparison.Ordinal), body, KeyOf("one")).ProblemAsync(403);
    }

    [Fact]
    public async Task A_key_for_some_services_does_not_list_the_others()
    {
        await CallAsync("PUT", "/services/mine", "{}", KeyOf("all")).DocumentAsync(201);
        await CallAsync("PUT", "/services/yours", "{}", KeyOf("all")).DocumentAsync(201);

        var list = await CallAsync("GET", "/services", "", KeyOf("one")).DocumentAsync(200);
        list.GetProperty("services").EnumerateObject().Select(s => s.Name).Should().Equal("mine");
        var stats = await CallAsync("GET", "/stats", "", KeyOf("one")).DocumentAsync(200);
        stats.GetProperty("services").EnumerateObject().Select(s => s.Name).Should().Equal("mine");
        stats.Number("total_services").Should().Be(1);
    }

    [Fact]
    public async Task Health_needs_no_key_and_an_unknown_path_does()
    {
        foreach (var path in new[] { "/health", "/health/live", "/health/ready" })
            (await _proxy.Api.GetAsync(path).StatusAsync()).Should().Be(200);
        await _proxy.Api.GetAsync("/nothing").ProblemAsync(401);
        await CallAsync("GET", "/nothing", "", KeyOf("reader")).ProblemAsync(404);
    }

    [Fact]
    public async Task With_keys_any_host_is_served_and_a_foreign_origin_is_not()
    {
        var request = $"GET /services HTTP/1.1\r\nHost: proxy.example\r\nAuthorization: bearer {KeyOf("reader")}\r\nConnection: close\r\n";
        (await RawHttp.SendAsync(_proxy.ManagementAddress, request + "\r\n")).Status.Should().Be(200);
        (await RawHttp.SendAsync(_proxy.ManagementAddress, request + "Origin: https://evil.example\r\n\r\n")).Status.Should().Be(403);
    }

    [Fact]
    public async Task A_key_that_a_reload_takes_away_stops_working_and_no_key_is_ever_logged()
    {
        await CallAsync("GET", "/services", "", KeyOf("reader")).DocumentAsync(200);

        await _proxy.WriteConfigAsync("""
            { "Registry": { "Store": "memory" }, "Management": { "ApiKeys": { "fresh": { "Key": "fresh-0123456789abcdef", "Scopes": ["read"] } } },
              "Logging": { "LogLevel": { "Default": "Trace" } } }
            """);
        await Eventually.Until("the old key is refused", async () => await CallAsync("GET", "/services", "", KeyOf("reader")).StatusAsync() == 401);
        await CallAsync("GET", "/services", "", KeyOf("fresh")).DocumentAsync(200);
        await CallAsync("GET", "/services", "", KeyOf("all")).ProblemAsync(401);

        await _proxy.WriteConfigAsync("""{ "Management": { "ApiKeys": { "fresh": { "Key": "tooshort-key", "Scopes": ["read"] } } } }""");
        await Eventually.Until("the fault is logged", () => _proxy.Process.Errors.Any(l => l.Contains("Management:ApiKeys:fresh:Key", StringComparison.Ordinal)
            && l.Contains("not reloaded", StringComparison.Ordinal)));
        await CallAsync("GET", "/services", "", KeyOf("fresh")).DocumentAsync(200);
        await _proxy.StopAsync();

        _proxy.Process.Transcript.Should().NotContain("0123456789abcdef").And.NotContain("tooshort-key");
    }

    [Fact]
    public async Task Guesses_are_answered_late_and_beyond_a_number_turned_away_while_a_right_key_is_served_at_once()
    {
        var guesses = Enumerable.Range(0, 40).Select(_ => CallAsync("GET", "/services", "", "wrong-0123456789abcdef").StatusAsync()).ToArray();
        await Eventually.Until("too many guess", () => guesses.Any(g => g is { IsCompletedSuccessfully: true, Result: 429 }));
        await CallAsync("GET", "/services", "", KeyOf("reader")).DocumentAsync(200);

        var statuses = await Task.WhenAll(guesses);
        statuses.Should().OnlyContain(s => s == 401 || s == 429);
        statuses.Count(s => s == 401).Should().BeInRange(6, 40 - 1);
        await CallAsync("GET", "/services", "", KeyOf("reader")).DocumentAsync(200);
    }

    [Fact]
    public async Task A_key_is_replaced_without_a_call_that_fails()
    {
        static string With(params string[] keys)
        {
            var entries = string.Join(',', keys.Select(k => $$"""  "{{k}}": { "Key": "{{KeyOf(k)}}", "Scopes": ["read"] }"""));
            return $$"""{ "Registry": { "Store": "memory" }, "Management": { "ApiKeys": { {{entries}} } } }""";
        }

        await _proxy.WriteConfigAsync(With("reader", "next"));
        await Eventually.Until("both keys work", async () => await CallAsync("GET", "/services", "", KeyOf("next")).StatusAsync() == 200);
        (await CallAsync("GET", "/services", "", KeyOf("reader")).StatusAsync()).Should().Be(200);

        await _proxy.WriteConfigAsync(With("next"));
        await Eventually.Until("the old key is gone", async () => await CallAsync("GET", "/services", "", KeyOf("reader")).StatusAsync() is 401 or 429);
        (await CallAsync("GET", "/services", "", KeyOf("next")).StatusAsync()).Should().Be(200);
    }

    private static string KeyOf(string name) => name + "-0123456789abcdef";

    private Task<HttpResponseMessage> CallAsync(string method, string path, string body, string? key)
    {
        var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (body.Length > 0)
            request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        if (key is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return _proxy.Api.SendAsync(request);
    }
}

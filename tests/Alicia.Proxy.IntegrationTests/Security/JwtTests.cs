using System.Net;
using Alicia.Proxy.IntegrationTests.Api;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Security;

/// <summary>Tokens that an issuer signs: what they open, and all the ways in which they are not good.</summary>
public sealed class JwtTests : IAsyncLifetime
{
    private readonly TokenIssuer _issuer = new();
    private readonly string _directory = Directory.CreateTempSubdirectory("alicia-jwt-").FullName;
    private ProxyProcess _proxy = null!;

    private string KeyFile => Path.Combine(_directory, "keys");

    private string Configuration(string more = "") => $$"""
        { "Registry": { "Store": "memory" },
          "Logging": { "LogLevel": { "Default": "Trace" } },
          "Management": { "Jwt": { "KeyFile": "{{KeyFile}}", "Issuer": "{{TokenIssuer.Name}}", "Audience": [ "{{TokenIssuer.Audience}}", "other" ] {{more}} },
            "ApiKeys": { "reader": { "Key": "reader.0123456789.abcdef", "Scopes": [ "read" ] } } } }
        """;

    public async Task InitializeAsync()
    {
        await File.WriteAllTextAsync(KeyFile, _issuer.Pem);
        _proxy = await ProxyProcess.StartAsync(new ProxyOptions { ConfigJson = Configuration() });
    }

    public async Task DisposeAsync()
    {
        await _proxy.DisposeAsync();
        _issuer.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task A_token_opens_what_its_scopes_say()
    {
        var session = await CallAsync("GET", "/session", _issuer.Sign()).DocumentAsync(200);
        session.Text("name").Should().Be("alice");
        session.GetProperty("scopes").EnumerateArray().Select(s => s.GetString()).Should().Equal("read", "register", "admin");

        await CallAsync("PUT", "/services/mine", _issuer.Sign()).DocumentAsync(201);
        (await CallAsync("PUT", "/services/mine", _issuer.Sign(new { scope = "read openid" })).ProblemAsync(403)).Text("detail").Should().Contain("token of 'alice'").And.Contain("scope admin");
        (await CallAsync("GET", "/services", _issuer.Sign(new { scope = "read" })).StatusAsync()).Should().Be(200);
        (await CallAsync("GET", "/services", _issuer.Sign(new { scope = new[] { "openid", "read" } })).StatusAsync()).Should().Be(200);
        await CallAsync("GET", "/services", _issuer.Sign(new { scope = (string?)null })).ProblemAsync(403);
        await CallAsync("GET", "/services", _issuer.Sign(new { scope = "READ admins" })).ProblemAsync(403);
        (await CallAsync("GET", "/services", _issuer.Sign(new { aud = new[] { "somebody", "other" } })).StatusAsync()).Should().Be(200);
        (await CallAsync("GET", "/services", "reader.0123456789.abcdef").StatusAsync()).Should().Be(200, "keys are taken beside tokens, dots and all");
    }

    [Fact]
    public async Task A_token_that_is_not_good_opens_nothing()
    {
        using var stranger = new TokenIssuer();
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();
        var good = _issuer.Sign();
        var parts = good.Split('.');
        var bad = new Dictionary<string, string>
        {
            ["run out"] = _issuer.Sign(new { exp = now - 60 }),
            ["never runs out"] = _issuer.Sign(new { exp = (long?)null }),
            ["not yet"] = _issuer.Sign(new { nbf = now + 120 }),
            ["for somebody else"] = _issuer.Sign(new { aud = "another" }),
            ["for nobody"] = _issuer.Sign(new { aud = (string?)null }),
            ["of another issuer"] = _issuer.Sign(new { iss = "https://evil.test" }),
            ["of no issuer"] = _issuer.Sign(new { iss = (string?)null }),
            ["signed by another key"] = stranger.Sign(),
            ["alg none"] = TokenIssuer.Unsigned("none"),
            ["alg None"] = TokenIssuer.Unsigned("None"),
            ["alg none with a signature"] = TokenIssuer.Unsigned("none") + parts[2],
            ["no signature"] = TokenIssuer.Unsigned("RS256"),
            ["public key as secret"] = _issuer.SignWithThePublicKey(_issuer.Pem),
            ["public key as secret, with a line feed"] = _issuer.SignWithThePublicKey(_issuer.Pem + "\n"),
            ["changed"] = parts[0] + "." + TokenIssuer.Unsigned("RS256").Split('.')[1] + "x." + parts[2],
            ["cut"] = good[..^4],
            ["three words"] = "a.b.c",
            ["dots"] = "..",
            ["far too long"] = "a.b." + new string('x', 20_000),
        };
        (await CallAsync("GET", "/services", _issuer.Sign(new { nbf = now - 60, exp = now - 10 })).StatusAsync()).Should().Be(200, "clocks may differ by thirty seconds");
        // All at once, because all but the first few are answered late.
        await Task.WhenAll(bad.Select(async entry =>
        {
            var (name, token) = entry;
            using var answer = await CallAsync("GET", "/services", token);
            answer.StatusCode.Should().Be(HttpStatusCode.Unauthorized, name);
            answer.Headers.WwwAuthenticate.Should().ContainSingle(c => c.Scheme == "Bearer");
            (await answer.Content.ReadAsStringAsync()).Should().NotContain(token.Length > 8 ? token[..8] : "a.b.c", name);
        }));

        (await MetricAsync("wrong_credential")).Should().Be(bad.Count);
        await _proxy.StopAsync();
        _proxy.Process.Transcript.Should().NotContain(parts[2]).And.NotContain(bad["run out"].Split('.')[1]);
    }

    [Fact]
    public async Task Keys_are_read_again_when_their_file_changes_and_a_broken_file_changes_nothing()
    {
        using var next = new TokenIssuer();
        await CallAsync("GET", "/services", _issuer.Sign()).DocumentAsync(200);

        await File.WriteAllTextAsync(KeyFile, next.Jwks("second"));
        await Eventually.Until("the new key is known", async () => await CallAsync("GET", "/services", next.Sign(kid: "second")).StatusAsync() == 200);
        await CallAsync("GET", "/services", _issuer.Sign()).ProblemAsync(401);
        await CallAsync("GET", "/services", next.Sign(kid: "third")).ProblemAsync(401);

        await File.WriteAllTextAsync(KeyFile, "{ \"keys\": [] }");
        await Eventually.Until("the fault is told", async () =>
        {
            _ = await CallAsync("GET", "/services", next.Sign(kid: "second")).StatusAsync();
            return _proxy.Process.Errors.Any(l => l.Contains("the old ones stay", StringComparison.Ordinal));
        });
        (await CallAsync("GET", "/services", next.Sign(kid: "second")).StatusAsync()).Should().Be(200);
    }

    [Fact]
    public async Task Claims_and_prefix_are_as_configured_and_a_token_without_services_is_good_for_none()
    {
        await _proxy.WriteConfigAsync(Configuration(""", "ScopeClaim": "roles", "ScopePrefix": "alicia:", "ServicesClaim": "svc", "NameClaim": "client_id" """));
        var mine = _issuer.Sign(new { scope = "read", roles = new[] { "alicia:read", "alicia:admin", "register" }, svc = "mine ours", client_id = "deploy" });
        await Eventually.Until("the claims are in force", async () => await CallAsync("GET", "/session", mine).StatusAsync() == 200
            && (await CallAsync("GET", "/session", mine).DocumentAsync(200)).Text("name") == "deploy");

        var session = await CallAsync("GET", "/session", mine).DocumentAsync(200);
        session.GetProperty("scopes").EnumerateArray().Select(s => s.GetString()).Should().Equal("read", "admin");
        session.GetProperty("services").EnumerateArray().Select(s => s.GetString()).Should().Equal("mine", "ours");
        await CallAsync("PUT", "/services/mine", mine).DocumentAsync(201);
        await CallAsync("PUT", "/services/yours", mine).ProblemAsync(403);
        await CallAsync("PUT", "/services/mine", _issuer.Sign(new { roles = "alicia:admin" })).ProblemAsync(403);
    }

    [Fact]
    public async Task A_key_file_that_will_not_do_stops_the_start_and_a_reload()
    {
        await _proxy.WriteConfigAsync(Configuration().Replace(KeyFile, KeyFile + ".gone", StringComparison.Ordinal));
        await Eventually.Until("the reload is refused", () => _proxy.Process.Errors.Any(l => l.Contains("not reloaded", StringComparison.Ordinal) && l.Contains("Management:Jwt:KeyFile", StringComparison.Ordinal)));
        await CallAsync("GET", "/services", _issuer.Sign()).DocumentAsync(200);

        using var key = System.Security.Cryptography.RSA.Create(2048);
        await File.WriteAllTextAsync(KeyFile, key.ExportPkcs8PrivateKeyPem());
        var end = await ProxyProcess.RunAsync(["validate", "--config", "test.json"], Configuration());
        end.ExitCode.Should().Be(2);
        string.Join('\n', end.Errors).Should().Contain("Management:Jwt:KeyFile").And.Contain("private key");
    }

    private async Task<double> MetricAsync(string reason)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/metrics") { Headers = { { "Authorization", "Bearer " + _issuer.Sign() } } };
        using var answer = await _proxy.Api.SendAsync(request);
        var line = (await answer.Content.ReadAsStringAsync()).Split('\n').Single(l => l.StartsWith($"alicia_management_refused_total{{reason=\"{reason}\"}}", StringComparison.Ordinal));
        return double.Parse(line.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture);
    }

    private Task<HttpResponseMessage> CallAsync(string method, string path, string token) =>
        _proxy.Api.SendJsonAsync(method, path, method == "PUT" ? "{}" : null, ("Authorization", "Bearer " + token));
}

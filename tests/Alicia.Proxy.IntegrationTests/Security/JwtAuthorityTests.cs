using System.Net;
using System.Text.Json.Nodes;
using Alicia.Proxy.IntegrationTests.Api;
using Alicia.Proxy.IntegrationTests.Harness;
using Alicia.Proxy.IntegrationTests.Http2;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Alicia.Proxy.IntegrationTests.Security;

/// <summary>Tokens of an authority whose metadata and keys are fetched: from a real server, over TLS too, with keys that change and while it cannot be reached.</summary>
public sealed class JwtAuthorityTests
{
    [Fact]
    public async Task Metadata_and_keys_are_fetched_and_a_key_that_is_new_is_looked_for()
    {
        using var first = new TokenIssuer();
        using var second = new TokenIssuer();
        await using var authority = await Authority.StartAsync(first.Jwks("one"));
        await using var proxy = await StartAsync(authority);

        (await CallAsync(proxy, first.Sign(new { iss = authority.Name }, "one")).StatusAsync()).Should().Be(200);
        // The issuer signs by a new key from now on; the old one is gone.
        authority.Keys = second.Jwks("two");
        await Eventually.Until("the new key is known", async () => await CallAsync(proxy, second.Sign(new { iss = authority.Name }, "two")).StatusAsync() == 200);
        await CallAsync(proxy, first.Sign(new { iss = authority.Name }, "one")).ProblemAsync(401);
        await CallAsync(proxy, second.Sign(new { iss = TokenIssuer.Name }, "two")).ProblemAsync(401);
        await CallAsync(proxy, TokenIssuer.Unsigned("none")).ProblemAsync(401);
        await CallAsync(proxy, first.SignWithThePublicKey(first.Pem)).ProblemAsync(401);
    }

    [Fact]
    public async Task While_the_authority_cannot_be_reached_tokens_are_503_keys_are_taken_and_it_goes_on_by_itself()
    {
        using var issuer = new TokenIssuer();
        await using var authority = await Authority.StartAsync(issuer.Jwks("one"));
        authority.Fails = true;
        await using var backend = await Backend.StartAsync("a");
        await using var proxy = await StartAsync(authority);
        (await proxy.Api.SendJsonAsync("POST", "/services/web/register?wait=10", $$"""{"host":"127.0.0.1","port":{{backend.Port}}}""", ("Authorization", "Bearer reader.0123456789.abcdef")).StatusAsync()).Should().Be(201);
        var token = issuer.Sign(new { iss = authority.Name }, "one");

        using (var refused = await CallAsync(proxy, token))
        {
            ((int)refused.StatusCode).Should().Be(503);
            refused.Headers.RetryAfter!.Delta.Should().Be(TimeSpan.FromSeconds(5));
        }

        (await CallAsync(proxy, "reader.0123456789.abcdef").StatusAsync()).Should().Be(200, "keys need nobody");
        using (var forwarded = await proxy.Http.GetAsync("/web/status/204"))
            forwarded.StatusCode.Should().Be(HttpStatusCode.NoContent, "and requests even less");
        (await proxy.LoggedAsync(l => l.Contains("Tokens cannot be checked", StringComparison.Ordinal))).Should().ContainSingle();
        proxy.Process.Transcript.Should().NotContain(token);

        authority.Fails = false;
        await Eventually.Until("the authority is asked again", async () => await CallAsync(proxy, token).StatusAsync() == 200);
        authority.Fails = true;
        (await CallAsync(proxy, token).StatusAsync()).Should().Be(200, "keys that are known stay");
    }

    [Fact]
    public async Task Over_TLS_the_authority_s_certificate_has_to_be_right()
    {
        using var issuer = new TokenIssuer();
        using var certificates = new TestAuthority();
        using var strangers = new TestAuthority();
        await using var authority = await Authority.StartAsync(issuer.Jwks("one"), certificates.Issue("127.0.0.1"));
        var token = issuer.Sign(new { iss = authority.Name }, "one");

        await using (var proxy = await StartAsync(authority, certificates.BundleFile))
            (await CallAsync(proxy, token).StatusAsync()).Should().Be(200);
        await using (var proxy = await StartAsync(authority, strangers.BundleFile))
            (await CallAsync(proxy, token).StatusAsync()).Should().Be(503);
    }

    private static Task<ProxyProcess> StartAsync(Authority authority, string? trusted = null) => ProxyProcess.StartAsync(new ProxyOptions
    {
        ConfigJson = $$"""
            { "Registry": { "Store": "memory" },
              "Management": { "Jwt": { "Authority": "{{authority.Name}}", "Audience": [ "{{TokenIssuer.Audience}}" ] },
                "ApiKeys": { "reader": { "Key": "reader.0123456789.abcdef", "Scopes": [ "read", "register" ] } } } }
            """,
        Environment = trusted is null ? new Dictionary<string, string?>() : new Dictionary<string, string?> { ["SSL_CERT_FILE"] = trusted },
    });

    private static Task<HttpResponseMessage> CallAsync(ProxyProcess proxy, string token) => proxy.Api.SendJsonAsync("GET", "/services", null, ("Authorization", "Bearer " + token));

    /// <summary>Serves what OpenID Connect has of an issuer: where its keys are, and the keys.</summary>
    private sealed class Authority : IAsyncDisposable
    {
        private readonly WebApplication _server;

        private Authority(WebApplication server, string keys) => (_server, Keys) = (server, keys);

        public string Name => _server.Urls.Single();

        public string Keys { get; set; }

        /// <summary>True: it answers nothing but 500.</summary>
        public bool Fails { get; set; }

        public static async Task<Authority> StartAsync(string keys, (string Certificate, string Key)? tls = null)
        {
            var builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            builder.WebHost.UseKestrelHttpsConfiguration().UseKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen =>
            {
                if (tls is { } files)
                    listen.UseHttps(System.Security.Cryptography.X509Certificates.X509Certificate2.CreateFromPemFile(files.Certificate, files.Key));
            }));
            var server = builder.Build();
            var authority = new Authority(server, keys);
            server.Run(authority.AnswerAsync);
            await server.StartAsync();
            return authority;
        }

        public ValueTask DisposeAsync() => _server.DisposeAsync();

        private Task AnswerAsync(HttpContext context)
        {
            var document = Fails ? null : context.Request.Path.Value switch
            {
                "/.well-known/openid-configuration" => new JsonObject { ["issuer"] = Name, ["jwks_uri"] = Name + "/keys" }.ToJsonString(),
                "/keys" => Keys,
                _ => null,
            };
            context.Response.StatusCode = document is not null ? 200 : Fails ? 500 : 404;
            context.Response.ContentType = "application/json";
            return document is null ? Task.CompletedTask : context.Response.WriteAsync(document);
        }
    }
}

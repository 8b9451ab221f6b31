using System.Net;
using Alicia.Proxy.IntegrationTests.Api;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Security;

/// <summary>Rate limits of services: who is held back, what is answered, and that a change takes effect at once.</summary>
public sealed class RateLimitTests : IAsyncLifetime
{
    private ProxyProcess _proxy = null!;
    private Backend _backend = null!;

    public async Task InitializeAsync()
    {
        _proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Registry:Store=memory", "--Forwarded:Trusted=127.0.0.0/8"] });
        _backend = await Backend.StartAsync("A");
        using var registered = await _proxy.Registry.RegisterAsync("tts", _backend, query: "wait=10");
        registered.EnsureSuccessStatusCode();
    }

    public async Task DisposeAsync()
    {
        await _proxy.DisposeAsync();
        if (_backend is not null)
            await _backend.DisposeAsync();
    }

    [Fact]
    public async Task What_comes_too_often_is_429_until_the_limit_is_lifted()
    {
        await LimitAsync("""{"rate_limit":{"requests_per_second":1,"burst":3}}""");
        var statuses = new List<int>();
        for (var i = 0; i < 8; i++)
            statuses.Add(await AskAsync().StatusAsync());
        statuses.Take(3).Should().OnlyContain(s => s == 200);
        statuses.Should().Contain(429);

        // On a loaded machine a token may come between two requests, but not several at once.
        var refused = await Eventually.Until("a request is refused", async () => await AskAsync(), answer => (int)answer.StatusCode == 429);
        using (refused)
        {
            refused.Headers.RetryAfter!.Delta.Should().Be(TimeSpan.FromSeconds(1));
            refused.Headers.GetValues("Proxy-Status").Should().Equal("alicia; error=http_request_denied");
            (await Task.FromResult(refused).ProblemAsync(429)).Text("detail").Should().Contain("'tts'").And.Contain("rate limit");
        }

        var metrics = await _proxy.Api.GetStringAsync("/metrics");
        metrics.Should().MatchRegex("alicia_rejected_total\\{reason=\"http_request_denied\",service=\"tts\"\\} [1-9]");

        await LimitAsync("""{"rate_limit":{"requests_per_second":null,"burst":null}}""");
        for (var i = 0; i < 20; i++)
            (await AskAsync().StatusAsync()).Should().Be(200);
    }

    [Fact]
    public async Task Each_client_and_each_value_of_a_field_has_a_limit_of_its_own()
    {
        await LimitAsync("""{"rate_limit":{"requests_per_second":1,"burst":1,"by":"client"}}""");
        await ExhaustAsync(("X-Forwarded-For", "198.51.100.1"));
        (await AskAsync(("X-Forwarded-For", "198.51.100.2")).StatusAsync()).Should().Be(200);
        await ExhaustAsync(("X-Forwarded-For", "198.51.100.9, 198.51.100.3"));
        (await AskAsync(("X-Forwarded-For", "198.51.100.9, 198.51.100.4")).StatusAsync()).Should().Be(200, "what a caller claims for itself does not count");

        await LimitAsync("""{"rate_limit":{"by":"field","field":"X-Api-Key"}}""");
        await ExhaustAsync(("X-Api-Key", "one"));
        (await AskAsync(("X-Api-Key", "two")).StatusAsync()).Should().Be(200);

        await _proxy.Api.SendJsonAsync("PATCH", "/services/tts", """{"rate_limit":{"field":null}}""").ProblemAsync(400);
    }

    [Fact]
    public async Task A_grpc_caller_is_told_in_its_own_words()
    {
        await LimitAsync("""{"rate_limit":{"requests_per_second":1,"burst":1}}""");
        using var refused = await Eventually.Until("a call is refused", async () =>
        {
            var request = new HttpRequestMessage(HttpMethod.Post, "/tts/x") { Content = new ByteArrayContent([]) };
            request.Content.Headers.TryAddWithoutValidation("Content-Type", "application/grpc");
            return await _proxy.Http.SendAsync(request);
        }, answer => answer.Headers.Contains("grpc-status"));
        refused.StatusCode.Should().Be(HttpStatusCode.OK);
        refused.Headers.GetValues("grpc-status").Should().Equal("14");
    }

    /// <summary>Asks until a request is refused: a token comes each second, so two in a row can pass only across its coming.</summary>
    private Task ExhaustAsync((string, string) field) => Eventually.Until($"{field} is held back", async () => await AskAsync(field).StatusAsync() == 429);

    private async Task LimitAsync(string settings) => await _proxy.Api.SendJsonAsync("PATCH", "/services/tts", settings).DocumentAsync(200);

    private Task<HttpResponseMessage> AskAsync(params (string Name, string Value)[] fields) => _proxy.Http.SendJsonAsync("GET", "/tts/x", null, fields);
}

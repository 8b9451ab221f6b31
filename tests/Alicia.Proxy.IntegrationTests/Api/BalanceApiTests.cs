using System.Net;
using System.Security.Cryptography;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Api;

/// <summary>Picking for clients that connect themselves, and forwarding in-line through management.</summary>
public sealed class BalanceApiTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    private readonly string _service = running.NewService();

    private HttpClient Api => running.Proxy.Api;

    private RegistryApi Registry => running.Proxy.Registry;

    [Fact]
    public async Task Picks_follow_the_algorithm_and_reserve_nothing()
    {
        await Registry.RegisterActiveAsync(_service, running.A, extra: new { max_connections = 1 });
        await Registry.RegisterActiveAsync(_service, running.B, extra: new { max_connections = 1 });

        var picks = new List<string>();
        for (var i = 0; i < 10; i++)
        {
            var pick = await Registry.BalanceAsync(_service).DocumentAsync(200);
            pick.EnumerateObject().Select(p => p.Name)
                .Should().BeEquivalentTo("service_name", "instance_id", "instance_host", "instance_port", "url", "algorithm");
            var backend = pick.Text("instance_id") == "A" ? running.A : running.B;
            (pick.Text("service_name"), pick.Text("instance_host"), pick.Number("instance_port"), pick.Text("algorithm"))
                .Should().Be((_service, backend.Host, backend.Port, "round_robin"));
            new Uri(pick.Text("url")).Should().Be(backend.Address);
            picks.Add(pick.Text("instance_id"));
        }

        picks.Count(p => p == "A").Should().Be(5);
        (await Registry.InstanceAsync(_service, "A")).Number("active_connections").Should().Be(0);
    }

    [Fact]
    public async Task Picks_take_no_turns_from_the_requests_own_rotation()
    {
        await Registry.RegisterActiveAsync(_service, running.A);
        await Registry.RegisterActiveAsync(_service, running.B);

        var served = new List<string>();
        for (var i = 0; i < 20; i++)
        {
            using var answer = await running.Proxy.Http.GetAsync($"/{_service}/echo");
            served.Add(answer.Headers.GetValues("X-Backend").Single());
            await Registry.BalanceAsync(_service).DocumentAsync(200);
        }

        served.Count(s => s == "A").Should().Be(10);
    }

    [Fact]
    public async Task An_instances_bare_error_stays_bare()
    {
        await using var upstream = RawUpstream.Start("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n");
        await Registry.RegisterAsync(_service, upstream.Host, upstream.Port);

        using var answer = await Api.GetAsync($"/services/{_service}/balance/x");

        answer.StatusCode.Should().Be(HttpStatusCode.NotFound);
        (await answer.Content.ReadAsByteArrayAsync()).Should().BeEmpty();
        answer.Content.Headers.ContentType.Should().BeNull();
    }

    [Fact]
    public async Task No_service_is_404_and_no_instance_or_no_slot_is_503_with_retry_after()
    {
        await Registry.BalanceAsync("nobody").ProblemAsync(404);
        await Api.GetAsync("/services/nobody/balance/x").ProblemAsync(404);

        await Registry.PutServiceAsync(_service, new { }).DocumentAsync(201);
        await RefusedAsync();

        await Registry.RegisterActiveAsync(_service, running.A, extra: new { max_connections = 1 });
        var held = running.Proxy.Http.GetAsync($"/{_service}/hold/{_service}");
        await running.A.UntilHeldAsync(_service, 1);
        await RefusedAsync();
        await running.A.ReleaseAsync(_service);
        (await held.StatusAsync()).Should().Be(200);

        async Task RefusedAsync()
        {
            foreach (var request in new[] { Registry.BalanceAsync(_service), Api.GetAsync($"/services/{_service}/balance/x") })
            {
                using var answer = await request;
                answer.Headers.RetryAfter!.Delta.Should().BePositive();
                await Task.FromResult(answer).ProblemAsync(503);
            }
        }
    }

    [Theory]
    [InlineData("GET")]
    [InlineData("POST")]
    [InlineData("PUT")]
    [InlineData("PATCH")]
    [InlineData("DELETE")]
    [InlineData("OPTIONS")]
    [InlineData("BREW")]
    public async Task In_line_takes_any_method_and_the_raw_target(string method)
    {
        await Registry.RegisterActiveAsync(_service, running.A);

        var answer = await RawHttp.SendAsync(running.Proxy.ManagementAddress,
            $"{method} /services/{_service}/balance/echo/a%2fb//c%20d?q=%41;r HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");

        answer.Status.Should().Be(200);
        answer.Body.Should().Contain($"\"{method}\"").And.Contain("/echo/a%2fb//c%20d?q=%41;r");
    }

    [Fact]
    public async Task In_line_forwards_to_the_root_with_a_final_slash()
    {
        await Registry.RegisterActiveAsync(_service, running.A);
        foreach (var method in new[] { HttpMethod.Post, HttpMethod.Get })
        {
            using var answer = await Api.SendAsync(new HttpRequestMessage(method, $"/services/{_service}/balance/"));
            answer.Headers.Contains("X-Backend").Should().BeTrue();
        }
    }

    [Fact]
    public async Task In_line_has_no_body_limit_and_no_opinion_on_media_types()
    {
        await Registry.RegisterActiveAsync(_service, running.A);
        var body = RandomNumberGenerator.GetBytes(3 * 1024 * 1024);
        using var content = new ByteArrayContent(body);
        content.Headers.TryAddWithoutValidation("Content-Type", "audio/wav");

        var echo = await Backend.EchoOfAsync(await Api.PutAsync($"/services/{_service}/balance/echo", content));

        (echo.BodyLength, echo.BodySha256.ToUpperInvariant()).Should().Be((body.Length, Convert.ToHexString(SHA256.HashData(body))));
        echo.Values("Content-Type").Should().Equal("audio/wav");
    }

    [Fact]
    public async Task In_line_keeps_credentials_from_instances_and_cookies_and_scripts_from_callers()
    {
        await using var upstream = RawUpstream.Start(
            "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Security-Policy: default-src *\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        await Registry.RegisterAsync(_service, "127.0.0.1", upstream.Port).DocumentAsync(201);

        using var answer = await Api.SendJsonAsync("GET", $"/services/{_service}/balance/x", null,
            ("Authorization", "Bearer secret-of-management"), ("Cookie", "key=secret-too"), ("X-Own", "stays"));

        answer.StatusCode.Should().Be(HttpStatusCode.OK);
        answer.Headers.Contains("Set-Cookie").Should().BeFalse();
        answer.Headers.GetValues("Content-Security-Policy").Should().Equal("sandbox");
        upstream.Heads.Single().Should().Contain("X-Own: stays").And.NotContainEquivalentOf("secret");
    }

    [Fact]
    public async Task In_line_counts_as_a_request_of_the_service()
    {
        await Registry.RegisterActiveAsync(_service, running.A);
        (await Api.GetAsync($"/services/{_service}/balance/status/204").StatusAsync()).Should().Be(204);
        await Registry.BalanceAsync(_service).DocumentAsync(200);

        (await Registry.GetJsonAsync($"/stats/{_service}")).Number("total_requests").Should().Be(1);
    }

    [Theory]
    [InlineData("/../../register")]
    [InlineData("/%2e%2e/x")]
    [InlineData("/x/..%2f")]
    public async Task In_line_dot_segments_never_reach_an_instance(string path)
    {
        await Registry.RegisterActiveAsync(_service, running.A);
        var before = (await running.A.StatsAsync()).Requests;

        var answer = await RawHttp.SendAsync(running.Proxy.ManagementAddress,
            $"GET /services/{_service}/balance{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");

        answer.Status.Should().BeOneOf(400, 404, 405);
        (await running.A.StatsAsync()).Requests.Should().Be(before);
    }
}

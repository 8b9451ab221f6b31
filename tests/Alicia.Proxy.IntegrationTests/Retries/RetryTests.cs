using System.Diagnostics;
using System.Net;
using System.Net.WebSockets;
using System.Text;
using Alicia.Proxy.IntegrationTests.Harness;
using Alicia.Proxy.IntegrationTests.Metrics;

namespace Alicia.Proxy.IntegrationTests.Retries;

/// <summary>A request that meets a broken instance goes to another one, where that is safe; and not more often than the budget allows.</summary>
[Trait("Depends", "forwarder")]
public sealed class RetryTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    private const string Body = "a body that must arrive whole";

    [Theory]
    [InlineData("GET", false)]
    [InlineData("POST", false)]
    [InlineData("POST", true)]
    public async Task An_instance_that_takes_no_connection_is_another_pick_whatever_the_method_and_with_retries_off(string method, bool off)
    {
        var service = await running.ServiceAsync(1, off ? new { retry = new { attempts = 0 } } : new { retry = new { budget_percent = 0, reserve = 0 } });
        await RegisterAsync(service, "dead", Mosquitto.FreePort());

        for (var i = 0; i < 20; i++)
        {
            using var answer = await SendAsync(service, method, "echo");
            var echo = await Backend.EchoOfAsync(answer);
            (echo.Name, echo.Method, echo.BodyLength).Should().Be(("a", method, method == "POST" ? Body.Length : 0));
        }

        (await RetriesAsync(service, "unsent")).Should().BePositive();
        var stats = await running.Registry.GetJsonAsync($"/stats/{service}");
        (stats.GetProperty("total_requests").GetInt64(), stats.GetProperty("failed_requests").GetInt64()).Should().Be((20, 0), "callers saw no failure");
    }

    [Fact]
    public async Task When_no_instance_takes_a_connection_each_is_asked_once_and_the_answer_says_so()
    {
        var service = await running.ServiceAsync(0);
        for (var i = 0; i < 3; i++)
            await RegisterAsync(service, $"dead{i}", Mosquitto.FreePort());

        using var answer = await SendAsync(service, "POST", "x");

        answer.StatusCode.Should().Be(HttpStatusCode.BadGateway);
        answer.Headers.GetValues("Proxy-Status").Should().Equal("alicia; error=connection_refused; attempts=3");
        (await RetriesAsync(service, "unsent")).Should().Be(2);
    }

    [Theory]
    [InlineData("GET", null, 2)]
    [InlineData("DELETE", null, 2)]
    [InlineData("PUT", null, 2)]
    [InlineData("POST", "key", 2)]
    [InlineData("POST", null, 1)]
    [InlineData("PATCH", null, 1)]
    public async Task After_a_reset_only_what_may_arrive_twice_goes_to_another_with_its_body(string method, string? key, int attempts)
    {
        await using var broken = RawUpstream.Start(async (connection, head) =>
        {
            if (head.Contains("Content-Length", StringComparison.OrdinalIgnoreCase))
                await connection.ReadCountAsync(Body.Length);
            connection.Reset();
        });
        var service = await running.ServiceAsync(1);
        await RegisterAsync(service, "broken", broken.Port);

        var (answered, failed) = (0, 0);
        for (var i = 0; i < 4; i++)
        {
            using var answer = await SendAsync(service, method, "echo", key);
            if (answer.StatusCode == HttpStatusCode.BadGateway)
            {
                answer.Headers.GetValues("Proxy-Status").Should().Equal("alicia; error=connection_terminated");
                failed++;
                continue;
            }

            var echo = await Backend.EchoOfAsync(answer);
            (echo.Method, echo.BodyLength, echo.Values("X-Forwarded-For").Count).Should().Be((method, method is "GET" or "DELETE" ? 0 : Body.Length, 1));
            answered++;
        }

        (answered, failed).Should().Be(attempts == 2 ? (4, 0) : (2, 2));
        broken.Heads.Count.Should().Be(2, "nothing is sent to the same instance twice");
        (await RetriesAsync(service, "reset")).Should().Be(attempts == 2 ? 2 : 0);
        var page = await MetricsPage.ReadAsync(running.Proxy.Api);
        page.Requests(service).GetValueOrDefault("broken none failure").Should().Be(2);
    }

    [Fact]
    public async Task A_body_beyond_what_is_kept_is_not_sent_twice()
    {
        await using var broken = RawUpstream.Start(async (connection, _) =>
        {
            await connection.ReadCountAsync(5000);
            connection.Reset();
        });
        var service = await running.ServiceAsync(1, new { retry = new { buffer_bytes = 4999 } });
        await RegisterAsync(service, "broken", broken.Port);

        var statuses = new List<int>();
        for (var i = 0; i < 2; i++)
        {
            using var content = new ByteArrayContent(new byte[5000]);
            using var answer = await running.Http.PutAsync($"/{service}/echo", content);
            statuses.Add((int)answer.StatusCode);
        }

        statuses.Should().BeEquivalentTo([200, 502]);
    }

    [Fact]
    public async Task A_status_that_may_be_retried_is_replaced_by_another_instances_answer_for_what_may_arrive_twice()
    {
        var service = await running.ServiceAsync(2);
        await running.Backends[0].ModeAsync(new BackendMode(Status: 503));

        for (var i = 0; i < 6; i++)
            (await running.BackendOfAsync(service, "echo")).Should().Be("b");
        var posts = new List<string>();
        for (var i = 0; i < 4; i++)
        {
            using var answer = await SendAsync(service, "POST", "echo");
            posts.Add($"{answer.Headers.GetValues("X-Backend").Single()} {(int)answer.StatusCode}");
        }

        posts.Should().BeEquivalentTo(["a 503", "a 503", "b 200", "b 200"]);
        (await RetriesAsync(service, "status")).Should().Be(3);
        var stats = await running.Registry.GetJsonAsync($"/stats/{service}");
        (stats.GetProperty("total_requests").GetInt64(), stats.GetProperty("failed_requests").GetInt64()).Should().Be((10, 2));
    }

    [Fact]
    public async Task Without_another_candidate_or_budget_the_caller_gets_the_instances_own_answer()
    {
        var service = await running.ServiceAsync(1, new { retry = new { budget_percent = 0, reserve = 0 } });
        await running.Backends[0].ModeAsync(new BackendMode(Status: 503));

        using (var alone = await SendAsync(service, "GET", "x"))
            (alone.StatusCode, alone.Headers.GetValues("X-Backend").Single()).Should().Be((HttpStatusCode.ServiceUnavailable, "a"));
        await running.Registry.RegisterActiveAsync(service, running.Backends[1]);
        await running.Backends[1].ModeAsync(new BackendMode(Status: 503));
        using (var broke = await SendAsync(service, "GET", "x"))
        {
            broke.StatusCode.Should().Be(HttpStatusCode.ServiceUnavailable);
            broke.Headers.Contains("X-Backend").Should().BeTrue();
            broke.Headers.Contains("Proxy-Status").Should().BeFalse();
        }

        (await running.Registry.GetJsonAsync($"/stats/{service}")).GetProperty("failed_requests").GetInt64().Should().Be(2);
        (await running.SeenAsync()).Should().Be(2);
    }

    [Fact]
    public async Task While_everything_fails_instances_see_at_most_the_budget_and_the_reserve_more_than_callers_send()
    {
        const int Requests = 2000;
        var service = await running.ServiceAsync(4, new { retry = new { attempts = 3, budget_percent = 20, reserve = 10 } });
        foreach (var backend in running.Backends)
            await backend.ModeAsync(new BackendMode(Status: 503));
        var clock = Stopwatch.StartNew();

        var report = await Load.RunAsync(running.Proxy.Address, clients: 16, Requests, _ => $"/{service}/x");

        var seen = await running.SeenAsync();
        report.ByStatus.Should().Equal(new Dictionary<int, int> { [503] = Requests });
        seen.Should().BeLessThanOrEqualTo((long)(Requests * 1.2) + (10 * (1 + (long)Math.Ceiling(clock.Elapsed.TotalSeconds))));
        seen.Should().BeGreaterThan((long)(Requests * 1.15), "the budget is there to be used");
        (await RetriesAsync(service, "status")).Should().Be(seen - Requests);
    }

    [Fact]
    public async Task A_try_that_takes_too_long_is_given_up_for_another()
    {
        // Long for an instance that answers, also on a busy machine.
        var service = await running.ServiceAsync(2, new { retry = new { per_try = 2 } });
        await running.Backends[0].ModeAsync(new BackendMode(Hang: true));

        for (var i = 0; i < 2; i++)
            (await running.BackendOfAsync(service)).Should().Be("b");

        (await RetriesAsync(service, "timeout")).Should().Be(1);
    }

    [Fact]
    public async Task The_overall_time_covers_all_tries()
    {
        var service = await running.ServiceAsync(2, new { retry = new { per_try = 0.4, attempts = 10 }, timeouts = new { overall = 0.6 } });
        foreach (var backend in running.Backends.Take(2))
            await backend.ModeAsync(new BackendMode(Hang: true));
        var clock = Stopwatch.StartNew();

        using var answer = await SendAsync(service, "GET", "x");

        answer.StatusCode.Should().Be(HttpStatusCode.GatewayTimeout);
        answer.Headers.GetValues("Proxy-Status").Should().Equal("alicia; error=http_response_timeout; attempts=2");
        clock.Elapsed.Should().BeGreaterThan(TimeSpan.FromSeconds(0.59));
        (await running.SeenAsync()).Should().Be(2);
    }

    [Fact]
    public async Task A_web_socket_is_opened_with_an_instance_that_takes_the_connection()
    {
        var service = await running.ServiceAsync(1);
        await RegisterAsync(service, "dead", Mosquitto.FreePort());

        for (var i = 0; i < 4; i++)
        {
            using var socket = new ClientWebSocket();
            using var late = new CancellationTokenSource(Deadlines.Wait);
            await socket.ConnectAsync(new Uri($"ws://{running.Proxy.Address.Authority}/{service}/ws"), late.Token);
            await socket.SendAsync(Encoding.UTF8.GetBytes("hello"), WebSocketMessageType.Text, true, late.Token);
            var buffer = new byte[16];
            var got = await socket.ReceiveAsync(buffer.AsMemory(), late.Token);
            Encoding.UTF8.GetString(buffer, 0, got.Count).Should().Be("hello");
        }

        (await RetriesAsync(service, "unsent")).Should().Be(2);
    }

    private async Task<HttpResponseMessage> SendAsync(string service, string method, string path, string? key = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), $"/{service}/{path}");
        if (method is not ("GET" or "DELETE"))
            request.Content = new StringContent(Body);
        if (key is not null)
            request.Headers.Add("Idempotency-Key", key);
        return await running.Http.SendAsync(request);
    }

    private async Task RegisterAsync(string service, string id, int port)
    {
        using var answer = await running.Registry.RegisterAsync(service, "127.0.0.1", port, id, query: "wait=10");
        await RegistryApi.DocumentOfAsync(answer);
    }

    private async Task<double> RetriesAsync(string service, string reason) =>
        (await MetricsPage.ReadAsync(running.Proxy.Api)).Sum("alicia_retries_total", ("service", service), ("reason", reason));
}

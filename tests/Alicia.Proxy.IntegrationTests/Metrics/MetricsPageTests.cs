using System.Net;
using System.Net.Http.Headers;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Metrics;

/// <summary>What the page says after known traffic, and who may read it.</summary>
public sealed class MetricsPageTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    [Theory]
    [InlineData("status/204", "a 2xx success")]
    [InlineData("status/304", "a 3xx success")]
    [InlineData("status/404", "a 4xx success")]
    [InlineData("status/501", "a 5xx success")]
    [InlineData("status/503", "a 5xx failure")]
    [InlineData("reset", "a none failure")]
    [InlineData("cut?after=100&length=200", "a 2xx failure")]
    public async Task A_request_is_counted_by_its_end_when_the_caller_has_it(string path, string expected)
    {
        var service = await running.ServiceAsync(1, new { retry = new { attempts = 0 } });

        for (var sent = 1; sent <= 5; sent++)
        {
            try
            {
                using var answer = await running.Http.GetAsync($"/{service}/{path}");
                await answer.Content.ReadAsByteArrayAsync();
            }
            catch (HttpRequestException) when (path.StartsWith("cut", StringComparison.Ordinal))
            {
                // That is what it is about.
            }

            var page = await PageAsync();
            page.Requests(service).Should().Equal(new Dictionary<string, double> { [expected] = sent });
            page.Sum("alicia_request_duration_seconds_count", ("service", service)).Should().Be(sent);
        }
    }

    [Fact]
    public async Task A_caller_that_goes_away_is_aborted()
    {
        var service = await running.ServiceAsync(1);
        foreach (var (path, code) in new[] { ("hold/gate", "none"), ("hold/gate?head=1", "2xx") })
        {
            using (var connection = await RawConnection.ConnectAsync(running.Proxy.Address))
            {
                await connection.SendAsync($"GET /{service}/{path} HTTP/1.1\r\nHost: x\r\n\r\n");
                await running.Backends[0].UntilHeldAsync("gate", 1);
                (await PageAsync()).Sum("alicia_instance_active_requests", ("service", service), ("instance_id", "a")).Should().Be(1);
                connection.Reset();
            }

            await Eventually.Until("the abort is counted", PageAsync, page => page.Sum("alicia_requests_total", ("service", service), ("code", code), ("outcome", "aborted")) == 1);
            await running.Backends[0].UntilHeldAsync("gate", 0);
        }
    }

    [Fact]
    public async Task Refusals_have_a_reason_and_no_instance()
    {
        var service = await running.ServiceAsync(0);
        await AnswerAsync($"/{service}/x", HttpStatusCode.ServiceUnavailable);
        await running.Registry.RegisterActiveAsync(service, running.Backends[0], extra: new { max_connections = 1 });
        var held = running.Http.GetAsync($"/{service}/hold/gate");
        await running.Backends[0].UntilHeldAsync("gate", 1);
        await AnswerAsync($"/{service}/x", HttpStatusCode.ServiceUnavailable);
        await AnswerAsync($"/{service}/x", HttpStatusCode.ServiceUnavailable);
        await running.Backends[0].ReleaseAsync("gate");
        (await held).Dispose();

        var page = await PageAsync();

        page.Of("alicia_rejected_total", ("service", service)).ToDictionary(s => s.Labels["reason"], s => s.Value).Should().Equal(new Dictionary<string, double>
        {
            ["destination_unavailable"] = 1,
            ["connection_limit_reached"] = 2,
            ["proxy_loop_detected"] = 0,
            ["http_request_denied"] = 0,
        });
        page.Requests(service).Should().Equal(new Dictionary<string, double> { ["a 2xx success"] = 1, ["- 5xx rejected"] = 3 });
    }

    [Fact]
    public async Task No_caller_makes_a_series()
    {
        var before = await PageAsync();
        for (var i = 0; i < 30; i++)
            await AnswerAsync($"/nobody-{i}/x", HttpStatusCode.NotFound);
        using (var raw = await RawConnection.ConnectAsync(running.Proxy.Address))
        {
            await raw.SendAsync("GET /nobody/../x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            (await raw.ReadToEndAsync()).Text.Should().StartWith("HTTP/1.1 400 ");
        }

        var page = await PageAsync();

        double More(string name, params (string, string)[] labels) => page.Sum(name, [.. labels, ("service", "unknown")]) - before.Sum(name, [.. labels, ("service", "unknown")]);
        More("alicia_rejected_total", ("reason", "destination_not_found")).Should().Be(30);
        More("alicia_rejected_total", ("reason", "http_request_error")).Should().Be(1);
        More("alicia_requests_total", ("code", "4xx"), ("outcome", "rejected")).Should().Be(31);
        page.Text.Should().NotContain("nobody");
    }

    [Fact]
    public async Task Bodies_are_counted_in_bytes_in_both_directions()
    {
        var service = await running.ServiceAsync(1);
        using (var answer = await running.Http.PostAsync($"/{service}/bytes?n=7000", new ByteArrayContent(new byte[123_456])))
            (await answer.Content.ReadAsByteArrayAsync()).Should().HaveCount(7000);

        // The backend answers before it has read the body; the last of it may still be on its way.
        var page = await Eventually.Until("the whole body has gone", PageAsync, p => p.Sum("alicia_request_body_bytes_total", ("service", service)) >= 123_456);

        page.Sum("alicia_request_body_bytes_total", ("service", service)).Should().Be(123_456);
        page.Sum("alicia_response_body_bytes_total", ("service", service)).Should().Be(7000);
    }

    [Fact]
    public async Task An_upgraded_connection_is_active_counts_its_bytes_and_ends_as_1xx()
    {
        var service = await running.ServiceAsync(1);
        using (var raw = await RawConnection.ConnectAsync(running.Proxy.Address))
        {
            await raw.SendAsync($"GET /{service}/upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
            await Eventually.Until("the connection is there", PageAsync, p => p.Sum("alicia_request_duration_seconds_count", ("service", service)) == 1);
            var during = await PageAsync();
            during.Sum("alicia_instance_active_requests", ("service", service)).Should().Be(1);
            during.Sum("alicia_client_connections").Should().BeGreaterThan(0);
            during.Sum("alicia_upstream_connections").Should().BeGreaterThan(0);
            await raw.SendAsync("twelve bytes");
            await Eventually.Until("they come back", PageAsync, p => p.Sum("alicia_response_body_bytes_total", ("service", service)) == 12);
        }

        var page = await Eventually.Until("it is over", PageAsync, p => p.Requests(service).Count > 0);
        page.Requests(service).Should().Equal(new Dictionary<string, double> { ["a 1xx success"] = 1 });
        page.Sum("alicia_request_body_bytes_total", ("service", service)).Should().Be(12);
        page.Sum("alicia_request_duration_seconds_count", ("service", service)).Should().Be(1);
    }

    [Fact]
    public async Task Circuit_registry_and_routing_are_on_the_page()
    {
        var service = await running.ServiceAsync(2);
        var before = await PageAsync();
        using (await running.Registry.SetCircuitAsync(service, "a", "open")) { }
        using (await running.Registry.PatchInstanceAsync(service, "b", new { state = "draining" })) { }

        var page = await PageAsync();

        page.Of("alicia_circuit_state", ("service", service), ("instance_id", "a")).ToDictionary(s => s.Labels["state"], s => s.Value)
            .Should().Equal(new Dictionary<string, double> { ["closed"] = 0, ["open"] = 1, ["half_open"] = 0 });
        (string, string)[] move = [("from", "closed"), ("to", "open"), ("reason", "operator")];
        (page.Sum("alicia_circuit_transitions_total", move) - before.Sum("alicia_circuit_transitions_total", move)).Should().Be(1);
        page.Sum("alicia_instance_up", ("service", service), ("instance_id", "a")).Should().Be(0);
        page.Sum("alicia_instance_up", ("service", service), ("instance_id", "b")).Should().Be(1, "draining is not down");
        page.Of("alicia_registry_instances", ("service", service)).ToDictionary(s => s.Labels["state"], s => s.Value)
            .Should().Equal(new Dictionary<string, double> { ["pending"] = 0, ["active"] = 1, ["draining"] = 1 });
        page.Sum("alicia_registry_revision").Should().BeGreaterThan(before.Sum("alicia_registry_revision")).And.Be(page.Sum("alicia_config_applied_revision"));
        page.Sum("alicia_config_applies_total").Should().BeGreaterThan(before.Sum("alicia_config_applies_total"));
        page.Sum("alicia_config_apply_seconds").Should().BeGreaterThan(0);
        page.Sum("alicia_build_info").Should().Be(1);
    }

    [Fact]
    public async Task Both_formats_are_spoken()
    {
        using var plain = await running.Proxy.Api.GetAsync("/metrics");
        plain.Content.Headers.ContentType!.MediaType.Should().Be("text/plain");
        using var request = new HttpRequestMessage(HttpMethod.Get, "/metrics");
        request.Headers.Accept.ParseAdd("application/openmetrics-text; version=1.0.0");
        using var open = await running.Proxy.Api.SendAsync(request);
        open.Content.Headers.ContentType!.MediaType.Should().Be("application/openmetrics-text");
        (await open.Content.ReadAsStringAsync()).Should().EndWith("# EOF\n");
        using var head = await running.Proxy.Api.SendAsync(new HttpRequestMessage(HttpMethod.Head, "/metrics"));
        (head.StatusCode, head.Content.Headers.ContentLength > 1000).Should().Be((HttpStatusCode.OK, true));
    }

    [Fact]
    public async Task Who_may_read_it_is_configured_and_follows_a_reload()
    {
        string Configuration(string metrics) => $$"""
            { "Registry": { "Store": "memory" }, {{metrics}} "Management": { "ApiKeys": {
                "reader": { "Key": "reader-0123456789abcdef", "Scopes": "read" },
                "registrar": { "Key": "registrar-0123456789abcdef", "Scopes": "register" },
                "some": { "Key": "some-0123456789abcdef", "Scopes": "read", "Services": ["tts"] } } } }
            """;
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { ConfigJson = Configuration("") });
        async Task<int> StatusAsync(string? key)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/metrics");
            if (key is not null)
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", $"{key}-0123456789abcdef");
            using var answer = await proxy.Api.SendAsync(request);
            return (int)answer.StatusCode;
        }

        (await StatusAsync(null)).Should().Be(200, "management listens on loopback only");
        await proxy.WriteConfigAsync(Configuration("\"Metrics\": { \"Public\": false },"));
        await Eventually.Until("a key is needed", () => StatusAsync(null), status => status == 401);
        (await StatusAsync("reader")).Should().Be(200);
        (await StatusAsync("registrar")).Should().Be(403);
        (await StatusAsync("some")).Should().Be(403, "the page shows every service");
        await proxy.WriteConfigAsync(Configuration("\"Metrics\": { \"Public\": true, \"PerInstance\": false },"));
        await Eventually.Until("no key is needed", () => StatusAsync(null), status => status == 200);
    }

    private Task<MetricsPage> PageAsync() => MetricsPage.ReadAsync(running.Proxy.Api);

    private async Task AnswerAsync(string path, HttpStatusCode status)
    {
        using var answer = await running.Http.GetAsync(path);
        answer.StatusCode.Should().Be(status);
    }
}

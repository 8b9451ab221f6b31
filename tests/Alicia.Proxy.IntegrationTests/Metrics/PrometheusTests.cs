using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Metrics;

/// <summary>A real Prometheus reads the page and answers about the traffic.</summary>
public sealed class PrometheusTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    [NeedsPackageFact(PrometheusServer.Package)]
    public async Task Its_answers_are_the_traffic_that_was_sent_and_what_is_removed_goes()
    {
        // Counted to the request: nothing is tried again.
        var service = await running.ServiceAsync(2, new { retry = new { attempts = 0 } });
        await using var prometheus = await PrometheusServer.StartAsync(running.Proxy.ManagementAddress);
        await prometheus.UntilAsync("the target is up", $"up{{job=\"{PrometheusServer.Job}\"}}", up => up == 1);
        (await prometheus.TargetAsync()).Should().Be(("up", ""));

        const int Requests = 300;
        await Load.RunAsync(running.Proxy.Address, clients: 4, Requests, n => $"/{service}/status/{(n % 3 == 0 ? 503 : n % 3 == 1 ? 404 : 200)}");

        var all = $"alicia_requests_total{{service=\"{service}\"}}";
        await prometheus.UntilAsync("every request is there", $"sum({all})", sum => sum == Requests);
        (await prometheus.QueryAsync($"sum by (code, outcome) ({all})")).Select(s => $"{s.Labels["code"]} {s.Labels["outcome"]} {s.Value}")
            .Should().BeEquivalentTo("2xx success 100", "4xx success 100", "5xx failure 100");
        (await prometheus.QueryAsync($"sum by (instance_id) ({all})")).Select(s => $"{s.Labels["instance_id"]} {s.Value}").Should().BeEquivalentTo("a 150", "b 150");
        (await prometheus.ValueAsync($"alicia_request_duration_seconds_count{{service=\"{service}\"}}")).Should().Be(Requests);
        (await prometheus.ValueAsync($"histogram_quantile(0.5, sum by (le) (alicia_request_duration_seconds_bucket{{service=\"{service}\"}}))")).Should().BeInRange(0.00001, 5);
        (await prometheus.ValueAsync($"sum(alicia_instance_up{{service=\"{service}\"}})")).Should().Be(2);

        using (await running.Registry.DeleteInstanceAsync(service, "b")) { }
        foreach (var metric in new[] { "alicia_requests_total", "alicia_instance_up", "alicia_circuit_state", "alicia_instance_response_seconds_total", "alicia_instance_active_requests" })
        {
            await prometheus.UntilAsync("the series goes", $"count({metric}{{service=\"{service}\", instance_id=\"b\"}})", count => count is null);
            (await prometheus.ValueAsync($"count({metric}{{service=\"{service}\", instance_id=\"a\"}})")).Should().NotBeNull();
        }
    }

    [NeedsPackageFact(PrometheusServer.Package)]
    public async Task A_page_that_is_not_public_takes_a_key()
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions
        {
            ConfigJson = """
                { "Registry": { "Store": "memory" }, "Metrics": { "Public": false },
                  "Management": { "ApiKeys": { "prometheus": { "Key": "prometheus-0123456789", "Scopes": "read" } } } }
                """,
        });
        await using var keyless = await PrometheusServer.StartAsync(proxy.ManagementAddress);
        await using var keyed = await PrometheusServer.StartAsync(proxy.ManagementAddress, "prometheus-0123456789");

        await keyed.UntilAsync("the target is up", "up", up => up == 1);
        (await keyed.TargetAsync()).Should().Be(("up", ""));
        await keyless.UntilAsync("the target was tried", "up", up => up == 0);
        (await keyless.TargetAsync()).Error.Should().Contain("401");
    }

    [NeedsPackageFact(PrometheusServer.Package)]
    public async Task Promtool_has_nothing_to_say_about_the_page()
    {
        var service = await running.ServiceAsync(2);
        await running.BackendOfAsync(service);
        using (await running.Registry.SetCircuitAsync(service, "a", "open")) { }
        using (await running.Http.GetAsync("/nobody/x")) { }
        var file = Path.Combine(running.Proxy.Directory, "page.txt");
        await File.WriteAllTextAsync(file, (await MetricsPage.ReadAsync(running.Proxy.Api)).Text);

        await using var check = ChildProcess.Start("sh", ["-c", "exec promtool check metrics < page.txt"], running.Proxy.Directory);

        (await check.WaitForExitAsync()).Should().Be(0, check.Transcript);
        check.Output.Concat(check.Errors).Should().BeEmpty();
    }
}

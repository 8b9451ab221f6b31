using System.Text.Json;
using System.Text.RegularExpressions;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Api;

/// <summary>What the API says about itself and about the proxy: OpenAPI, docs, health and statistics.</summary>
public sealed partial class ApiDocumentTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    private readonly string _service = running.NewService();

    private HttpClient Api => running.Proxy.Api;

    private RegistryApi Registry => running.Proxy.Registry;

    [Theory]
    [InlineData("/services", "get")]
    [InlineData("/services/{service}", "get put patch delete")]
    [InlineData("/services/{service}/register", "post")]
    [InlineData("/services/{service}/{id}", "get patch delete")]
    [InlineData("/services/{service}/{id}/heartbeat", "post")]
    [InlineData("/services/{service}/{id}/circuit", "post")]
    [InlineData("/services/{service}/balance", "post")]
    [InlineData("/services/{service}/balance/{path}", "get put post delete patch")]
    [InlineData("/stats", "get")]
    [InlineData("/stats/{service}", "get")]
    [InlineData("/events", "get")]
    [InlineData("/session", "get post delete")]
    [InlineData("/health", "get")]
    [InlineData("/health/live", "get")]
    [InlineData("/health/ready", "get")]
    public async Task The_openapi_document_has_every_call(string path, string methods)
    {
        var document = await Registry.GetJsonAsync("/openapi/v1.json");

        document.Text("openapi").Should().StartWith("3.");
        var calls = document.GetProperty("paths").GetProperty(path);
        calls.EnumerateObject().Select(p => p.Name).Should().Contain(methods.Split(' '));
    }

    [Fact]
    public async Task The_registration_schema_has_exactly_the_fields_that_are_read()
    {
        var schema = (await Registry.GetJsonAsync("/openapi/v1.json")).GetProperty("components").GetProperty("schemas").GetProperty("RegistrationDocument");
        string[] documented = [.. schema.GetProperty("properties").EnumerateObject().Select(p => p.Name)];
        documented.Should().BeEquivalentTo(
            "instance_id", "host", "port", "scheme", "weight", "max_connections", "ttl_seconds", "priority", "protocol", "health_check", "metadata");
        schema.GetProperty("required").EnumerateArray().Select(r => r.GetString()).Should().BeEquivalentTo("host", "port");
        schema.GetProperty("properties").GetProperty("port").GetProperty("type").GetString().Should().Be("integer");

        // An array is of the wrong type for every field: a field that is read is named for its type, one that is not for being unknown.
        var body = JsonSerializer.Serialize(documented.Append("surprise").ToDictionary(f => f, _ => Array.Empty<int>()));
        var problem = await Api.SendJsonAsync("POST", $"/services/{_service}/register", body).ProblemAsync(400);
        var unknown = problem.GetProperty("errors").EnumerateObject().Where(e => e.Value.GetRawText().Contains("known field", StringComparison.Ordinal)).Select(e => e.Name);
        problem.Faults().Should().BeEquivalentTo(documented.Append("surprise"));
        unknown.Should().Equal("surprise");
    }

    [Fact]
    public async Task The_openapi_document_is_one_that_generators_take()
    {
        var document = await Registry.GetJsonAsync("/openapi/v1.json");

        var operations = new List<string>();
        foreach (var path in document.GetProperty("paths").EnumerateObject())
        {
            string[] named = [.. Parameters().Matches(path.Name).Select(m => m.Groups[1].Value)];
            foreach (var operation in path.Value.EnumerateObject())
            {
                operations.Add(operation.Value.Text("operationId"));
                var declared = operation.Value.TryGetProperty("parameters", out var parameters)
                    ? parameters.EnumerateArray().Where(p => p.Text("in") == "path").Select(p => p.Text("name"))
                    : [];
                declared.Should().BeEquivalentTo(named, "{0} {1} names them", operation.Name, path.Name);
                operation.Value.GetProperty("responses").EnumerateObject().Should().NotBeEmpty();
            }
        }

        operations.Should().OnlyHaveUniqueItems();
    }

    [Fact]
    public async Task The_docs_page_works_without_any_other_server()
    {
        using var docs = await Api.GetAsync("/docs");
        var page = new Uri(running.Proxy.ManagementAddress, "/docs/index.html");
        if ((int)docs.StatusCode is >= 300 and < 400)
            new Uri(new Uri(running.Proxy.ManagementAddress, "/docs"), docs.Headers.Location!).Should().Be(page);
        var html = await Api.GetStringAsync(page);

        var references = References().Matches(html).Select(m => new Uri(page, m.Groups[1].Value)).ToArray();
        references.Should().HaveCountGreaterThan(3).And.OnlyContain(r => r.Authority == page.Authority);
        foreach (var reference in references)
            (await Api.GetAsync(reference).StatusAsync()).Should().Be(200, "{0} is part of the page", reference);
        (await Api.GetStringAsync(new Uri(page, "index.js"))).Should().Contain("/openapi/v1.json").And.NotContain("https://validator");
    }

    [Fact]
    public async Task Health_says_what_the_contract_lists()
    {
        var health = await Registry.GetJsonAsync("/health");

        health.EnumerateObject().Select(p => p.Name)
            .Should().Contain(["service_name", "status", "uptime", "version", "mqtt_connected", "registry", "timestamp"]);
        (health.Text("service_name"), health.Text("status")).Should().Be(("load_balancer", "healthy"));
        health.GetProperty("uptime").GetDouble().Should().BePositive();
        health.Text("timestamp").Should().MatchRegex(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$");
        (await Api.GetAsync("/health/live").StatusAsync()).Should().Be(200);
        (await Api.GetAsync("/health/ready").StatusAsync()).Should().Be(200);
        (await Api.SendAsync(new HttpRequestMessage(HttpMethod.Head, "/health")).StatusAsync()).Should().Be(200);
    }

    [Fact]
    public async Task Statistics_have_the_fields_of_the_contract_and_count_requests_once()
    {
        await Registry.RegisterActiveAsync(_service, running.A);
        await Registry.RegisterActiveAsync(_service, running.B);
        var before = await Registry.GetJsonAsync("/stats");
        for (var i = 0; i < 4; i++)
            (await running.Proxy.Http.GetAsync($"/{_service}/status/200").StatusAsync()).Should().Be(200);

        var all = await Registry.GetJsonAsync("/stats");
        all.EnumerateObject().Select(p => p.Name).Should().BeEquivalentTo(
            "total_services", "total_instances", "healthy_instances", "unhealthy_instances", "total_requests", "failed_requests", "rejected_requests",
            "aborted_requests", "active_connections", "average_response_time", "requests_per_second", "uptime", "timestamp", "services");
        (all.Number("total_requests") - before.Number("total_requests")).Should().Be(4);
        all.GetProperty("services").GetProperty(_service).Number("total_requests").Should().Be(4);

        var one = await Registry.GetJsonAsync($"/stats/{_service}");
        one.EnumerateObject().Select(p => p.Name).Should().Contain(["algorithm", "p50", "p90", "p99", "total_requests", "instances"]);
        one.Text("algorithm").Should().Be("round_robin");
        foreach (var row in one.GetProperty("instances").EnumerateArray())
        {
            row.GetProperty("expected_share").GetDouble().Should().Be(0.5);
            row.GetProperty("received_share").GetDouble().Should().Be(0.5);
        }
    }

    [Fact]
    public async Task Fields_are_snake_case_throughout()
    {
        await Registry.RegisterActiveAsync(_service, running.A);
        foreach (var path in new[] { "/services", "/stats", $"/stats/{_service}", $"/services/{_service}", $"/services/{_service}/A", "/health" })
            Names(await Registry.GetJsonAsync(path)).Should().OnlyContain(name => SnakeCase().IsMatch(name), "of {0}", path);
    }

    private static IEnumerable<string> Names(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => element.EnumerateObject().SelectMany(p => Names(p.Value).Prepend(p.Name)).Where(n => !n.StartsWith("service-", StringComparison.Ordinal)),
        JsonValueKind.Array => element.EnumerateArray().SelectMany(Names),
        _ => [],
    };

    [GeneratedRegex("""(?:src|href)="([^"]+)""")]
    private static partial Regex References();

    [GeneratedRegex(@"\{(\w+)\}")]
    private static partial Regex Parameters();

    [GeneratedRegex("^[a-z][a-z0-9]*(_[a-z0-9]+)*$")]
    private static partial Regex SnakeCase();
}

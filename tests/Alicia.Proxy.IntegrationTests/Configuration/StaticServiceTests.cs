using Alicia.Proxy.IntegrationTests.Api;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Configuration;

/// <summary>Services from configuration need nobody to register them, and over REST they can be drained but not changed.</summary>
public sealed class StaticServiceTests : IAsyncLifetime
{
    private Backend _a = null!;
    private Backend _b = null!;
    private ProxyProcess _proxy = null!;

    public async Task InitializeAsync()
    {
        _a = await Backend.StartAsync("A");
        _b = await Backend.StartAsync("B");
        _proxy = await ProxyProcess.StartAsync(new ProxyOptions
        {
            ConfigJson = $$"""
                { "Services": { "fixed": { "Algorithm": "least_connections", "HealthCheck": { "Path": "/alive" },
                    "Routes": [ { "Path": "/v1/{**rest}", "StripPrefix": "/v1" } ],
                    "Instances": [ { "InstanceId": "one", "Host": "127.0.0.1", "Port": {{_a.Port}}, "Weight": 4, "Metadata": { "zone": "kitchen" } } ] } } }
                """,
            Arguments = ["--Defaults:Ttl=00:01:00", "--Shutdown:Grace=00:00:00"],
        });
    }

    public async Task DisposeAsync()
    {
        foreach (var started in new IAsyncDisposable?[] { _proxy, _a, _b })
        {
            if (started is not null)
                await started.DisposeAsync();
        }
    }

    [Fact]
    public async Task It_serves_from_the_first_moment_and_says_where_it_comes_from()
    {
        (await Backend.EchoOfAsync(await _proxy.Http.GetAsync("/v1/echo"))).Name.Should().Be("A");
        (await Backend.EchoOfAsync(await _proxy.Http.GetAsync("/fixed/echo"))).Name.Should().Be("A");

        var service = await _proxy.Registry.ServiceAsync("fixed");
        service.Text("algorithm").Should().Be("least_connections");
        service.GetProperty("settings").GetProperty("health_check").Text("path").Should().Be("/alive");
        var instance = service.GetProperty("instances")[0];
        (instance.Text("source"), instance.Number("weight"), instance.GetProperty("metadata").Text("zone")).Should().Be(("config", 4, "kitchen"));
        instance.GetProperty("lease").ValueKind.Should().Be(System.Text.Json.JsonValueKind.Null, "configuration's instances have no lease");
    }

    [Theory]
    [InlineData("PATCH", "/services/fixed/one", """{"weight":2}""", "Services:fixed:Instances")]
    [InlineData("PATCH", "/services/fixed/one", """{"metadata":{"a":"b"}}""", "Services:fixed:Instances")]
    [InlineData("PATCH", "/services/fixed/one", """{"state":"draining","max_connections":2}""", "Services:fixed:Instances")]
    [InlineData("POST", "/services/fixed/register", """{"instance_id":"one","host":"127.0.0.1","port":9}""", "Services:fixed:Instances")]
    [InlineData("DELETE", "/services/fixed/one", null, "Services:fixed:Instances")]
    [InlineData("DELETE", "/services/fixed", null, "Services:fixed")]
    [InlineData("PATCH", "/services/fixed", """{"algorithm":"random"}""", "Services:fixed:Algorithm")]
    [InlineData("PATCH", "/services/fixed", """{"algorithm":null}""", "Services:fixed:Algorithm")]
    [InlineData("PUT", "/services/fixed", """{"health_check":{"path":"/other"}}""", "Services:fixed:HealthCheck:Path")]
    [InlineData("PATCH", "/services/fixed", """{"routes":[]}""", "Services:fixed:Routes")]
    public async Task What_configuration_sets_is_read_only_and_the_answer_names_the_key(string method, string path, string? body, string key)
    {
        var before = (await _proxy.Registry.ServiceAsync("fixed")).GetProperty("instances").GetRawText();

        (await _proxy.Api.SendJsonAsync(method, path, body).ProblemAsync(409)).Text("detail").Should().Contain(key);

        (await _proxy.Registry.ServiceAsync("fixed")).GetProperty("instances").GetRawText().Should().Be(before);
        (await _proxy.Http.GetAsync("/v1/status/200").StatusAsync()).Should().Be(200);
    }

    [Fact]
    public async Task It_may_be_drained_and_brought_back()
    {
        (await _proxy.Registry.PatchInstanceAsync("fixed", "one", new { state = "draining" }).DocumentAsync(200)).Text("state").Should().Be("draining");
        (await _proxy.Http.GetAsync("/fixed/status/200").StatusAsync()).Should().Be(503);

        await _proxy.Registry.PatchInstanceAsync("fixed", "one", new { state = "active" }).DocumentAsync(200);
        (await _proxy.Http.GetAsync("/fixed/status/200").StatusAsync()).Should().Be(200);
    }

    [Fact]
    public async Task What_configuration_leaves_open_is_free_and_survives_a_restart()
    {
        await _proxy.Registry.PatchServiceAsync("fixed", new { algorithm = "least_connections", queue = new { length = 4 } }).DocumentAsync(200);
        await _proxy.Registry.RegisterAsync("fixed", _b).DocumentAsync(201);

        await _proxy.RestartAsync(kill: true);

        var service = await _proxy.Registry.ServiceAsync("fixed");
        service.GetProperty("settings").GetProperty("queue").Number("length").Should().Be(4);
        service.GetProperty("instances").EnumerateArray().Select(i => i.Text("source")).Should().BeEquivalentTo("config", "api");
        await _proxy.Registry.DeleteInstanceAsync("fixed", "B").DocumentAsync(200);
    }
}

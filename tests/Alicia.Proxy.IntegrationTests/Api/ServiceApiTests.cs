using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Api;

/// <summary>Services: settings, routes, revisions and removal.</summary>
public sealed class ServiceApiTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    private readonly string _service = running.NewService();

    private ProxyProcess Proxy => running.Proxy;

    private HttpClient Api => running.Proxy.Api;

    private RegistryApi Registry => running.Proxy.Registry;

    private string Path => $"/services/{_service}";

    [Fact]
    public async Task Put_creates_with_settings_and_routes_and_durations_are_seconds()
    {
        using var answer = await Api.SendJsonAsync("PUT", Path, $$"""
            { "algorithm": "least_connections", "timeouts": { "response": 1.5 }, "settings": { "queue": { "length": 3 } },
              "routes": [ { "hosts": ["{{_service}}.example.org"], "path": "/v1/{**rest}", "strip_prefix": "/v1" } ] }
            """);
        ((int)answer.StatusCode).Should().Be(201);
        answer.Headers.Location!.OriginalString.Should().Be(Path);

        var shown = await RegistryApi.DocumentOfAsync(answer);
        shown.EnumerateObject().Select(p => p.Name).Should().BeEquivalentTo(
            "service_name", "algorithm", "instances", "healthy_count", "total_count", "settings", "routes", "stats", "revision");
        shown.Text("algorithm").Should().Be("least_connections");
        var settings = shown.GetProperty("settings");
        settings.GetProperty("timeouts").GetProperty("response").GetDouble().Should().Be(1.5);
        settings.GetProperty("timeouts").GetProperty("connect").GetDouble().Should().Be(5);
        settings.GetProperty("timeouts").GetProperty("overall").ValueKind.Should().Be(JsonValueKind.Null);
        settings.GetProperty("queue").Number("length").Should().Be(3);
        settings.GetProperty("health_check").GetProperty("interval").GetDouble().Should().Be(30);
        shown.GetProperty("routes")[0].Text("strip_prefix").Should().Be("/v1");
        answer.Headers.ETag!.Tag.Should().Be($"\"{shown.Number("revision")}\"");
    }

    [Fact]
    public async Task Put_replaces_and_patch_merges_and_null_takes_away()
    {
        await Registry.PutServiceAsync(_service, new { algorithm = "random", max_connections = 5 }).DocumentAsync(201);
        var patched = await Api.SendJsonAsync("PATCH", Path, """{"max_connections":null,"queue":{"length":2}}""").DocumentAsync(200);
        (patched.Text("algorithm"), patched.GetProperty("settings").Number("max_connections"), patched.GetProperty("settings").GetProperty("queue").Number("length"))
            .Should().Be(("random", 100, 2));

        var replaced = await Registry.PutServiceAsync(_service, new { max_connections = 7 }).DocumentAsync(200);
        (replaced.Text("algorithm"), replaced.GetProperty("settings").Number("max_connections"), replaced.GetProperty("settings").GetProperty("queue").Number("length"))
            .Should().Be(("round_robin", 7, 0));
    }

    [Fact]
    public async Task What_a_service_shows_can_be_put_back()
    {
        await Registry.PutServiceAsync(_service, new { algorithm = "random", retry = new { attempts = 2 }, slow_start = 10 }).DocumentAsync(201);
        var shown = await Registry.ServiceAsync(_service);

        var back = await Registry.PutServiceAsync(_service, new { settings = shown.GetProperty("settings"), routes = shown.GetProperty("routes") }).DocumentAsync(200);

        back.GetProperty("settings").GetRawText().Should().Be(shown.GetProperty("settings").GetRawText());
    }

    [Fact]
    public async Task Settings_and_instances_do_not_touch_each_other()
    {
        await Registry.RegisterActiveAsync(_service, running.A);
        using var before = await Api.GetAsync(Path);
        await Registry.RegisterAsync(_service, running.B).DocumentAsync(201);
        await Registry.PatchInstanceAsync(_service, "A", new { weight = 9 }).DocumentAsync(200);
        await Registry.DeleteInstanceAsync(_service, "B").DocumentAsync(200);
        using var after = await Api.GetAsync(Path);
        after.Headers.ETag.Should().Be(before.Headers.ETag);

        using var changed = await Registry.PatchServiceAsync(_service, new { algorithm = "random" });
        changed.Headers.ETag.Should().NotBe(before.Headers.ETag);
        var document = await RegistryApi.DocumentOfAsync(changed);
        document.GetProperty("instances")[0].Number("weight").Should().Be(9);
    }

    [Fact]
    public async Task Changes_honour_if_match()
    {
        using var created = await Registry.PutServiceAsync(_service, new { });
        var first = created.Headers.ETag!.Tag;
        using var moved = await Api.SendJsonAsync("PATCH", Path, """{"algorithm":"random"}""", ("If-Match", first));
        ((int)moved.StatusCode).Should().Be(200);
        var second = moved.Headers.ETag!.Tag;

        foreach (var stale in new[] { first, "W/" + second, "\"x\"", "x" })
        {
            await Api.SendJsonAsync("PUT", Path, "{}", ("If-Match", stale)).ProblemAsync(412);
            await Api.SendJsonAsync("PATCH", Path, """{"algorithm":"round_robin"}""", ("If-Match", stale)).ProblemAsync(412);
            await Api.SendJsonAsync("DELETE", Path, null, ("If-Match", stale)).ProblemAsync(412);
        }

        (await Registry.ServiceAsync(_service)).Text("algorithm").Should().Be("random");
        await Api.SendJsonAsync("PUT", Path, "{}", ("If-None-Match", "*")).ProblemAsync(412);
        await Api.SendJsonAsync("PUT", $"/services/{_service}-x", "{}", ("If-Match", "*")).ProblemAsync(412);
        await Api.SendJsonAsync("PATCH", Path, "{}", ("If-Match", $"{first}, {second}")).DocumentAsync(200);
        await Api.SendJsonAsync("DELETE", Path, null, ("If-Match", "*")).DocumentAsync(200);
        await Api.GetAsync(Path).ProblemAsync(404);
    }

    [Fact]
    public async Task A_service_that_is_not_there_cannot_be_patched_shown_or_deleted()
    {
        await Registry.PatchServiceAsync("nobody", new { algorithm = "random" }).ProblemAsync(404);
        await Registry.DeleteServiceAsync("nobody").ProblemAsync(404);
        await Registry.GetAsync("/services/nobody").ProblemAsync(404);
        await Registry.GetAsync("/stats/nobody").ProblemAsync(404);
        (await Registry.PutServiceAsync("No-Name_", new { }).ProblemAsync(400)).Faults().Should().Equal("service_name");
    }

    [Fact]
    public async Task Deleting_drains_every_instance_and_then_the_service_is_gone()
    {
        await Registry.RegisterActiveAsync(_service, running.A);
        var held = Proxy.Http.GetAsync($"/{_service}/hold/{_service}");
        await running.A.UntilHeldAsync(_service, 1);

        (await Registry.DeleteServiceAsync(_service).DocumentAsync(202)).Number("in_flight").Should().Be(1);
        (await Proxy.Http.GetAsync($"/{_service}/status/200").StatusAsync()).Should().BeOneOf(404, 503);
        await running.A.ReleaseAsync(_service);

        (await held.StatusAsync()).Should().Be(200);
        await Eventually.Until("the service is gone", async () => await Registry.GetAsync(Path).StatusAsync() == 404);
        (await Proxy.Http.GetAsync($"/{_service}/status/200").StatusAsync()).Should().Be(404);
    }

    [Fact]
    public async Task A_registration_brings_a_service_that_is_leaving_back_with_default_settings()
    {
        await Registry.PutServiceAsync(_service, new { algorithm = "random" }).DocumentAsync(201);
        await Registry.RegisterActiveAsync(_service, running.A);
        var held = Proxy.Http.GetAsync($"/{_service}/hold/{_service}");
        await running.A.UntilHeldAsync(_service, 1);
        await Registry.DeleteServiceAsync(_service).DocumentAsync(202);

        await Registry.RegisterAsync(_service, running.B).DocumentAsync(201);

        (await Registry.ServiceAsync(_service)).Text("algorithm").Should().Be("round_robin");
        (await Backend.EchoOfAsync(await Proxy.Http.GetAsync($"/{_service}/echo"))).Name.Should().Be("B");
        await running.A.ReleaseAsync(_service);
        (await held.StatusAsync()).Should().Be(200);
        await Eventually.Until("only B is left", async () => (await Registry.ServiceAsync(_service)).Number("total_count") == 1);
    }

    [Fact]
    public async Task A_declared_route_works_at_once_and_stops_when_it_is_taken_away()
    {
        await Registry.RegisterActiveAsync(_service, running.A);
        await Registry.PatchServiceAsync(_service, new { routes = new[] { new { path = $"/v1/{_service}/{{**rest}}", strip_prefix = $"/v1/{_service}" } } }).DocumentAsync(200);
        (await Backend.EchoOfAsync(await Proxy.Http.GetAsync($"/v1/{_service}/echo/a%2Fb?q"))).RawTarget.Should().Be("/echo/a%2Fb?q");

        await Registry.PatchServiceAsync(_service, new { routes = Array.Empty<object>() }).DocumentAsync(200);
        (await Proxy.Http.GetAsync($"/v1/{_service}/echo").StatusAsync()).Should().Be(404);
    }

    [Fact]
    public async Task Routes_that_another_service_has_or_is_named_like_are_refused_with_both_names()
    {
        var other = _service + "-other";
        await Registry.PutServiceAsync(other, new { routes = new[] { new { path = $"/v2/{_service}/{{**rest}}" } } }).DocumentAsync(201);

        var overlap = await Registry.PutServiceAsync(_service, new { routes = new[] { new { path = $"/v2/{_service}/{{**all}}" } } }).ProblemAsync(409);
        overlap.Text("detail").Should().Contain($"'{_service}'").And.Contain($"'{other}'");
        var covers = await Registry.PutServiceAsync(_service, new { routes = new[] { new { path = $"/{other}/x" } } }).ProblemAsync(409);
        covers.Text("detail").Should().Contain($"'{_service}'").And.Contain($"'{other}'");
        await Registry.GetAsync(Path).ProblemAsync(404);

        await Registry.PutServiceAsync(other, new { routes = new[] { new { path = $"/{_service}/x" } } }).DocumentAsync(200);
        var named = await Registry.RegisterAsync(_service, running.A).ProblemAsync(409);
        named.Text("detail").Should().Contain($"'{_service}'").And.Contain($"'{other}'");
    }

    [Fact]
    public async Task The_list_has_every_service_by_its_name()
    {
        await Registry.RegisterActiveAsync(_service, running.A);

        var list = await Registry.GetJsonAsync("/services");

        list.EnumerateObject().Select(p => p.Name).Should().Equal("services");
        list.GetProperty("services").GetProperty(_service).GetProperty("instances")[0].Text("instance_id").Should().Be("A");
    }
}

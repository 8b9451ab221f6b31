using Alicia.Proxy.IntegrationTests.Api;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Configuration;

/// <summary>Changed files are applied while the proxy runs, as a whole or not at all.</summary>
public sealed class ReloadTests : IAsyncLifetime
{
    private Backend _a = null!;
    private Backend _b = null!;
    private ProxyProcess _proxy = null!;

    public async Task InitializeAsync()
    {
        _a = await Backend.StartAsync("A");
        _b = await Backend.StartAsync("B");
        _proxy = await ProxyProcess.StartAsync(new ProxyOptions { ConfigJson = Services(("first", _a, "")) });
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
    public async Task A_service_is_added_changed_and_removed_and_what_the_api_registered_stays()
    {
        await _proxy.Registry.RegisterAsync("first", _b, "by-api").DocumentAsync(201);
        await _proxy.Registry.RegisterActiveAsync("own", _b);

        await _proxy.WriteConfigAsync(Services(("first", _a, "\"Algorithm\": \"random\", \"Routes\": [ { \"Path\": \"/one/{**rest}\" } ],"), ("second", _b, "")));
        await Eventually.Until("the second service serves", async () => await _proxy.Http.GetAsync("/second/status/200").StatusAsync() == 200);
        (await _proxy.Registry.ServiceAsync("first")).Text("algorithm").Should().Be("random");
        (await _proxy.Http.GetAsync("/one/status/200").StatusAsync()).Should().Be(200);

        await _proxy.WriteConfigAsync(Services(("second", _a, "\"MaxConnections\": 3,")));
        await Eventually.Until("the second service moved",
            async () => (await Backend.EchoOfAsync(await _proxy.Http.GetAsync("/second/echo"))).Name == "A");
        (await _proxy.Registry.ServiceAsync("second")).GetProperty("instances")[0].Number("max_connections").Should().Be(3);
        (await _proxy.Http.GetAsync("/one/status/200").StatusAsync()).Should().Be(404);
        var first = await _proxy.Registry.UntilAsync("only the API's instance is left", "/services/first", s => s.Number("total_count") == 1);
        first.GetProperty("instances")[0].Text("instance_id").Should().Be("by-api");
        first.Text("algorithm").Should().Be("round_robin");
        (await Backend.EchoOfAsync(await _proxy.Http.GetAsync("/own/echo"))).Name.Should().Be("B");
    }

    [Fact]
    public async Task A_service_that_only_configuration_knew_is_gone_when_it_is_taken_out_and_its_request_in_flight_finishes()
    {
        var held = _proxy.Http.GetAsync("/first/hold/key");
        await _a.UntilHeldAsync("key", 1);

        await _proxy.WriteConfigAsync("{}");
        await Eventually.Until("nothing new goes there", async () => await _proxy.Http.GetAsync("/first/status/200").StatusAsync() is 404 or 503);
        held.IsCompleted.Should().BeFalse();
        await _a.ReleaseAsync("key");

        (await held.StatusAsync()).Should().Be(200);
        await Eventually.Until("the service is gone", async () => await _proxy.Registry.GetAsync("/services/first").StatusAsync() == 404);
    }

    [Fact]
    public async Task Requests_go_on_without_a_failure_while_files_change()
    {
        using var enough = new CancellationTokenSource();
        var load = Enumerable.Range(0, 3).Select(async _ =>
        {
            var statuses = new List<int>();
            while (!enough.IsCancellationRequested)
                statuses.Add(await _proxy.Http.GetAsync("/first/status/200").StatusAsync());
            return statuses;
        }).ToArray();

        for (var i = 1; i <= 3; i++)
        {
            await _proxy.WriteConfigAsync(Services(("first", i % 2 == 0 ? _a : _b, $"\"MaxConnections\": {i * 10},"), ("extra", _b, "")));
            await Eventually.Until($"change {i} is in force",
                async () => (await _proxy.Registry.ServiceAsync("first")).GetProperty("settings").Number("max_connections") == i * 10);
        }

        await enough.CancelAsync();
        (await Task.WhenAll(load)).SelectMany(statuses => statuses).Should().HaveCountGreaterThan(50).And.OnlyContain(status => status == 200);
    }

    [Fact]
    public async Task A_file_with_faults_changes_nothing_and_one_error_names_them_all()
    {
        var etag = (await _proxy.Registry.ServiceAsync("first")).Number("revision");
        await _proxy.WriteConfigAsync($$"""
            { "Shutdown": { "Grace": "soon" }, "Defaults": { "Algorithm": "fastest" },
              "Services": { "second": { "Instances": [ { "Host": "http://x", "Port": {{_b.Port}} } ] } } }
            """);
        await Eventually.Until("the error is logged", () => Refusals().Length > 0);
        Refusals().Should().ContainSingle().Which.Should().ContainAll("Shutdown:Grace", "Defaults:Algorithm", "Services:second:Instances:0:Host");
        (await _proxy.Http.GetAsync("/first/status/200").StatusAsync()).Should().Be(200);
        (await _proxy.Registry.ServiceAsync("first")).Number("revision").Should().Be(etag);
        await _proxy.Registry.GetAsync("/services/second").ProblemAsync(404);

        await _proxy.WriteConfigAsync("{ \"Services\": {");
        await Eventually.Until("the broken file is logged too", () => Refusals().Length == 2);
        await _proxy.WriteConfigAsync(Services(("first", _a, ""), ("second", _b, "")));
        await Eventually.Until("a good file is taken again", async () => await _proxy.Http.GetAsync("/second/status/200").StatusAsync() == 200);
    }

    [Fact]
    public async Task A_route_that_collides_with_one_of_the_apis_is_refused_as_a_whole()
    {
        await _proxy.Registry.PutServiceAsync("own", new { routes = new[] { new { path = "/taken/{**rest}" } } }).DocumentAsync(201);

        await _proxy.WriteConfigAsync(Services(("first", _b, ""), ("second", _b, "\"Routes\": [ { \"Path\": \"/taken/{**all}\" } ],")));

        await Eventually.Until("the error is logged", () => Refusals().Length > 0);
        Refusals().Single().Should().ContainAll("Services:second:Routes", "'own'", "'second'");
        (await Backend.EchoOfAsync(await _proxy.Http.GetAsync("/first/echo"))).Name.Should().Be("A");
    }

    [Fact]
    public async Task Sighup_reloads_whatever_the_files_look_like()
    {
        const string Reloaded = "Configuration reloaded";
        _proxy.Process.Errors.Should().NotContain(line => line.Contains(Reloaded, StringComparison.Ordinal));

        await using var signal = ChildProcess.Start("sh", ["-c", $"kill -HUP {_proxy.Process.Id}"]);
        (await signal.WaitForExitAsync()).Should().Be(0);

        await Eventually.Until("it says so", () => _proxy.Process.Errors.Any(line => line.Contains(Reloaded, StringComparison.Ordinal)));
        (await _proxy.Http.GetAsync("/first/status/200").StatusAsync()).Should().Be(200);
    }

    [Fact]
    public async Task A_key_that_needs_a_restart_is_named_and_the_rest_is_applied()
    {
        await _proxy.WriteConfigAsync("""{ "Logging": { "Format": "json" }, "Routing": { "Domain": "other.example" }, "Services": { "third": {} } }""");

        await Eventually.Until("the warning is logged",
            () => _proxy.Process.Errors.Any(line => line.Contains("Logging:Format", StringComparison.Ordinal) && line.Contains("next start", StringComparison.Ordinal)));
        await _proxy.Registry.RegisterActiveAsync("third", _a);
        (await _proxy.Http.SendJsonAsync("GET", "/status/200", null, ("Host", "third.other.example")).StatusAsync()).Should().Be(200);
        (await _proxy.Http.SendJsonAsync("GET", "/status/200", null, ("Host", "third.alicia.local")).StatusAsync()).Should().Be(404);
    }

    private string[] Refusals() => [.. _proxy.Process.Errors.Where(line => line.Contains("Configuration not reloaded", StringComparison.Ordinal))];

    private static string Services(params (string Name, Backend Backend, string Settings)[] services) =>
        "{ \"Services\": { " + string.Join(", ", services.Select(s =>
            $$"""
            "{{s.Name}}": { {{s.Settings}} "Instances": [ { "InstanceId": "fixed", "Host": "127.0.0.1", "Port": {{s.Backend.Port}} } ] }
            """)) + " } }";
}

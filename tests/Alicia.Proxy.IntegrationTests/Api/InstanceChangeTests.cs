using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Api;

/// <summary>What an operator does to one instance: patch, circuit by hand, removal.</summary>
public sealed class InstanceChangeTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    private readonly string _service = running.NewService();

    private ProxyProcess Proxy => running.Proxy;

    private RegistryApi Registry => running.Proxy.Registry;

    private Task<JsonElement> PatchAsync(string json, int status = 200) =>
        Proxy.Api.SendJsonAsync("PATCH", $"/services/{_service}/A", json).DocumentAsync(status);

    [Fact]
    public async Task A_patch_changes_what_it_names_and_null_takes_away()
    {
        await Registry.RegisterActiveAsync(_service, running.A, extra: new { weight = 3, max_connections = 9, metadata = new { a = "1", b = "2" } });

        var patched = await PatchAsync("""{"weight":7,"metadata":{"b":null,"c":"3"}}""");
        (patched.Number("weight"), patched.Number("max_connections")).Should().Be((7, 9));
        patched.GetProperty("metadata").EnumerateObject().Select(p => $"{p.Name}={p.Value}").Should().Equal("a=1", "c=3");

        var cleared = await PatchAsync("""{"weight":null,"max_connections":null,"metadata":null}""");
        (cleared.Number("weight"), cleared.Number("max_connections")).Should().Be((3, 100));
        cleared.GetProperty("metadata").EnumerateObject().Should().BeEmpty();
        (await Registry.InstanceAsync(_service, "A")).Number("weight").Should().Be(3);
    }

    [Fact]
    public async Task A_patch_of_something_unknown_is_404()
    {
        await Registry.PatchInstanceAsync("nobody", "A", new { weight = 1 }).ProblemAsync(404);
        await Registry.RegisterActiveAsync(_service, running.A);
        await Registry.PatchInstanceAsync(_service, "B", new { weight = 1 }).ProblemAsync(404);
        await Registry.GetAsync($"/services/{_service}/B").ProblemAsync(404);
    }

    [Fact]
    public async Task Draining_sends_nothing_new_there_and_active_brings_it_back()
    {
        await Registry.RegisterActiveAsync(_service, running.A);
        (await PatchAsync("""{"state":"draining"}""")).Text("state").Should().Be("draining");
        (await Proxy.Http.GetAsync($"/{_service}/status/200").StatusAsync()).Should().Be(503);

        (await PatchAsync("""{"state":"active"}""")).Text("state").Should().Be("active");
        (await Proxy.Http.GetAsync($"/{_service}/status/200").StatusAsync()).Should().Be(200);
    }

    [Fact]
    public async Task A_circuit_opened_by_hand_stops_traffic_until_it_is_closed_by_hand()
    {
        await Registry.RegisterActiveAsync(_service, running.A);
        await Registry.RegisterActiveAsync(_service, running.B);

        var open = (await Registry.SetCircuitAsync(_service, "A", "open").DocumentAsync(200)).GetProperty("circuit");
        open.Text("state").Should().Be("open");
        open.Text("reason").Should().NotBeNullOrEmpty();
        open.GetProperty("opened_at").ValueKind.Should().Be(JsonValueKind.String);
        for (var i = 0; i < 20; i++)
            (await Backend.EchoOfAsync(await Proxy.Http.GetAsync($"/{_service}/echo"))).Name.Should().Be("B");

        await Registry.SetCircuitAsync(_service, "B", "open").DocumentAsync(200);
        (await Proxy.Http.GetAsync($"/{_service}/echo").StatusAsync()).Should().Be(503);
        await Registry.BalanceAsync(_service).ProblemAsync(503);

        (await Registry.SetCircuitAsync(_service, "A", "closed").DocumentAsync(200)).GetProperty("circuit").Text("state").Should().Be("closed");
        (await Backend.EchoOfAsync(await Proxy.Http.GetAsync($"/{_service}/echo"))).Name.Should().Be("A");
    }

    [Fact]
    public async Task A_circuit_opened_by_hand_stays_open_over_a_repeated_registration()
    {
        await Registry.RegisterActiveAsync(_service, running.A);
        await Registry.SetCircuitAsync(_service, "A", "open").DocumentAsync(200);

        var again = await Registry.RegisterAsync(_service, running.A, extra: new { weight = 2 }).DocumentAsync(200);

        again.GetProperty("circuit").Text("state").Should().Be("open");
        (await Proxy.Http.GetAsync($"/{_service}/echo").StatusAsync()).Should().Be(503);
    }

    [Theory]
    [InlineData("""{"state":"half_open"}""")]
    [InlineData("""{"state":null}""")]
    [InlineData("""{}""")]
    [InlineData("""{"state":"open","for":3}""")]
    public async Task A_circuit_request_that_says_neither_open_nor_closed_changes_nothing(string body)
    {
        await Registry.RegisterActiveAsync(_service, running.A);

        (await Proxy.Api.SendJsonAsync("POST", $"/services/{_service}/A/circuit", body).ProblemAsync(400)).Faults().Should().NotBeEmpty();

        (await Registry.InstanceAsync(_service, "A")).GetProperty("circuit").Text("state").Should().Be("closed");
        await Registry.SetCircuitAsync(_service, "B", "open").ProblemAsync(404);
        await Registry.SetCircuitAsync("nobody", "B", "open").ProblemAsync(404);
    }

    [Fact]
    public async Task An_idle_instance_is_removed_at_once_and_then_unknown()
    {
        await Registry.RegisterActiveAsync(_service, running.A);

        var removed = await Registry.DeleteInstanceAsync(_service, "A").DocumentAsync(200);

        removed.GetRawText().Should().Be("""{"state":"removed"}""");
        await Registry.GetAsync($"/services/{_service}/A").ProblemAsync(404);
        await Registry.DeleteInstanceAsync(_service, "A").ProblemAsync(404);
        (await Registry.ServiceAsync(_service)).Number("total_count").Should().Be(0);
    }

    [Fact]
    public async Task A_busy_instance_leaves_when_its_last_request_does()
    {
        await Registry.RegisterActiveAsync(_service, running.A);
        var held = Proxy.Http.GetAsync($"/{_service}/hold/{_service}");
        await running.A.UntilHeldAsync(_service, 1);

        var draining = await Registry.DeleteInstanceAsync(_service, "A").DocumentAsync(202);
        draining.GetRawText().Should().Be("""{"state":"draining","in_flight":1}""");
        (await Registry.InstanceAsync(_service, "A")).Text("state").Should().Be("draining");
        await Registry.DeleteInstanceAsync(_service, "A").DocumentAsync(202);
        await Registry.HeartbeatAsync(_service, "A").ProblemAsync(404);
        (await Proxy.Http.GetAsync($"/{_service}/echo").StatusAsync()).Should().Be(503);

        var waiting = Registry.DeleteInstanceAsync(_service, "A", wait: 15);
        await running.A.ReleaseAsync(_service);
        (await waiting.DocumentAsync(200)).Text("state").Should().Be("removed");
        (await held.StatusAsync()).Should().Be(200);
        await Registry.GetAsync($"/services/{_service}/A").ProblemAsync(404);
    }

    [Fact]
    public async Task A_wait_that_is_too_short_says_what_is_left()
    {
        await Registry.RegisterActiveAsync(_service, running.A);
        var held = Proxy.Http.GetAsync($"/{_service}/hold/{_service}");
        await running.A.UntilHeldAsync(_service, 1);

        (await Registry.DeleteInstanceAsync(_service, "A", wait: 1).DocumentAsync(202)).Number("in_flight").Should().Be(1);

        await running.A.ReleaseAsync(_service);
        (await held.StatusAsync()).Should().Be(200);
    }

    [Fact]
    public async Task An_instance_leaves_at_the_drain_timeout_and_its_request_still_finishes()
    {
        await Registry.PutServiceAsync(_service, new { drain = new { timeout = 0.3 } }).DocumentAsync(201);
        await Registry.RegisterActiveAsync(_service, running.A);
        var held = Proxy.Http.GetAsync($"/{_service}/hold/{_service}");
        await running.A.UntilHeldAsync(_service, 1);

        await Registry.DeleteInstanceAsync(_service, "A").DocumentAsync(202);
        await Eventually.Until("it is gone", async () => await Registry.GetAsync($"/services/{_service}/A").StatusAsync() == 404);

        await running.A.ReleaseAsync(_service);
        (await held.StatusAsync()).Should().Be(200);
    }

    [Theory]
    [InlineData("-1")]
    [InlineData("301")]
    [InlineData("x")]
    [InlineData("")]
    public async Task A_wait_out_of_range_removes_nothing(string wait)
    {
        await Registry.RegisterActiveAsync(_service, running.A);

        var problem = await Proxy.Api.DeleteAsync($"/services/{_service}/A?wait={wait}").ProblemAsync(400);

        problem.Faults().Should().Equal("wait");
        (await Registry.InstanceAsync(_service, "A")).Text("state").Should().Be("active");
    }
}

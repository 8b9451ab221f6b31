using System.Globalization;
using System.Net;
using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Api;

/// <summary>Registering: what is created, what is renewed, what stays, and what the answer shows.</summary>
public sealed class RegistrationTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    private readonly string _service = running.NewService();

    private HttpClient Api => running.Proxy.Api;

    private Task<JsonElement> RegisterAsync(string json, int status) =>
        Api.SendJsonAsync("POST", $"/services/{_service}/register", json).DocumentAsync(status);

    [Fact]
    public async Task A_first_registration_is_created_and_shown_in_full()
    {
        using var answer = await Api.SendJsonAsync("POST", $"/services/{_service}/register", """
            { "instance_id": "tts:1", "host": "10.0.0.5", "port": 8003, "scheme": "http", "weight": 3, "max_connections": 7, "ttl_seconds": 90,
              "protocol": "h2c", "health_check": { "type": "http", "path": "/alive" }, "metadata": { "zone": "kitchen" } }
            """);
        answer.StatusCode.Should().Be(HttpStatusCode.Created);
        answer.Headers.Location!.OriginalString.Should().Be($"/services/{_service}/tts%3A1");

        var shown = await RegistryApi.DocumentOfAsync(answer);
        shown.EnumerateObject().Select(p => p.Name).Should().BeEquivalentTo(
            "instance_id", "service_name", "host", "port", "scheme", "protocol", "weight", "max_connections", "priority", "metadata", "registered_at", "source", "state",
            "health_status", "last_health_check", "response_time", "warming", "active_connections", "total_requests", "failed_requests", "circuit", "lease");
        (shown.Text("instance_id"), shown.Text("service_name"), shown.Text("host"), shown.Number("port")).Should().Be(("tts:1", _service, "10.0.0.5", 8003));
        (shown.Text("scheme"), shown.Text("protocol"), shown.Text("source")).Should().Be(("http", "h2c", "api"));
        (shown.Number("weight"), shown.Number("max_connections")).Should().Be((3, 7));
        shown.GetProperty("metadata").Text("zone").Should().Be("kitchen");
        shown.GetProperty("circuit").EnumerateObject().Select(p => p.Name)
            .Should().BeEquivalentTo("state", "consecutive_failures", "reason", "opened_at", "retry_at");
        shown.GetProperty("circuit").Text("state").Should().Be("closed");
        shown.GetProperty("lease").Number("ttl_seconds").Should().Be(90);
        var registered = Time(shown.Text("registered_at"));
        Time(shown.GetProperty("lease").Text("expires_at")).Should().BeCloseTo(registered.AddSeconds(90), TimeSpan.FromSeconds(5));

        using var found = await Api.GetAsync(answer.Headers.Location);
        (await RegistryApi.DocumentOfAsync(found)).Text("instance_id").Should().Be("tts:1");
    }

    [Fact]
    public async Task A_minimal_registration_gets_defaults_and_an_id_from_its_address()
    {
        var first = await RegisterAsync("""{"host":"127.0.0.1","port":9}""", 201);
        var again = await RegisterAsync("""{"host":"127.0.0.1","port":9}""", 200);

        first.Text("instance_id").Should().Be("127.0.0.1:9").And.Be(again.Text("instance_id"));
        (first.Number("weight"), first.Number("max_connections"), first.Text("protocol")).Should().Be((1, 100, "http1"));
        first.GetProperty("lease").ValueKind.Should().Be(JsonValueKind.Null);
        (await running.Proxy.Registry.ServiceAsync(_service)).Number("total_count").Should().Be(1);
    }

    [Fact]
    public async Task Repeating_applies_what_is_given_and_keeps_what_is_left_out()
    {
        await RegisterAsync("""
            {"instance_id":"a","host":"127.0.0.1","port":9,"weight":5,"max_connections":6,"ttl_seconds":60,"protocol":"h2c","metadata":{"k":"v"}}
            """, 201);

        var kept = await RegisterAsync("""{"instance_id":"a","host":"127.0.0.1","port":9}""", 200);
        (kept.Number("weight"), kept.Number("max_connections"), kept.Text("protocol")).Should().Be((5, 6, "h2c"));
        kept.GetProperty("lease").Number("ttl_seconds").Should().Be(60);
        kept.GetProperty("metadata").Text("k").Should().Be("v");

        var changed = await RegisterAsync("""{"instance_id":"a","host":"127.0.0.1","port":9,"weight":8,"metadata":{}}""", 200);
        (changed.Number("weight"), changed.Number("max_connections")).Should().Be((8, 6));
        changed.GetProperty("metadata").EnumerateObject().Should().BeEmpty();
    }

    [Fact]
    public async Task An_operators_weight_and_drain_outlive_registrations_and_null_gives_the_registered_weight_back()
    {
        await RegisterAsync("""{"instance_id":"a","host":"127.0.0.1","port":9,"weight":5}""", 201);
        await running.Proxy.Registry.PatchInstanceAsync(_service, "a", new { weight = 2, state = "draining" }).DocumentAsync(200);

        var again = await RegisterAsync("""{"instance_id":"a","host":"127.0.0.1","port":9,"weight":6}""", 200);
        (again.Number("weight"), again.Text("state")).Should().Be((2, "draining"));

        var free = await Api.SendJsonAsync("PATCH", $"/services/{_service}/a", """{"weight":null,"state":"active"}""").DocumentAsync(200);
        (free.Number("weight"), free.Text("state")).Should().Be((6, "active"));
    }

    [Fact]
    public async Task Two_ids_at_one_address_are_two_instances()
    {
        await RegisterAsync("""{"instance_id":"a","host":"127.0.0.1","port":9}""", 201);
        await RegisterAsync("""{"instance_id":"b","host":"127.0.0.1","port":9}""", 201);

        (await running.Proxy.Registry.ServiceAsync(_service)).Number("total_count").Should().Be(2);
    }

    [Fact]
    public async Task A_moved_instance_is_new_inherits_nothing_and_the_request_in_flight_finishes_at_the_old_address()
    {
        await running.Proxy.Registry.RegisterActiveAsync(_service, running.A, "x", new { weight = 4 });
        var held = running.Proxy.Http.GetAsync($"/{_service}/hold/{_service}");
        await running.A.UntilHeldAsync(_service, 1);
        await running.Proxy.Registry.SetCircuitAsync(_service, "x", "open").DocumentAsync(200);

        var moved = await running.Proxy.Registry.RegisterAsync(_service, running.B, "x").DocumentAsync(201);

        (moved.Number("weight"), moved.Number("total_requests"), moved.Number("active_connections")).Should().Be((1, 0, 0));
        moved.GetProperty("circuit").Text("state").Should().Be("closed");
        (await Backend.EchoOfAsync(await running.Proxy.Http.GetAsync($"/{_service}/echo"))).Name.Should().Be("B");
        await running.A.ReleaseAsync(_service);
        (await held.StatusAsync()).Should().Be(200);
    }

    [Fact]
    public async Task An_id_that_is_leaving_registers_as_a_new_instance()
    {
        await running.Proxy.Registry.RegisterActiveAsync(_service, running.A, "x");
        var held = running.Proxy.Http.GetAsync($"/{_service}/hold/{_service}");
        await running.A.UntilHeldAsync(_service, 1);
        var leaving = await running.Proxy.Registry.DeleteInstanceAsync(_service, "x").DocumentAsync(202);
        (leaving.Text("state"), leaving.Number("in_flight")).Should().Be(("draining", 1));

        var again = await running.Proxy.Registry.RegisterAsync(_service, running.A, "x").DocumentAsync(201);

        (again.Text("state"), again.Number("total_requests")).Should().Be(("active", 0));
        (await running.Proxy.Http.GetAsync($"/{_service}/status/200").StatusAsync()).Should().Be(200);
        await running.A.ReleaseAsync(_service);
        (await held.StatusAsync()).Should().Be(200);
        (await running.Proxy.Registry.ServiceAsync(_service)).Number("total_count").Should().Be(1);
    }

    [Theory]
    [InlineData("TTS.Example_1.", "tts.example_1")]
    [InlineData("[FD00::0:1]", "fd00::1")]
    [InlineData("::ffff:127.0.0.1", "127.0.0.1")]
    public async Task Hosts_are_shown_in_one_spelling(string given, string shown)
    {
        var document = await RegisterAsync(JsonSerializer.Serialize(new { host = given, port = 80 }), 201);

        document.Text("host").Should().Be(shown);
        (await RegisterAsync(JsonSerializer.Serialize(new { host = shown, port = 80 }), 200)).Text("instance_id").Should().Be(document.Text("instance_id"));
    }

    [Theory]
    [InlineData("http://x")]
    [InlineData("x:80")]
    [InlineData("x/y")]
    [InlineData("8.8.8.8")]
    [InlineData("169.254.169.254")]
    [InlineData("::ffff:169.254.169.254")]
    [InlineData("fe80::1")]
    [InlineData("127.1")]
    [InlineData("0.0.0.0")]
    [InlineData("")]
    public async Task Hosts_that_are_urls_or_outside_the_allowed_networks_are_refused(string host)
    {
        var problem = await Api.SendJsonAsync("POST", $"/services/{_service}/register", JsonSerializer.Serialize(new { host, port = 80 })).ProblemAsync(400);

        problem.Faults().Should().Equal("host");
    }

    [Fact]
    public async Task A_heartbeat_renews_the_lease_and_is_404_for_the_unknown()
    {
        var before = await RegisterAsync("""{"instance_id":"a","host":"127.0.0.1","port":9,"ttl_seconds":60}""", 201);

        await Eventually.Until("the lease runs longer", async () =>
        {
            using var beat = await running.Proxy.Registry.HeartbeatAsync(_service, "a");
            beat.StatusCode.Should().Be(HttpStatusCode.NoContent);
            var now = await running.Proxy.Registry.InstanceAsync(_service, "a");
            return Time(now.GetProperty("lease").Text("expires_at")) > Time(before.GetProperty("lease").Text("expires_at"));
        });

        await running.Proxy.Registry.HeartbeatAsync(_service, "b").ProblemAsync(404);
        await running.Proxy.Registry.HeartbeatAsync("nobody", "a").ProblemAsync(404);
    }

    [Fact]
    public async Task A_registration_is_routed_by_when_its_reply_has_come_and_a_removal_too()
    {
        for (var i = 0; i < 300; i++)
        {
            var service = $"{_service}-{i % 7}";
            var backend = i % 2 == 0 ? running.A : running.B;
            await running.Proxy.Registry.RegisterAsync(service, backend, "x").DocumentAsync(201);
            var echo = await Backend.EchoOfAsync(await running.Proxy.Http.GetAsync($"/{service}/echo"));
            echo.Name.Should().Be(backend.Name, "round {0}", i);
            await running.Proxy.Registry.DeleteInstanceAsync(service, "x").DocumentAsync(200);
            (await running.Proxy.Http.GetAsync($"/{service}/echo").StatusAsync()).Should().Be(503, "round {0}", i);
        }
    }

    [Fact]
    public async Task An_unregistered_instance_gets_nothing_after_the_reply_while_others_carry_the_load()
    {
        await using var leaving = await Backend.StartAsync("leaving");
        await running.Proxy.Registry.RegisterActiveAsync(_service, running.A);
        await running.Proxy.Registry.RegisterActiveAsync(_service, leaving);
        using var enough = new CancellationTokenSource();
        var load = Enumerable.Range(0, 4).Select(async _ =>
        {
            var statuses = new List<int>();
            while (!enough.IsCancellationRequested)
                statuses.Add(await running.Proxy.Http.GetAsync($"/{_service}/status/200").StatusAsync());
            return statuses;
        }).ToArray();
        await leaving.UntilStatsAsync("it has had requests", stats => stats.Requests > 20);

        using var reply = await running.Proxy.Registry.DeleteInstanceAsync(_service, "leaving", wait: 10);
        reply.StatusCode.Should().Be(HttpStatusCode.OK);
        var atReply = (await leaving.StatsAsync()).Requests;
        var others = (await running.A.StatsAsync()).Requests;
        await running.A.UntilStatsAsync("a hundred more", stats => stats.Requests > others + 100);
        await enough.CancelAsync();

        (await Task.WhenAll(load)).SelectMany(statuses => statuses).Should().OnlyContain(status => status == 200);
        (await leaving.StatsAsync()).Requests.Should().Be(atReply);
    }

    private static DateTimeOffset Time(string text)
    {
        text.Should().MatchRegex(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$");
        return DateTimeOffset.Parse(text, CultureInfo.InvariantCulture);
    }
}

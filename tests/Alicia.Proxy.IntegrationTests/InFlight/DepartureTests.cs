using System.Net;
using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.InFlight;

/// <summary>An instance that leaves gets nothing new and finishes what it has.</summary>
[Trait("Depends", "forwarder")]
public sealed class DepartureTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    [Fact]
    public async Task A_removed_instance_drains_is_listed_and_then_gone()
    {
        var service = await running.ServiceAsync(2);
        var held = await HoldAsync(service);

        using var removal = await running.Registry.DeleteInstanceAsync(service, "a");

        removal.StatusCode.Should().Be(HttpStatusCode.Accepted);
        (await RemovalAsync(removal)).Should().Be(("draining", 1));
        (await running.Registry.InstanceAsync(service, "a")).GetProperty("state").GetString().Should().Be("draining");
        Ids(await running.Registry.ServiceAsync(service)).Should().BeEquivalentTo("a", "b");
        for (var i = 0; i < 5; i++)
            (await running.BackendOfAsync(service)).Should().Be("b");
        using (var again = await running.Registry.DeleteInstanceAsync(service, "a"))
            (await RemovalAsync(again)).Should().Be(("draining", 1), "asking twice is no other question");

        await ReleaseAsync(held);
        await running.Registry.UntilAsync("a is gone", $"/services/{service}", document => !Ids(document).Contains("a"));
        using var gone = await running.Registry.GetAsync($"/services/{service}/a");
        gone.StatusCode.Should().Be(HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task An_idle_instance_is_removed_with_the_reply()
    {
        var service = await running.ServiceAsync(2);
        await running.BackendOfAsync(service);
        await running.BackendOfAsync(service);

        using var removal = await running.Registry.DeleteInstanceAsync(service, "a");

        removal.StatusCode.Should().Be(HttpStatusCode.OK);
        (await RemovalAsync(removal)).Should().Be(("removed", (int?)null));
        Ids(await running.Registry.ServiceAsync(service)).Should().Equal("b");
    }

    [Fact]
    public async Task A_waiting_removal_outlasts_the_drain_timeout()
    {
        var service = await running.ServiceAsync(1, new { drain = new { timeout = 0.1 } });
        var held = await HoldAsync(service);

        var removal = running.Registry.DeleteInstanceAsync(service, "a", wait: 15);
        await running.Registry.UntilAsync("a is struck off the list", $"/services/{service}", document => Ids(document).Length == 0);
        removal.IsCompleted.Should().BeFalse("a request is still in flight to it");
        await ReleaseAsync(held);

        using var answer = await removal;
        (await RemovalAsync(answer)).Should().Be(("removed", (int?)null));
    }

    [Fact]
    public async Task A_waiting_removal_is_answered_when_the_last_request_is_over()
    {
        var service = await running.ServiceAsync(1);
        var held = await HoldAsync(service);

        var removal = running.Registry.DeleteInstanceAsync(service, "a", wait: 30);
        await running.Registry.UntilAsync("a drains", $"/services/{service}/a", document => document.GetProperty("state").GetString() == "draining");
        removal.IsCompleted.Should().BeFalse();
        await ReleaseAsync(held);

        using var answer = await removal;
        answer.StatusCode.Should().Be(HttpStatusCode.OK);
        (await RemovalAsync(answer)).Should().Be(("removed", (int?)null));
        Ids(await running.Registry.ServiceAsync(service)).Should().BeEmpty();
    }

    [Fact]
    public async Task A_waiting_removal_is_answered_when_its_time_is_over()
    {
        var service = await running.ServiceAsync(1);
        var held = await HoldAsync(service);

        using var removal = await running.Registry.DeleteInstanceAsync(service, "a", wait: 1);

        removal.StatusCode.Should().Be(HttpStatusCode.Accepted);
        (await RemovalAsync(removal)).Should().Be(("draining", 1));
        await ReleaseAsync(held);
    }

    [Fact]
    public async Task The_same_id_comes_back_elsewhere_while_the_old_one_finishes()
    {
        var service = await running.ServiceAsync(1);
        var held = await HoldAsync(service);
        using (await running.Registry.DeleteInstanceAsync(service, "a")) { }

        using (var back = await running.Registry.RegisterAsync(service, running.Backends[1], id: "a"))
        {
            back.StatusCode.Should().Be(HttpStatusCode.Created);
            var document = await RegistryApi.DocumentOfAsync(back);
            document.GetProperty("port").GetInt32().Should().Be(running.Backends[1].Port);
            document.GetProperty("active_connections").GetInt32().Should().Be(0, "the new one inherits nothing");
            document.GetProperty("total_requests").GetInt64().Should().Be(0);
        }
        for (var i = 0; i < 5; i++)
            (await running.BackendOfAsync(service)).Should().Be("b");

        await ReleaseAsync(held);
        (await running.Registry.InstanceAsync(service, "a")).GetProperty("total_requests").GetInt64().Should().Be(5);
        (await running.BackendOfAsync(service)).Should().Be("b");
    }

    [Fact]
    public async Task An_instance_that_moves_takes_new_requests_at_its_new_address_and_finishes_the_old_ones()
    {
        var service = await running.ServiceAsync(1);
        var held = await HoldAsync(service);

        using (var moved = await running.Registry.RegisterAsync(service, running.Backends[1], id: "a"))
            moved.StatusCode.Should().Be(HttpStatusCode.Created);

        for (var i = 0; i < 5; i++)
            (await running.BackendOfAsync(service)).Should().Be("b");
        (await running.Backends[0].StatsAsync()).Requests.Should().Be(1);
        await ReleaseAsync(held);
    }

    [Fact]
    public async Task A_deleted_service_finishes_its_requests_and_is_gone()
    {
        var service = await running.ServiceAsync(2);
        var held = await HoldAsync(service);

        using (var removal = await running.Registry.DeleteServiceAsync(service))
        {
            removal.StatusCode.Should().Be(HttpStatusCode.Accepted);
            (await RemovalAsync(removal)).Should().Be(("draining", 1));
        }
        using (var refused = await running.Http.GetAsync($"/{service}/x"))
            ((int)refused.StatusCode).Should().BeOneOf(404, 503);

        await ReleaseAsync(held);
        await Eventually.Until("the service is unknown", async () =>
        {
            using var answer = await running.Registry.GetAsync($"/services/{service}");
            return answer.StatusCode;
        }, status => status == HttpStatusCode.NotFound);
        using var unknown = await running.Http.GetAsync($"/{service}/x");
        unknown.StatusCode.Should().Be(HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task An_operator_drains_and_brings_back()
    {
        var service = await running.ServiceAsync(2);
        var held = await HoldAsync(service);

        (await StateAsync(service, "a", "draining")).Should().Be("draining");
        for (var i = 0; i < 5; i++)
            (await running.BackendOfAsync(service)).Should().Be("b");
        using (var renewal = await running.Registry.RegisterAsync(service, running.Backends[0]))
            renewal.StatusCode.Should().Be(HttpStatusCode.OK);
        (await running.BackendOfAsync(service)).Should().Be("b", "a registration does not end an operator's drain");

        (await StateAsync(service, "b", "draining")).Should().Be("draining");
        using (var refused = await running.Http.GetAsync($"/{service}/x"))
            refused.Headers.GetValues("Proxy-Status").Should().Equal("alicia; error=destination_unavailable");

        (await StateAsync(service, "a", "active")).Should().Be("active");
        for (var i = 0; i < 5; i++)
            (await running.BackendOfAsync(service)).Should().Be("a");
        await ReleaseAsync(held);
        (await running.Registry.InstanceAsync(service, "a")).GetProperty("total_requests").GetInt64().Should().Be(6);
    }

    [Fact]
    public async Task A_stream_that_outlasts_the_drain_timeout_arrives_whole()
    {
        const int Chunks = 40;
        var service = await running.ServiceAsync(1, new { settings = new { drain = new { timeout = 1 } } });
        using var answer = await running.Http.GetAsync($"/{service}/stream?chunks={Chunks}&ms=100&size=251", HttpCompletionOption.ResponseHeadersRead);

        using (var removal = await running.Registry.DeleteInstanceAsync(service, "a"))
            removal.StatusCode.Should().Be(HttpStatusCode.Accepted);
        await running.Registry.UntilAsync("the drain timeout takes it off the list", $"/services/{service}", document => Ids(document).Length == 0);
        (await running.Backends[0].StatsAsync()).InFlight.Should().Be(1, "the stream goes on");

        var body = await answer.Content.ReadAsByteArrayAsync();
        body.Should().Equal(Enumerable.Range(0, Chunks * 251).Select(i => (byte)(i % 251)));
        (await running.Backends[0].StatsAsync()).Aborted.Should().Be(0);
    }

    private async Task<Task<HttpResponseMessage>> HoldAsync(string service)
    {
        var held = running.Http.GetAsync($"/{service}/hold/gate");
        await running.Backends[0].UntilHeldAsync("gate", 1);
        return held;
    }

    private async Task ReleaseAsync(Task<HttpResponseMessage> held)
    {
        (await running.Backends[0].ReleaseAsync("gate")).Should().Be(1);
        using var answer = await held;
        answer.StatusCode.Should().Be(HttpStatusCode.OK);
        (await answer.Content.ReadAsStringAsync()).Should().Be("""{"name":"a","key":"gate"}""");
    }

    private async Task<string?> StateAsync(string service, string instance, string state)
    {
        using var answer = await running.Registry.PatchInstanceAsync(service, instance, new { state });
        return (await RegistryApi.DocumentOfAsync(answer)).GetProperty("state").GetString();
    }

    private static async Task<(string? State, int? InFlight)> RemovalAsync(HttpResponseMessage answer)
    {
        var document = await RegistryApi.DocumentOfAsync(answer);
        return (document.GetProperty("state").GetString(), document.TryGetProperty("in_flight", out var n) && n.ValueKind == JsonValueKind.Number ? n.GetInt32() : null);
    }

    private static string?[] Ids(JsonElement service) => [.. service.GetProperty("instances").EnumerateArray().Select(i => i.GetProperty("instance_id").GetString())];
}

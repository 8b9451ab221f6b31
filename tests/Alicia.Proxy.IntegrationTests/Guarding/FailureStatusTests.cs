using System.Net;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Guarding;

/// <summary>Answers that say failure open circuits, but one bad endpoint does not switch off a service.</summary>
[Trait("Depends", "forwarder")]
public sealed class FailureStatusTests(GuardedProxy guarded) : IClassFixture<GuardedProxy>
{
    /// <summary>Circuits that stay open while a test looks at them.</summary>
    private static readonly object _slow = new { health_check = GuardedProxy.RareProbes, circuit_breaker = new { recovery_timeout = 60 } };

    [Fact]
    public async Task Five_failures_in_a_row_open_the_circuit_of_one_of_two()
    {
        var service = await guarded.ServiceAsync(2, _slow);
        await guarded.Backends[0].ModeAsync(new BackendMode(Status: 500));

        (await guarded.SendAsync(service, 8, "echo")).Count(s => s == 500).Should().Be(4);
        (await guarded.Registry.InstanceAsync(service, "a")).Circuit().Should().Be("closed");
        (await guarded.SendAsync(service, 2, "echo")).Should().Contain(500);

        var opened = await guarded.Registry.InstanceAsync(service, "a");
        (opened.Circuit(), opened.Reason(), opened.Failures(), opened.Health()).Should().Be(("open", "failure_statuses", 5, "healthy"));
        (opened.RetryAt() - opened.OpenedAt()).Should().Be(TimeSpan.FromSeconds(60));
        (await guarded.SendAsync(service, 20, "echo")).Should().AllBeEquivalentTo(200);
        (await guarded.Backends[0].StatsAsync()).Requests.Should().Be(5);
    }

    [Fact]
    public async Task A_path_that_fails_between_others_that_do_not_opens_nothing()
    {
        var service = await guarded.ServiceAsync(2, _slow);

        for (var i = 0; i < 10; i++)
        {
            // Round robin: each instance gets four failures, then a success.
            await guarded.SendAsync(service, 8, "status/500");
            await guarded.SendAsync(service, 2, "status/204");
        }

        var document = await guarded.Registry.ServiceAsync(service);
        document.Instance("a").Circuit().Should().Be("closed");
        document.Instance("b").Circuit().Should().Be("closed");
        document.Instance("a").GetProperty("failed_requests").GetInt64().Should().Be(40);
    }

    [Fact]
    public async Task An_endpoint_that_fails_on_both_leaves_one_of_two_in()
    {
        var service = await guarded.ServiceAsync(2, _slow);

        await guarded.SendAsync(service, 40, "status/500");

        var document = await guarded.Registry.ServiceAsync(service);
        new[] { document.Instance("a").Circuit(), document.Instance("b").Circuit() }.Should().BeEquivalentTo("open", "closed");
        (await guarded.SendAsync(service, 5, "status/204")).Should().AllBeEquivalentTo(204);
    }

    [Fact]
    public async Task An_endpoint_that_fails_on_both_at_the_same_moment_leaves_one_in()
    {
        var service = await guarded.ServiceAsync(2, _slow);
        for (var round = 0; round < 15; round++)
        {
            await Load.RunAsync(guarded.Proxy.Address, clients: 32, requests: 64, _ => $"/{service}/status/500");

            var document = await guarded.Registry.ServiceAsync(service);
            new[] { document.Instance("a").Circuit(), document.Instance("b").Circuit() }.Should().Contain("closed", $"round {round}: one bad endpoint must not switch off a service");
            await guarded.Registry.CircuitAsync(service, "a", "closed");
            await guarded.Registry.CircuitAsync(service, "b", "closed");
        }
    }

    [Theory]
    [InlineData(500, "closed")]
    [InlineData(502, "open")]
    [InlineData(503, "open")]
    [InlineData(504, "open")]
    public async Task The_only_instance_is_taken_out_by_what_says_that_it_cannot_serve_and_not_by_an_error(int status, string circuit)
    {
        var service = await guarded.ServiceAsync(1, _slow);

        await guarded.SendAsync(service, 20, $"status/{status}");

        (await guarded.Registry.InstanceAsync(service, "a")).Circuit().Should().Be(circuit);
        (await guarded.SendAsync(service, 1, "status/204")).Should().Equal(circuit == "open" ? 503 : 204);
    }

    [Fact]
    public async Task With_every_circuit_open_the_answer_says_when_to_come_back_and_nothing_is_sent()
    {
        var service = await guarded.ServiceAsync(2, _slow);
        await guarded.SendAsync(service, 10, "status/503");
        var open = await guarded.Registry.ServiceAsync(service);
        open.Instance("a").Circuit().Should().Be("open");
        open.Instance("b").Circuit().Should().Be("open");

        for (var i = 0; i < 20; i++)
        {
            using var refused = await guarded.Http.GetAsync($"/{service}/status/204");
            refused.StatusCode.Should().Be(HttpStatusCode.ServiceUnavailable);
            refused.Headers.GetValues("Proxy-Status").Should().Equal("alicia; error=destination_unavailable");
            refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds.Should().BeInRange(20, 60, "the first may be tried a minute after it opened");
        }

        (await guarded.Backends[0].StatsAsync()).Requests.Should().Be(5);
        (await guarded.Backends[1].StatsAsync()).Requests.Should().Be(5);
    }

    [Fact]
    public async Task Configured_statuses_take_the_place_of_the_usual_ones()
    {
        var service = await guarded.ServiceAsync(2, new { health_check = GuardedProxy.RareProbes, circuit_breaker = new { failure_statuses = new[] { 429 }, failure_threshold = 2 } });

        await guarded.SendAsync(service, 20, "status/503");
        (await guarded.Registry.ServiceAsync(service)).Instance("a").Circuit().Should().Be("closed");
        await guarded.Backends[0].ModeAsync(new BackendMode(Status: 429));
        await guarded.SendAsync(service, 4, "echo");

        (await guarded.Registry.ServiceAsync(service)).Instance("a").Reason().Should().Be("failure_statuses");
    }

    [Fact]
    public async Task No_more_than_the_allowed_share_is_taken_out()
    {
        var service = await guarded.ServiceAsync(4, new { health_check = GuardedProxy.RareProbes, circuit_breaker = new { recovery_timeout = 60 }, max_ejection_percent = 50 });
        for (var round = 0; round < 10; round++)
        {
            await Load.RunAsync(guarded.Proxy.Address, clients: 32, requests: 128, _ => $"/{service}/status/503");

            var document = await guarded.Registry.ServiceAsync(service);
            document.Ids().Count(id => document.Instance(id).Circuit() == "open").Should().Be(2, $"round {round}");
            foreach (var id in document.Ids())
                await guarded.Registry.CircuitAsync(service, id, "closed");
        }

        (await guarded.SendAsync(service, 8, "status/204")).Should().AllBeEquivalentTo(204);
    }
}

using System.Net;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.InFlight;

/// <summary>Whatever the control plane does while requests run, none of them fails, and who is gone is gone.</summary>
[Trait("Depends", "forwarder")]
public sealed class ChurnTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    [Fact]
    public async Task A_storm_of_changes_fails_no_request()
    {
        string[] algorithms = ["least_connections", "weighted_round_robin", "random", "round_robin"];
        var service = await running.ServiceAsync(2);
        var load = Load.Start(running.Proxy.Address, clients: 32, n => $"/{service}/{(n % 5 == 0 ? "delay?ms=5" : n % 5 == 1 ? "bytes?n=5000&chunked=1" : "status/204")}");

        // Several operators at once, so that changes are taken up in batches; a and b stay.
        await Task.WhenAll(Enumerable.Range(0, 4).Select(worker => StormAsync(worker)));
        await load.MoreAsync(200);
        var report = await load.StopAsync();

        report.Failures.Should().BeEmpty();
        report.Answered.Should().Be(report.Sent);
        (await running.SeenAsync()).Should().Be(report.Sent);

        async Task StormAsync(int worker)
        {
            for (var round = 0; round < 50; round++)
            {
                var id = $"w{worker}-{round % 3}";
                var backend = running.Backends[2 + (round % 2)];
                using var registered = await running.Registry.RegisterAsync(service, backend, id, new { weight = 1 + round });
                using var patched = await running.Registry.PatchInstanceAsync(service, id, new { weight = 1000 - round, max_connections = 50 + round });
                using var settings = await running.Registry.PatchServiceAsync(service, new { algorithm = algorithms[(round + worker) % 4] });
                // The same id elsewhere: it moves under load.
                using var moved = await running.Registry.RegisterAsync(service, running.Backends[3 - (round % 2)], id);
                using var drained = await running.Registry.PatchInstanceAsync(service, id, new { state = "draining" });
                using var active = await running.Registry.PatchInstanceAsync(service, id, new { state = "active" });
                using var removed = await running.Registry.DeleteInstanceAsync(service, id);
                new[] { registered, patched, settings, moved, drained, active, removed }.Should().OnlyContain(answer => answer.IsSuccessStatusCode);
            }
        }
    }

    [Fact]
    public async Task A_single_instance_is_replaced_under_load_without_a_failed_request()
    {
        var service = await running.ServiceAsync(1);
        var load = Load.Start(running.Proxy.Address, clients: 16, _ => $"/{service}/status/204");

        for (var round = 0; round < 100; round++)
        {
            // By moving, and by registering the next before the last is removed.
            if (round % 2 == 0)
            {
                using var moved = await running.Registry.RegisterAsync(service, running.Backends[(round / 2) % 2], "a");
                moved.IsSuccessStatusCode.Should().BeTrue();
                continue;
            }
            using var next = await running.Registry.RegisterAsync(service, running.Backends[2], $"next{round}");
            using var removed = await running.Registry.DeleteInstanceAsync(service, "a");
            using var back = await running.Registry.RegisterAsync(service, running.Backends[3], "a");
            using var nextGone = await running.Registry.DeleteInstanceAsync(service, $"next{round}");
            new[] { next, removed, back, nextGone }.Should().OnlyContain(answer => answer.IsSuccessStatusCode);
        }
        await load.MoreAsync(100);
        var report = await load.StopAsync();

        report.Failures.Should().BeEmpty();
        (await running.SeenAsync()).Should().Be(report.Sent);
    }

    [Fact]
    public async Task After_the_reply_to_a_removal_nothing_new_arrives()
    {
        var service = await running.ServiceAsync(2);
        var leaving = running.Backends[1];
        var load = Load.Start(running.Proxy.Address, clients: 16, _ => $"/{service}/status/204");

        for (var round = 0; round < 60; round++)
        {
            await load.MoreAsync(20);
            using var removal = await running.Registry.DeleteInstanceAsync(service, "b", wait: round % 2 == 0 ? 20 : null);
            var left = (await RegistryApi.DocumentOfAsync(removal)).TryGetProperty("in_flight", out var n) ? n.GetInt64() : 0;
            if (round % 2 == 0)
                removal.StatusCode.Should().Be(HttpStatusCode.OK);

            var atReply = (await leaving.StatsAsync()).Requests;
            await load.MoreAsync(40);
            // What was in flight at the reply may still have been on its way there; it was not new.
            ((await leaving.StatsAsync()).Requests - atReply).Should().BeLessThanOrEqualTo(left, $"round {round}");
            using var back = await running.Registry.RegisterAsync(service, leaving);
            back.StatusCode.Should().Be(HttpStatusCode.Created);
        }
        var report = await load.StopAsync();

        report.Failures.Should().BeEmpty();
        report.ByBackend["b"].Should().BePositive();
        (await running.SeenAsync()).Should().Be(report.Sent);
    }
}

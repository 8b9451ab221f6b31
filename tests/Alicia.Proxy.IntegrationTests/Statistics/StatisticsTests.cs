using System.Net;
using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Statistics;

/// <summary>The counters are exact, and they are right as soon as the caller has its answer. Nothing here polls for a total.</summary>
public sealed class StatisticsTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    [Fact]
    public async Task Every_request_is_counted_when_its_answer_arrives()
    {
        var service = await running.ServiceAsync(2);

        for (var sent = 1; sent <= 200; sent++)
        {
            await running.BackendOfAsync(service, sent % 2 == 0 ? "status/204" : "bytes?n=1000&chunked=1");
            var stats = await StatsAsync(service);
            Counters(stats).Should().Be((sent, 0, 0, 0));
            stats.GetProperty("active_connections").GetInt64().Should().Be(0);
            Instances(stats).Select(i => i.Total).Should().Equal((sent + 1) / 2, sent / 2);
        }
    }

    [Theory]
    [InlineData("status/500", HttpStatusCode.InternalServerError, true)]
    [InlineData("status/503", HttpStatusCode.ServiceUnavailable, true)]
    [InlineData("status/404", HttpStatusCode.NotFound, false)]
    [InlineData("status/501", HttpStatusCode.NotImplemented, false)]
    [InlineData("reset", HttpStatusCode.BadGateway, true)]
    public async Task Failures_are_counted_when_their_answer_arrives(string path, HttpStatusCode status, bool failure)
    {
        var service = await running.ServiceAsync(1, new { retry = new { attempts = 0 } });

        for (var sent = 1; sent <= 50; sent++)
        {
            using var answer = await running.Http.GetAsync($"/{service}/{path}");
            answer.StatusCode.Should().Be(status);
            var stats = await StatsAsync(service);
            Counters(stats).Should().Be((sent, failure ? sent : 0, 0, 0));
            Instances(stats).Should().Equal(("a", sent, failure ? sent : 0));
        }
    }

    [Theory]
    [InlineData("cut?after=100&length=200")]
    [InlineData("cut?after=100&length=200&rst=1")]
    [InlineData("cut?after=100")]
    [InlineData("cut?after=0&length=200")]
    public async Task A_cut_answer_is_a_failure_of_the_instance_and_no_abort_of_the_caller(string path)
    {
        var service = await running.ServiceAsync(1, new { retry = new { attempts = 0 } });

        for (var sent = 1; sent <= 20; sent++)
        {
            var cut = async () => await running.Http.GetByteArrayAsync($"/{service}/{path}");
            await cut.Should().ThrowAsync<HttpRequestException>();
            var stats = await StatsAsync(service);
            Counters(stats).Should().Be((sent, sent, 0, 0));
            Instances(stats).Should().Equal(("a", sent, sent));
        }
    }

    [Fact]
    public async Task A_dead_instance_is_a_failure()
    {
        var service = await running.ServiceAsync(0);
        int port;
        await using (var gone = await Backend.StartAsync("gone"))
        {
            port = gone.Port;
            await running.Registry.RegisterActiveAsync(service, gone);
        }

        using var answer = await running.Http.GetAsync($"/{service}/x");

        answer.StatusCode.Should().Be(HttpStatusCode.BadGateway, $"nobody listens at {port}");
        answer.Headers.GetValues("Proxy-Status").Should().Equal("alicia; error=connection_refused");
        Counters(await StatsAsync(service)).Should().Be((1, 1, 0, 0));
    }

    [Fact]
    public async Task Refusals_count_for_the_service_and_for_no_instance()
    {
        var service = await running.ServiceAsync(0);
        for (var i = 0; i < 3; i++)
            (await StatusAsync(service)).Should().Be(503);
        Counters(await StatsAsync(service)).Should().Be((3, 0, 3, 0));

        await running.Registry.RegisterActiveAsync(service, running.Backends[0], extra: new { max_connections = 1 });
        var held = running.Http.GetAsync($"/{service}/hold/gate");
        await running.Backends[0].UntilHeldAsync("gate", 1);
        for (var i = 0; i < 4; i++)
            (await StatusAsync(service)).Should().Be(503);

        var stats = await StatsAsync(service);
        Counters(stats).Should().Be((8, 0, 7, 0));
        Instances(stats).Should().Equal(("a", 1, 0));
        await running.Backends[0].ReleaseAsync("gate");
        (await held).Dispose();
    }

    [Theory]
    [InlineData("hold/gate")]
    [InlineData("hold/gate?head=1")]
    public async Task A_client_that_goes_away_is_aborted_and_no_failure(string path)
    {
        var service = await running.ServiceAsync(1);

        for (var round = 1; round <= 5; round++)
        {
            using (var connection = await RawConnection.ConnectAsync(running.Proxy.Address))
            {
                await connection.SendAsync($"GET /{service}/{path} HTTP/1.1\r\nHost: x\r\n\r\n");
                await running.Backends[0].UntilHeldAsync("gate", 1);
                (await StatsAsync(service)).GetProperty("active_connections").GetInt64().Should().Be(1);
                connection.Reset();
            }
            // The one thing that nobody tells the client.
            var stats = await running.Registry.UntilAsync("the abort is counted", $"/stats/{service}",
                document => document.GetProperty("aborted_requests").GetInt64() == round && document.GetProperty("active_connections").GetInt64() == 0);
            Counters(stats).Should().Be((round, 0, 0, round));
            Instances(stats).Should().Equal(("a", round, 0));
            await running.Backends[0].UntilHeldAsync("gate", 0);
        }
    }

    [Fact]
    public async Task Held_requests_are_active_and_then_not()
    {
        var service = await running.ServiceAsync(2);
        var held = new List<Task<HttpResponseMessage>>();
        for (var i = 1; i <= 4; i++)
        {
            held.Add(running.Http.GetAsync($"/{service}/hold/gate"));
            await running.Backends[(i - 1) % 2].UntilHeldAsync("gate", (i + 1) / 2);
        }

        (await StatsAsync(service)).GetProperty("active_connections").GetInt64().Should().Be(4);
        foreach (var id in new[] { "a", "b" })
            (await running.Registry.InstanceAsync(service, id)).GetProperty("active_connections").GetInt32().Should().Be(2);

        await running.Backends[0].ReleaseAsync("gate");
        await running.Backends[1].ReleaseAsync("gate");
        foreach (var answer in await Task.WhenAll(held))
            answer.Dispose();
        var after = await StatsAsync(service);
        after.GetProperty("active_connections").GetInt64().Should().Be(0);
        after.GetProperty("instances").EnumerateArray().Should().OnlyContain(row => row.GetProperty("active_connections").GetInt32() == 0);
    }

    [Fact]
    public async Task Totals_keep_what_removed_instances_did_and_a_new_instance_starts_at_zero()
    {
        var service = await running.ServiceAsync(2);
        for (var i = 0; i < 10; i++)
            await running.BackendOfAsync(service);

        using (await running.Registry.DeleteInstanceAsync(service, "a")) { }
        Counters(await StatsAsync(service)).Should().Be((10, 0, 0, 0));
        await running.Registry.RegisterActiveAsync(service, running.Backends[0]);
        await running.Registry.RegisterActiveAsync(service, running.Backends[2]);
        for (var i = 0; i < 6; i++)
            await running.BackendOfAsync(service);

        var stats = await StatsAsync(service);
        Counters(stats).Should().Be((16, 0, 0, 0));
        Instances(stats).OrderBy(i => i.Id).Should().Equal(("a", 2, 0), ("b", 7, 0), ("c", 2, 0));
    }

    [Fact]
    public async Task Shares_expected_and_received_add_up()
    {
        var service = await running.ServiceAsync(3, new { algorithm = "weighted_round_robin" }, i => new { weight = i + 1 });
        for (var i = 0; i < 60; i++)
            await running.BackendOfAsync(service);

        Shares(await StatsAsync(service)).Should().Equal((1 / 6d, 1 / 6d), (2 / 6d, 2 / 6d), (3 / 6d, 3 / 6d));

        using (var drained = await running.Registry.PatchInstanceAsync(service, "c", new { state = "draining" }))
            await RegistryApi.DocumentOfAsync(drained);
        Shares(await StatsAsync(service)).Should().Equal((1 / 3d, 1 / 6d), (2 / 3d, 2 / 6d), (0, 3 / 6d));
    }

    /// <summary>R = 1,200 requests one after the other; three standard deviations of chance are 0.04.</summary>
    [Theory]
    [InlineData("round_robin", true, 0.001)]
    [InlineData("weighted_round_robin", true, 0.001)]
    [InlineData("random", true, 0.06)]
    [InlineData("least_connections", false, 0.001)]
    public async Task The_share_received_is_the_share_expected(string algorithm, bool weighted, double tolerance)
    {
        var service = await running.ServiceAsync(3, new { algorithm }, i => new { weight = weighted ? i + 1 : 2 });

        await Load.RunAsync(running.Proxy.Address, clients: 1, requests: 1200, _ => $"/{service}/status/204");

        var shares = Shares(await StatsAsync(service)).ToArray();
        shares.Sum(s => s.Expected).Should().BeApproximately(1, 1e-9);
        shares[0].Expected.Should().BeApproximately(weighted && algorithm != "round_robin" ? 1 / 6d : 1 / 3d, 1e-9);
        shares.Should().OnlyContain(s => Math.Abs(s.Expected - s.Received) <= tolerance);
    }

    [Fact]
    public async Task Instances_that_get_nothing_now_are_expected_to_get_nothing()
    {
        var service = await running.ServiceAsync(3, extra: i => new { priority = i == 2 ? 1 : 0 });
        async Task<IEnumerable<double>> ExpectedAsync() => Shares(await StatsAsync(service)).Select(s => s.Expected);

        (await ExpectedAsync()).Should().Equal(0.5, 0.5, 0);
        using (await running.Registry.SetCircuitAsync(service, "a", "open")) { }
        (await ExpectedAsync()).Should().Equal(0, 1, 0);
        using (await running.Registry.PatchInstanceAsync(service, "b", new { state = "draining" })) { }
        (await ExpectedAsync()).Should().Equal([0, 0, 1], "the backup has it all");
        using (await running.Registry.SetCircuitAsync(service, "c", "open")) { }
        (await ExpectedAsync()).Should().Equal(0, 0, 0);
        using (await running.Registry.SetCircuitAsync(service, "a", "closed")) { }
        (await ExpectedAsync()).Should().Equal(1, 0, 0);
    }

    [Fact]
    public async Task Many_clients_are_counted_exactly_once_each()
    {
        const int Requests = 4000;
        var service = await running.ServiceAsync(3);
        var before = await running.Registry.GetJsonAsync("/stats");

        var report = await Load.RunAsync(running.Proxy.Address, clients: 32, Requests, n => $"/{service}/status/{(n % 4 == 0 ? 500 : 204)}");

        var stats = await StatsAsync(service);
        Counters(stats).Should().Be((Requests, Requests / 4, 0, 0));
        report.ByStatus.Should().Equal(new Dictionary<int, int> { [204] = Requests * 3 / 4, [500] = Requests / 4 });
        Instances(stats).Sum(i => i.Total).Should().Be(Requests);
        Instances(stats).Sum(i => i.Failed).Should().Be(Requests / 4);
        stats.GetProperty("active_connections").GetInt64().Should().Be(0);
        (await running.SeenAsync()).Should().Be(Requests);
        var all = await running.Registry.GetJsonAsync("/stats");
        (all.GetProperty("total_requests").GetInt64() - before.GetProperty("total_requests").GetInt64()).Should().Be(Requests);
        (all.GetProperty("failed_requests").GetInt64() - before.GetProperty("failed_requests").GetInt64()).Should().Be(Requests / 4);
        all.GetProperty("services").GetProperty(service).GetProperty("total_requests").GetInt64().Should().Be(Requests);
        stats.GetProperty("p50").GetDouble().Should().BePositive().And.BeLessThanOrEqualTo(stats.GetProperty("p99").GetDouble());
    }

    private Task<JsonElement> StatsAsync(string service) => running.Registry.GetJsonAsync($"/stats/{service}");

    private static (long Total, long Failed, long Rejected, long Aborted) Counters(JsonElement stats) => (
        stats.GetProperty("total_requests").GetInt64(), stats.GetProperty("failed_requests").GetInt64(),
        stats.GetProperty("rejected_requests").GetInt64(), stats.GetProperty("aborted_requests").GetInt64());

    private static IEnumerable<(string Id, long Total, long Failed)> Instances(JsonElement stats) =>
        stats.GetProperty("instances").EnumerateArray().Select(row => (
            row.GetProperty("instance_id").GetString()!, row.GetProperty("total_requests").GetInt64(), row.GetProperty("failed_requests").GetInt64()));

    private static IEnumerable<(double Expected, double Received)> Shares(JsonElement stats) =>
        stats.GetProperty("instances").EnumerateArray().Select(row => (
            row.GetProperty("expected_share").GetDouble(), row.GetProperty("received_share").GetDouble()));

    private async Task<int> StatusAsync(string service)
    {
        using var answer = await running.Http.GetAsync($"/{service}/status/204");
        return (int)answer.StatusCode;
    }
}

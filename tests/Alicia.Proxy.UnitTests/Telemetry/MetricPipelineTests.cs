using System.Text;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Configuration;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Telemetry;
using Alicia.Proxy.UnitTests.Configuration;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace Alicia.Proxy.UnitTests.Telemetry;

/// <summary>The page over a house whose instances come and go: it lists exactly who is there, however many have been there before.</summary>
public sealed class MetricPipelineTests : IDisposable
{
    private const int Limit = SeriesRoom.LeastInstances;

    private readonly LiveTable _lives = new();
    private readonly GateTable _gates = new();
    private readonly ProxyMeter _meter = new();
    private readonly CurrentConfiguration _configuration = new(ReaderSteps.Valid());
    private readonly ServiceProvider _services = new ServiceCollection().AddLogging().BuildServiceProvider();
    private readonly MetricPipeline _pipeline;
    private RegistrySnapshot _snapshot = RegistrySnapshot.Empty;
    private long _epoch;

    public MetricPipelineTests()
    {
        var census = new CensusTaker(() => _snapshot, _lives, _gates);
        _lives.Durations = _meter.Durations("alicia_request_duration", "Lengths.");
        _ = new InstanceMetrics(_meter, census, _lives, () => _configuration.Value.Metrics.PerInstance);
        _pipeline = new MetricPipeline(_meter, census, _configuration, _services, TimeProvider.System, "1.2.3", NullLogger<MetricPipeline>.Instance);
        _pipeline.Open();
    }

    public void Dispose()
    {
        _pipeline.Dispose();
        _services.Dispose();
        _meter.Dispose();
    }

    [Fact]
    public async Task The_page_lists_exactly_the_living_after_churn_of_more_than_three_times_the_limit()
    {
        const int AtOnce = 700;
        var rounds = (3 * Limit / AtOnce) + 2;
        for (var round = 0; round < rounds; round++)
        {
            Register(("tts", AtOnce));
            foreach (var instance in _snapshot.Services["tts"].Instances)
                _lives.GetOrAdd(instance.Epoch).Ended.Count(CodeClass.ServerError, RequestOutcome.Failure);

            var page = await ScrapeAsync();

            var there = _snapshot.Services["tts"].Instances.Select(i => i.InstanceId).ToArray();
            page.Should().NotContain("overflow");
            foreach (var metric in new[] { "alicia_instance_up", "alicia_instance_active_requests", "alicia_instance_response_seconds_total" })
                Ids(page, metric).Should().Equal(there, "{0}, round {1}", metric, round);
            Ids(page, "alicia_circuit_state").Should().Equal(there.SelectMany(id => new[] { id, id, id }), "round {0}", round);
            Ids(page, "alicia_requests_total").Should().Equal(there.SelectMany(id => new[] { id, id }), "round {0}", round);
        }

        _pipeline.Generations.Should().BeInRange(3, rounds - 1, "it is needed now and then, and costs the histogram its past");
    }

    [Fact]
    public async Task Status_classes_and_outcomes_find_room_however_many_an_instance_has()
    {
        Register(("tts", Limit));
        (await ScrapeAsync()).Should().NotContain("overflow");
        foreach (var instance in _snapshot.Services["tts"].Instances)
        {
            foreach (var code in Enum.GetValues<CodeClass>())
            {
                foreach (var outcome in Enum.GetValues<RequestOutcome>())
                    _lives.GetOrAdd(instance.Epoch).Ended.Count(code, outcome);
            }
        }

        var page = await ScrapeAsync();

        page.Should().NotContain("overflow");
        Lines(page, "alicia_requests_total").Should().HaveCount(Limit * RequestCounts.Cells);
    }

    [Fact]
    public async Task Services_that_are_gone_leave_the_histogram_and_those_that_come_find_room()
    {
        for (var round = 0; round < 40; round++)
        {
            var names = Enumerable.Range(0, 40).Select(i => $"s-{round}-{i}").ToArray();
            foreach (var gone in _snapshot.Services.Keys)
                _lives.Retire(gone);
            Register([.. names.Select(n => (n, 1))]);
            foreach (var name in names)
                _lives.GetOrAdd(name).RecordDuration(0.3);

            var page = await ScrapeAsync();

            page.Should().NotContain("overflow");
            // A provider that is new with this very scrape has no past.
            var counts = Lines(page, "alicia_request_duration_seconds_count");
            counts.Where(l => l.Contains($"\"s-{round}-", StringComparison.Ordinal)).Should().HaveCountLessThanOrEqualTo(40);
            counts.Should().HaveCountLessThanOrEqualTo(200, "what gone services leave behind is bounded");
        }

        _pipeline.Generations.Should().BeGreaterThan(5);
    }

    [Fact]
    public async Task The_histogram_holds_what_was_measured()
    {
        Register(("tts", 1));
        foreach (var seconds in new[] { 0.0007, 0.03, 0.3, 300 })
            _lives.GetOrAdd("tts").RecordDuration(seconds);

        var page = await ScrapeAsync();

        Lines(page, "alicia_request_duration_seconds_count").Should().Equal("alicia_request_duration_seconds_count{service=\"tts\"} 4");
        page.Should().Contain("alicia_request_duration_seconds_bucket{service=\"tts\",le=\"0.05\"} 2\n").And.Contain("alicia_request_duration_seconds_bucket{service=\"tts\",le=\"60\"} 3\n");
    }

    [Fact]
    public async Task Without_the_instance_the_same_metrics_are_sums_that_do_not_fall_when_one_leaves()
    {
        Register(("tts", 3));
        var service = _lives.GetOrAdd("tts");
        foreach (var instance in _snapshot.Services["tts"].Instances)
        {
            var live = _lives.GetOrAdd(instance.Epoch);
            live.Ended.Count(CodeClass.Successful, RequestOutcome.Success);
            service.Ended.Count(CodeClass.Successful, RequestOutcome.Success);
            live.RecordResponseTime(0.5);
            service.RecordResponseTime(0.5);
            live.TryReserve();
        }

        service.CountRejection(RejectReason.AllFull, 503);
        var before = await ScrapeAsync();
        before.Should().Contain("instance_id=").And.Contain("alicia_requests_total{code=\"5xx\",outcome=\"rejected\",service=\"tts\"} 1\n");

        _configuration.Value = _configuration.Value with { Metrics = new MetricsConfiguration(PerInstance: false, Public: null) };
        _snapshot = RegistrySnapshot.Of(9, RegistryRules.Default, [_snapshot.Services["tts"] with { Instances = [.. _snapshot.Services["tts"].Instances.Take(2)] }]);
        var page = await ScrapeAsync();

        page.Should().NotContain("instance_id");
        page.Should().Contain("alicia_requests_total{code=\"2xx\",outcome=\"success\",service=\"tts\"} 3\n")
            .And.Contain("alicia_requests_total{code=\"5xx\",outcome=\"rejected\",service=\"tts\"} 1\n")
            .And.Contain("alicia_instance_response_seconds_total{service=\"tts\"} 1.5\n")
            .And.Contain("alicia_instance_active_requests{service=\"tts\"} 2\n")
            .And.Contain("alicia_instance_up{service=\"tts\"} 2\n")
            .And.Contain("alicia_circuit_state{service=\"tts\",state=\"closed\"} 2\n");
    }

    [Fact]
    public async Task A_service_that_is_called_unknown_shares_the_series_of_those_that_are()
    {
        _lives.Unknown.CountRejection(RejectReason.UnknownService, 404);
        Lines(await ScrapeAsync(), "alicia_requests_total").Should().Equal("alicia_requests_total{code=\"4xx\",outcome=\"rejected\",service=\"unknown\"} 1");

        Register(("unknown", 0));
        _lives.GetOrAdd("unknown").CountRejection(RejectReason.NoInstance, 404);
        Lines(await ScrapeAsync(), "alicia_requests_total").Should().Equal("alicia_requests_total{code=\"4xx\",outcome=\"rejected\",service=\"unknown\"} 2");
    }

    [Fact]
    public async Task The_circuit_is_one_hot_and_up_says_whether_requests_go_there()
    {
        Register(("tts", 1));
        _gates.TryGet(_epoch, out var gate);
        gate!.OpenByHand();

        var page = await ScrapeAsync();

        Lines(page, "alicia_circuit_state").Select(l => l[^1]).Should().Equal('0', '1', '0');
        Lines(page, "alicia_circuit_state")[1].Should().Contain("state=\"open\"");
        Lines(page, "alicia_instance_up").Should().ContainSingle().Which.Should().EndWith(" 0");
    }

    [Fact]
    public async Task Ten_thousand_instances_are_all_on_the_page()
    {
        Register([.. Enumerable.Range(0, 100).Select(i => ($"s{i}", 100))]);

        var page = await ScrapeAsync();

        page.Should().NotContain("overflow");
        Lines(page, "alicia_instance_up").Should().HaveCount(10_000);
        Lines(page, "alicia_circuit_state").Should().HaveCount(30_000);
    }

    /// <summary>Fresh instances of these services, and nobody else.</summary>
    private void Register(params (string Service, int Instances)[] services)
    {
        foreach (var instance in _snapshot.Services.Values.SelectMany(s => s.Instances))
        {
            _lives.Forget(instance.Epoch);
            _gates.Retire(instance.Epoch);
        }

        _snapshot = RegistrySnapshot.Of(_snapshot.Revision + 1, RegistryRules.Default,
            services.Select(s => new Service { Name = s.Service, Instances = [.. Enumerable.Range(0, s.Instances).Select(_ => NewInstance(s.Service))] }));
        foreach (var (service, _) in services)
            _lives.GetOrAdd(service);
    }

    private Instance NewInstance(string service)
    {
        var epoch = ++_epoch;
        var live = _lives.GetOrAdd(epoch);
        live.MaxConnections = 10;
        _gates.GetOrAdd(epoch, () => new InstanceGate(service, $"i-{epoch}", live, new CircuitSettings(5, TimeSpan.FromMinutes(1), 3), GateSurroundings.None, TimeProvider.System));
        return new Instance
        {
            Epoch = epoch,
            ServiceName = service,
            InstanceId = $"i-{epoch}",
            Host = "10.0.0.5",
            Port = 80,
            Scheme = "http",
            RegisteredAt = DateTimeOffset.UnixEpoch,
            Source = RegistrationSource.Api,
            Admitted = true,
        };
    }

    private async Task<string> ScrapeAsync()
    {
        var context = new DefaultHttpContext { RequestServices = _services };
        context.Request.Method = "GET";
        context.Request.Path = "/metrics";
        using var body = new MemoryStream();
        context.Response.Body = body;
        await _pipeline.ServeAsync(context);
        context.Response.StatusCode.Should().Be(200);
        return Encoding.UTF8.GetString(body.ToArray());
    }

    private static string[] Lines(string page, string metric) => [.. page.Split('\n').Where(l => l.StartsWith(metric + "{", StringComparison.Ordinal))];

    private static IEnumerable<string> Ids(string page, string metric) => Lines(page, metric).Select(l => l.Split("instance_id=\"")[1].Split('"')[0]);
}

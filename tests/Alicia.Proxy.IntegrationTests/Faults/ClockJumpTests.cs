using Alicia.Proxy.IntegrationTests.Api;
using Alicia.Proxy.IntegrationTests.Guarding;
using Alicia.Proxy.IntegrationTests.Harness;
using Xunit.Abstractions;

namespace Alicia.Proxy.IntegrationTests.Faults;

/// <summary>
/// The machine's clock is set, by hand or by the network, hours to and fro, under load: no request fails, no lease ends, no circuit stays open for it, and the statistics stay numbers.
/// </summary>
public sealed class ClockJumpTests(ITestOutputHelper output)
{
    public const string Package = "faketime";

    [NeedsPackageFact(Package)]
    public async Task A_clock_that_jumps_ends_no_lease_opens_no_circuit_and_fails_no_request()
    {
        using var clock = new SetClock();
        using var journal = new Journal();
        await using var a = await Backend.StartAsync("a", journal: journal);
        await using var b = await Backend.StartAsync("b", journal: journal);
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Guards = true, Arguments = GuardedProxy.Quick, Environment = clock.Environment });
        await proxy.Registry.RegisterActiveAsync("s", a, extra: new { ttl_seconds = 60 });
        await proxy.Registry.RegisterActiveAsync("s", b, extra: new { ttl_seconds = 60 });
        var load = LedgerLoad.Start(proxy.Address, Caller.OfEachKind(1), "/s/delay?ms=5");

        foreach (var offset in new[] { TimeSpan.FromHours(3), TimeSpan.FromHours(-3), TimeSpan.FromDays(400), TimeSpan.Zero })
        {
            clock.Set(offset);
            await proxy.Registry.UntilAsync($"the proxy's clock is {offset} off", "/health", health => IsOff(health.GetProperty("timestamp").GetDateTimeOffset(), offset));
            var probes = (await a.StatsAsync()).HealthProbes;
            await load.MoreAsync(100);
            await a.UntilStatsAsync("probes go on", s => s.HealthProbes > probes);
            var service = await proxy.Registry.ServiceAsync("s");
            foreach (var id in new[] { "a", "b" })
                (service.Instance(id).Health(), service.Instance(id).Circuit(), service.Instance(id).State()).Should().Be(("healthy", "closed", "active"), "the clock is {0} off", offset);
            (await proxy.Registry.HeartbeatAsync("s", "a").StatusAsync()).Should().Be(204);
            var stats = await proxy.Registry.GetJsonAsync("/stats/s");
            stats.GetProperty("requests_per_second").GetDouble().Should().BeInRange(0.1, 10_000);
            stats.GetProperty("average_response_time").GetDouble().Should().BeInRange(0.001, 5);
        }

        var ledger = await load.StopAsync(journal);
        output.WriteLine($"{ledger}");
        ledger.Some(f => f.Failed).Should().BeEmpty();
        ledger.ShouldBalance(tries: 1);
    }

    /// <summary>A circuit that is to be tried again in a second is tried again in about that, whatever the clock says in between.</summary>
    [NeedsPackageFact(Package)]
    public async Task An_open_circuit_is_tried_again_after_its_time_though_the_clock_is_set_back()
    {
        using var clock = new SetClock();
        await using var a = await Backend.StartAsync("a");
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Guards = true, Arguments = [.. GuardedProxy.Quick, "--Defaults:Retry:Attempts=0"], Environment = clock.Environment });
        await proxy.Registry.RegisterActiveAsync("s", a);
        for (var i = 0; i < 5; i++)
            (await proxy.Http.GetAsync("/s/status/503").StatusAsync()).Should().Be(503);
        (await proxy.Registry.InstanceAsync("s", "a")).Circuit().Should().Be("open");

        clock.Set(TimeSpan.FromHours(-5));

        await proxy.Registry.UntilInstanceAsync("s", "a", "tried again", i => i.Circuit() == "half_open", TimeSpan.FromSeconds(10));
        for (var i = 0; i < 3; i++)
            (await proxy.Http.GetAsync("/s/status/204").StatusAsync()).Should().Be(204);
        (await proxy.Registry.InstanceAsync("s", "a")).Circuit().Should().Be("closed");
    }

    private static bool IsOff(DateTimeOffset shown, TimeSpan offset) => (shown - DateTimeOffset.UtcNow - offset).Duration() < TimeSpan.FromMinutes(5);

    /// <summary>A wall clock for one process, which the test sets as it goes; the monotonic clock is left alone, as it is when a machine's clock is set.</summary>
    private sealed class SetClock : IDisposable
    {
        private const string Library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

        private readonly string _directory = Directory.CreateTempSubdirectory("alicia-clock-").FullName;

        public SetClock() => Set(TimeSpan.Zero);

        public IReadOnlyDictionary<string, string?> Environment => new Dictionary<string, string?>
        {
            ["LD_PRELOAD"] = Library,
            ["FAKETIME_TIMESTAMP_FILE"] = File,
            ["FAKETIME_CACHE_DURATION"] = "1",
            ["FAKETIME_DONT_FAKE_MONOTONIC"] = "1",
        };

        private string File => Path.Combine(_directory, "offset");

        /// <param name="offset">How far it is off.</param>
        public void Set(TimeSpan offset)
        {
            // Replaced as a whole: the process reads it again after a second at most.
            System.IO.File.WriteAllText(File + ".new", string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{(offset < TimeSpan.Zero ? "-" : "+")}{offset.Duration().TotalSeconds:0}\n"));
            System.IO.File.Move(File + ".new", File, overwrite: true);
        }

        public void Dispose() => Directory.Delete(_directory, recursive: true);
    }
}

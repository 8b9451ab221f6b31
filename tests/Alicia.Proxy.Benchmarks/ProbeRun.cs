using System.Globalization;
using System.Net;
using Alicia.Proxy.Benchmarks.Processes;
using Alicia.Proxy.Benchmarks.Reporting;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Health;
using Alicia.Proxy.Hosting;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Settings;
using Alicia.Proxy.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace Alicia.Proxy.Benchmarks;

/// <summary>
/// <c>probe</c>: what health checks cost the proxy's process: its own prober, schedule and verdicts over loopback to a backend that is a process of its own. First as fast as
/// they go, then at the pace of the aim, where each probe meets a processor that has slept.
/// </summary>
internal sealed class ProbeRun
{
    private const double AimPercent = 5;
    private const int AimInstances = 5000;
    private const double AimInterval = 30;

    private readonly int _instances;
    private readonly int _rounds;
    private readonly int _seconds;
    private readonly Prober _prober;
    private readonly ProbeSettings _settings = ProbeSettings.Resolve(ServiceSettings.BuiltIn, SettingOverrides.Empty);
    private readonly CancellationToken _interrupted;
    private int _passed;
    private int _failed;

    private ProbeRun(VerbOptions options, ServiceRegistry registry, CancellationToken interrupted)
    {
        _interrupted = interrupted;
        _instances = options.Number("instances", 1000, 1, 10_000);
        _rounds = options.Number("rounds", 7, 1, 1000);
        _seconds = options.Number("seconds", 30, 0, 3600);
        _prober = new Prober(
            new UpstreamConnector(new EndpointTable(), registry, TimeProvider.System),
            new NameResolver(registry, TimeProvider.System, NullLogger<NameResolver>.Instance),
            TimeProvider.System);
    }

    public static async Task<int> RunAsync(string[] args, CancellationToken interrupted)
    {
        var options = new VerbOptions("probe", args, "instances", "rounds", "seconds");
        // As the proxy does, before the first socket.
        RuntimeDefaults.Apply();
        var report = new MarkdownReport("Health checks", options.CommandLine, Machine.Here());
        await using var registry = new ServiceRegistry(new MemoryRegistryStore(), TimeProvider.System, NullLogger<ServiceRegistry>.Instance);
        await registry.LoadAsync(interrupted);
        var (backend, port) = await Programs.StartBackendAsync(bytes: 128);
        await using var backendEnds = backend;
        await new ProbeRun(options, registry, interrupted).MeasureAsync(report, port);
        await report.FinishAsync(options.Report);
        return 0;
    }

    private async Task MeasureAsync(MarkdownReport report, int port)
    {
        var endpoints = Enumerable.Range(1, _instances).Select(e => new UpstreamEndpoint(e, $"i{e}", "http", IPAddress.Loopback.ToString(), port)).ToArray();
        await Say("warming up");
        for (var round = 0; round < 5; round++)
            await RoundAsync(endpoints);

        report.Section("As fast as they go");
        report.Line("");
        report.Line($"{_rounds} rounds of {_instances} HTTP probes, {ProbeSchedule.DefaultConcurrency} at once; medians with their range. The CPU time is the kernel's count for this process.");
        var (cpu, bytes) = (new List<double>(), new List<double>());
        for (var round = 0; round < _rounds; round++)
        {
            await Say($"round {round + 1} of {_rounds}");
            var before = (Cpu: Environment.CpuUsage.TotalTime, Bytes: GC.GetTotalAllocatedBytes(precise: true));
            await RoundAsync(endpoints);
            cpu.Add((Environment.CpuUsage.TotalTime - before.Cpu).TotalMicroseconds / _instances);
            bytes.Add((GC.GetTotalAllocatedBytes(precise: true) - before.Bytes) / (double)_instances);
        }

        var fast = new Samples(cpu);
        report.Table(["", "µs of CPU a probe", "bytes a probe", "5,000 every 30 s, of one core"],
            [["HTTP", fast.Spread("0"), new Samples(bytes).Spread("0"), Percent(PercentOfCore(fast.Median))]]);

        var judged = _seconds > 0 ? await PacedAsync(report, endpoints) : PercentOfCore(fast.Median);
        if (_failed > 0)
            throw new InvalidOperationException($"{_failed} probes of {_passed + _failed} failed");
        report.Section("Aims");
        report.Table(["aim", "measured", "met"], [["probing 5,000 instances every 30 s < 5 % of one core", Percent(judged), judged < AimPercent ? "yes" : "no"]]);
    }

    /// <summary>On the real schedule, with an interval that makes as many probes a second as the aim has.</summary>
    /// <returns>Percent of one core at the aim's pace.</returns>
    private async Task<double> PacedAsync(MarkdownReport report, UpstreamEndpoint[] endpoints)
    {
        var interval = TimeSpan.FromSeconds(AimInterval * _instances / AimInstances);
        var settings = _settings with { Interval = interval };
        await using var schedule = new ProbeSchedule(TimeProvider.System, new Random(1), NullLogger<ProbeSchedule>.Instance);
        foreach (var endpoint in endpoints)
        {
            var verdict = new RiseFall();
            schedule.Add(endpoint.Epoch, settings, async cancellation =>
            {
                verdict.Observe(Count(await _prober.ProbeAsync(endpoint, settings, cancellation)), settings.Rise, settings.Fall);
                return verdict.BetweenStates ? settings.Fast : settings.Interval;
            });
        }

        await Say($"{_seconds} s at the aim's pace");
        // The first round comes at once, and within the first interval the instances go their own ways.
        await Task.Delay(interval, _interrupted);
        var before = (Cpu: Environment.CpuUsage.TotalTime, Probes: Volatile.Read(ref _passed), At: TimeProvider.System.GetTimestamp());
        await Task.Delay(TimeSpan.FromSeconds(_seconds), _interrupted);
        var probes = Volatile.Read(ref _passed) - before.Probes;
        var elapsed = TimeProvider.System.GetElapsedTime(before.At);
        var spent = Environment.CpuUsage.TotalTime - before.Cpu;

        var each = spent.TotalMicroseconds / probes;
        report.Section("At the aim's pace");
        report.Line("");
        report.Line(string.Create(CultureInfo.InvariantCulture, $"{_instances} instances every {interval.TotalSeconds:0.#} s by the proxy's own schedule, for {elapsed.TotalSeconds:0} s: {probes} probes, {probes / elapsed.TotalSeconds:0.0} a second. The CPU time is all that the process used, its idle threads too."));
        report.Table(["", "µs of CPU a probe", "of one core", "5,000 every 30 s, of one core"],
            [["HTTP", Samples.Text(each, "0"), Percent(100 * spent / elapsed), Percent(PercentOfCore(each))]]);
        return PercentOfCore(each);
    }

    private Task RoundAsync(UpstreamEndpoint[] endpoints) => Parallel.ForEachAsync(
        endpoints,
        new ParallelOptions { MaxDegreeOfParallelism = ProbeSchedule.DefaultConcurrency, CancellationToken = _interrupted },
        async (endpoint, cancellation) => Count(await _prober.ProbeAsync(endpoint, _settings, cancellation)));

    private bool Count(ProbeResult result)
    {
        Interlocked.Increment(ref result.Passed ? ref _passed : ref _failed);
        return result.Passed;
    }

    private static double PercentOfCore(double micros) => 100 * micros / 1e6 * AimInstances / AimInterval;

    private static string Percent(double value) => Samples.Text(value, "0.00") + " %";

    private static Task Say(string what) => Console.Out.WriteLineAsync($"… {what}");
}

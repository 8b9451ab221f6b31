using System.Diagnostics;
using System.Globalization;
using Alicia.Proxy.Benchmarks.Peers;
using Alicia.Proxy.Benchmarks.Processes;
using Alicia.Proxy.Benchmarks.Reporting;
using Alicia.Proxy.Benchmarks.Soak;

namespace Alicia.Proxy.Benchmarks.Scale;

/// <summary>
/// <c>scale</c>: what a request costs with more instances and with more services, and what an idle connection of a caller keeps in memory. HAProxy beside it says what the machine makes of so many
/// connections and addresses. All proxies are up at once and measured in turn.
/// </summary>
internal sealed class ScaleRun : IAsyncDisposable
{
    private const int MostInstances = 1000;

    private static readonly ScaleLane _base = new(Peer.Own, 1, 2);

    private static readonly ScaleLane[] _lanes =
    [
        _base, new(Peer.Own, 1, 10), new(Peer.Own, 1, 100), new(Peer.Own, 1, MostInstances),
        new(Peer.Own, 10, MostInstances), new(Peer.Own, 100, MostInstances), new(Peer.Own, MostInstances, MostInstances),
        new(ScaleLane.Haproxy, 1, 2), new(ScaleLane.Haproxy, 1, MostInstances), new(ScaleLane.Haproxy, MostInstances, MostInstances),
    ];

    private readonly CancellationToken _interrupted;
    private readonly int _rounds;
    private readonly double _seconds;
    private readonly double _warmUp;
    private readonly int _idle;
    private readonly string _program;
    private readonly IReadOnlyList<KeyValuePair<string, string?>> _environment;
    private readonly LoadSource _load;
    private readonly MarkdownReport _report;
    private readonly string _directory;

    private ScaleRun(VerbOptions options, string directory, CancellationToken interrupted)
    {
        (_directory, _interrupted) = (directory, interrupted);
        _rounds = options.Number("rounds", 7, 0, 100);
        _seconds = options.Number("seconds", 2, 1, 600);
        _warmUp = options.Number("warm-up", 8, 1, 600);
        _idle = options.Number("idle", 10_000, 0, 100_000);
        _program = options.Text("proxy") ?? Programs.Proxy;
        _environment = options.Text("environment") is { } file ? Programs.EnvironmentOf(file) : [];
        _load = new LoadSource(PeersRun.LoadCore, interrupted);
        _report = new MarkdownReport("Scale", options.CommandLine, Machine.Here());
    }

    public static async Task<int> RunAsync(string[] args, CancellationToken interrupted)
    {
        var options = new VerbOptions("scale", args, "rounds", "seconds", "warm-up", "idle", "proxy", "environment");
        var directory = Directory.CreateTempSubdirectory("alicia-bench-");
        try
        {
            await using var run = new ScaleRun(options, directory.FullName, interrupted);
            await run.MeasureAsync(options.Report);
            return 0;
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    public ValueTask DisposeAsync() => _load.DisposeAsync();

    private async Task MeasureAsync(string? report)
    {
        await using var upstream = await Upstream.StartAsync(Directory.CreateDirectory(Path.Combine(_directory, "upstream")).FullName, PeersRun.LoadCore);
        if (_rounds > 0)
            await TellCostsAsync(upstream);
        if (_idle > 0)
            await TellIdleAsync(upstream);
        await _report.FinishAsync(report);
    }

    private async Task TellCostsAsync(Upstream upstream)
    {
        var running = new List<(ScaleLane Lane, Setup Setup, ChildProcess Process)>();
        try
        {
            foreach (var lane in _lanes)
            {
                if (await StartAsync(lane, upstream) is { } started)
                    running.Add((lane, started.Setup, started.Process));
            }

            var @case = LoadCase.All.Single(c => c.Name == "get-64");
            foreach (var (lane, setup, _) in running)
                await RunAsync(@case, lane, setup, lane.IsManaged ? _warmUp : 1);
            var measured = new List<(ScaleLane Lane, int Round, double Cpu, double PerSecond)>();
            for (var round = 0; round < _rounds; round++)
            {
                await Console.Out.WriteLineAsync($"… round {round + 1} of {_rounds}");
                for (var i = 0; i < running.Count; i++)
                {
                    _interrupted.ThrowIfCancellationRequested();
                    var (lane, setup, process) = running[(i + round) % running.Count];
                    // Connections to instances that nobody used while others had their turn are closed by then.
                    await RunAsync(@case, lane, setup, PeersRun.Again);
                    var cpu = -ProcessFigures.CpuSeconds(process.Id);
                    var figures = await RunAsync(@case, lane, setup, _seconds);
                    cpu += ProcessFigures.CpuSeconds(process.Id);
                    measured.Add((lane, round, cpu * 1e6 / figures.Requests, figures.PerSecond));
                }
            }

            _report.Line("");
            _report.Line(string.Create(CultureInfo.InvariantCulture, $"The proxy under test on core {PeersRun.ProxyCore}, wrk (64 connections, GET of 100 bytes) and instances (nginx) on core {PeersRun.LoadCore}; this proxy as published, direct forwarder. {_rounds} rounds of {_seconds} s, interleaved, warmed, a second of the same load before each measurement; ratios are taken within a round to the same proxy with two instances of one service, medians with their range. Where there are several services, each request goes to the next one."));
            _report.Section("Cost of a request");
            _report.Table(["proxy", "services", "instances", "CPU µs/request", "of 2 instances", "requests/s"], running.Select(r => Row(r.Lane)));

            IReadOnlyList<string> Row(ScaleLane lane)
            {
                var own = measured.Where(m => m.Lane == lane).ToArray();
                var yard = measured.Where(m => m.Lane == (_base with { Proxy = lane.Proxy })).ToDictionary(m => m.Round, m => m.Cpu);
                return
                [
                    lane.Proxy, Samples.Text(lane.Services, "#,0"), Samples.Text(lane.Instances, "#,0"), new Samples(own.Select(m => m.Cpu)).Spread("0.0"),
                    new Samples(own.Select(m => m.Cpu / yard[m.Round])).Spread("0.00"), new Samples(own.Select(m => m.PerSecond)).Spread("#,0"),
                ];
            }
        }
        finally
        {
            foreach (var (_, _, process) in running)
                await process.DisposeAsync();
        }
    }

    private async Task<LoadFigures> RunAsync(LoadCase @case, ScaleLane lane, Setup setup, double seconds)
    {
        var figures = await _load.RunAsync(@case with { Name = $"{@case.Name}-{lane.Services}" }, setup, seconds, lane.Script());
        return figures is { Failed: 0, Requests: > 0 } ? figures : throw new InvalidOperationException($"{lane}: {figures.Failed} of {figures.Requests + figures.Failed} requests failed\n{figures.Output}");
    }

    private async Task TellIdleAsync(Upstream upstream)
    {
        var rows = new List<IReadOnlyList<string>>();
        foreach (var lane in new[] { _base, _base with { Proxy = ScaleLane.Yarp }, _base with { Proxy = ScaleLane.Haproxy } })
        {
            if (await StartAsync(lane, upstream) is not var (setup, process))
                continue;
            await using (process)
            {
                await Console.Out.WriteLineAsync($"… idle callers of {lane.Proxy}");
                // Code is compiled and pools are filled before the callers come, by as many requests as they will make.
                await RunAsync(LoadCase.All.Single(c => c.Name == "get-64"), lane, setup, lane.IsManaged ? _warmUp : 1);
                var (before, beforeCollected) = await RestingAsync(process, lane.IsManaged);
                using var callers = await IdleCallers.OpenAsync(setup.Http, _idle, _interrupted);
                var (after, afterCollected) = await RestingAsync(process, lane.IsManaged);
                await callers.AskAllAsync(_interrupted);
                rows.Add(
                [
                    lane.Proxy, Samples.Text(_idle, "#,0"), Samples.Text(before, "0.0"), Samples.Text(after, "0.0"), Samples.Text((after - before) * 1024 / _idle, "0.0"),
                    lane.IsManaged ? Samples.Text((afterCollected - beforeCollected) * 1024 / _idle, "0.0") : "",
                ]);
            }
        }

        _report.Section("Idle connections of callers");
        _report.Line("");
        _report.Line("Each has had one answer and waits. Resident memory once it has stopped changing, then again behind a full collection; afterwards every connection is asked once more. The kernel's own share of a connection is not in it.");
        _report.Table(["proxy", "connections", "MiB before", "MiB with them", "KB for each", "KB for each, collected"], rows);
    }

    /// <summary>Resident memory in MiB when it has not changed for a while; then, of a .NET process, behind a full collection.</summary>
    private async Task<(double Resting, double Collected)> RestingAsync(ChildProcess process, bool canCollect)
    {
        var resting = await SettledAsync(process);
        if (!canCollect)
            return (resting, resting);
        await RuntimeEvents.CollectAsync(process.Id);
        return (resting, await SettledAsync(process));
    }

    private async Task<double> SettledAsync(ChildProcess process)
    {
        var (since, last) = (Stopwatch.GetTimestamp(), 0.0);
        var begun = since;
        // Longer than connections to instances are kept.
        while (Stopwatch.GetElapsedTime(since) < TimeSpan.FromSeconds(6) && Stopwatch.GetElapsedTime(begun) < ChildProcess.Patience)
        {
            var now = ProcessFigures.ResidentMiB(process.Id);
            if (Math.Abs(now - last) > 0.25)
                (since, last) = (Stopwatch.GetTimestamp(), now);
            await Task.Delay(200, _interrupted);
        }

        return ProcessFigures.ResidentMiB(process.Id);
    }

    private async Task<(Setup Setup, ChildProcess Process)?> StartAsync(ScaleLane lane, Upstream upstream)
    {
        _interrupted.ThrowIfCancellationRequested();
        var setup = new Setup(Directory.CreateDirectory(Path.Combine(_directory, Guid.NewGuid().ToString("N"))).FullName, upstream.Addresses(lane.Instances), null);
        return await lane.StartAsync(setup, PeersRun.ProxyCore, _program, _environment) is { } process ? (setup, process) : null;
    }
}

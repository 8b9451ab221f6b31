using System.Diagnostics;
using System.Globalization;
using Alicia.Proxy.Benchmarks.Processes;
using Alicia.Proxy.Benchmarks.Reporting;

namespace Alicia.Proxy.Benchmarks.Soak;

/// <summary>
/// Full load and troubles for a long time, and then the books: memory that does not grow, no connection, slot or buffer that nobody gave back, no failure that no trouble explains, and every
/// byte of every body as it should be.
/// </summary>
internal sealed class SoakRun
{
    private static readonly TimeSpan _sampleEvery = TimeSpan.FromSeconds(10);

    /// <summary>Longer than the proxy keeps anything that nobody uses: connections to instances four seconds, blocks of the server's memory ten to twenty.</summary>
    private static readonly TimeSpan _quiet = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(60);

    private readonly VerbOptions _options;
    private readonly CancellationToken _interrupted;
    private readonly SoakTally _tally = new();
    private readonly List<SoakSample> _samples = [];
    private readonly int _minutes;
    private readonly int _share;

    private SoakRun(VerbOptions options, CancellationToken interrupted)
    {
        (_options, _interrupted) = (options, interrupted);
        _minutes = options.Number("minutes", 30, 1, 24 * 60);
        _share = options.Number("share", 1, 1, 20);
    }

    public static async Task<int> RunAsync(string[] args, CancellationToken interrupted)
    {
        var options = new VerbOptions("soak", args, "minutes", "share", "forwarder", "core", "set", "proxy");
        var machine = Machine.Here();
        // All of it on one core, when others have the rest: processes that are started later inherit that.
        if (options.Text("core") is not null)
            Cores.Keep(Environment.ProcessId, options.Number("core", 0, 0, 63));
        var directory = Directory.CreateTempSubdirectory("alicia-bench-");
        try
        {
            return await new SoakRun(options, interrupted).RunAsync(directory.FullName, machine);
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    private async Task<int> RunAsync(string directory, Machine machine)
    {
        var forwarder = _options.Text("forwarder") ?? "direct";
        var (proxy, _) = await ProxyProcess.StartAsync(_options.Text("proxy") ?? Programs.Proxy, directory,
        [
            "Listen:Proxy=http://127.0.0.1:0;h2c://127.0.0.1:0", $"Forwarding:Http1={forwarder}", "Defaults:HealthCheck:Enabled=true",
            "Defaults:HealthCheck:Interval=00:00:05", "Defaults:HealthCheck:Timeout=00:00:05", "Defaults:HealthCheck:Fast=00:00:01",
            // What hangs is given up while the soak looks on, and circuits close in time for the next trouble.
            $"Services:{SoakTroubles.Stormy}:Timeouts:Response=00:00:02", $"Services:{SoakTroubles.Stormy}:Timeouts:Idle=00:00:02",
            $"Services:{SoakTroubles.Stormy}:HealthCheck:Interval=00:00:01", $"Services:{SoakTroubles.Stormy}:HealthCheck:Timeout=00:00:01",
            $"Services:{SoakTroubles.Stormy}:CircuitBreaker:RecoveryTimeout=00:00:01",
            .. _options.All("set"),
        ]);
        await using var end = proxy;
        await using var troubles = new SoakTroubles(proxy);
        try
        {
            return await RunAsync(forwarder, proxy, troubles, machine);
        }
        catch (Exception fault) when (fault is HttpRequestException or IOException)
        {
            // A proxy that does not answer its operator any more has failed, whatever the books would say.
            await Console.Error.WriteLineAsync($"{fault}\n{proxy.LastErrors}");
            return 1;
        }
    }

    private async Task<int> RunAsync(string forwarder, ProxyProcess proxy, SoakTroubles troubles, Machine machine)
    {
        await troubles.StartAsync();
        var watch = new SoakWatch(proxy);

        await Console.Out.WriteLineAsync("… warming up");
        await LoadAsync(proxy, troubles, TimeSpan.FromSeconds(Math.Min(60, _minutes * 15)), null);
        var before = await QuietAsync(proxy, watch);

        await Console.Out.WriteLineAsync($"… {_minutes} minutes");
        troubles.Begin();
        var cpu = ProcessFigures.CpuSeconds(proxy.Id);
        var counted = _tally.All;
        await LoadAsync(proxy, troubles, TimeSpan.FromMinutes(_minutes), watch);
        cpu = ProcessFigures.CpuSeconds(proxy.Id) - cpu;
        counted = _tally.All - counted;

        await Console.Out.WriteLineAsync("… the books of pooled arrays");
        using var arrays = new PooledArrays(proxy.Id);
        await LoadAsync(proxy, troubles, TimeSpan.FromSeconds(10), null);
        await troubles.EndAsync();
        await QuietAsync(proxy, watch);
        var books = await arrays.CloseAsync();
        // Once more, without the books, which take descriptors of their own.
        var after = await QuietAsync(proxy, watch);

        return await TellAsync(machine, forwarder, proxy, troubles, watch, before, after, books, (counted, cpu));
    }

    /// <summary>Lets the callers call, and looks on if there is a watch.</summary>
    private async Task LoadAsync(ProxyProcess proxy, SoakTroubles troubles, TimeSpan duration, SoakWatch? watch)
    {
        using var callers = new SoakCallers(proxy.Data, proxy.Listeners.First(l => l.Scheme == "h2c"), [SoakTroubles.Calm, SoakTroubles.Stormy], _tally, troubles.Explains);
        var startedAt = Stopwatch.GetTimestamp();
        var calling = callers.RunAsync(_share);
        using var timer = new PeriodicTimer(_sampleEvery);
        try
        {
            while (Stopwatch.GetElapsedTime(startedAt) < duration)
            {
                var left = duration - Stopwatch.GetElapsedTime(startedAt);
                if (watch is null || left < _sampleEvery)
                {
                    await Task.Delay(left > TimeSpan.Zero ? left : TimeSpan.Zero, _interrupted);
                    break;
                }

                await timer.WaitForNextTickAsync(_interrupted);
                watch.LookForForgotten();
                var sample = await watch.SampleAsync(Stopwatch.GetElapsedTime(startedAt));
                _samples.Add(sample);
                if (_samples.Count % 6 == 0)
                    await Console.Out.WriteLineAsync(string.Create(CultureInfo.InvariantCulture,
                        $"… {sample.At:hh\\:mm\\:ss}: {_tally.All} requests, {_tally.Unexplained} failures unexplained, {sample.ResidentMiB:0} MiB resident, heap {sample.HeapMiB:0.0} MiB, {sample.Descriptors} descriptors, {sample.Upstream} upstream"));
            }
        }
        finally
        {
            callers.Stop();
            await calling;
        }
    }

    /// <summary>Waits until nothing is used any more, has the heap collected, and takes a sample.</summary>
    private async Task<SoakSample> QuietAsync(ProxyProcess proxy, SoakWatch watch)
    {
        await Console.Out.WriteLineAsync("… waiting for silence");
        await Task.Delay(_quiet, _interrupted);
        var collections = await watch.FullCollectionsAsync();
        for (var round = 1; round <= 2; round++)
        {
            await RuntimeEvents.CollectAsync(proxy.Id);
            var startedAt = Stopwatch.GetTimestamp();
            while (await watch.FullCollectionsAsync() < collections + round && Stopwatch.GetElapsedTime(startedAt) < _patience)
                await Task.Delay(100, _interrupted);
        }

        watch.LookForForgotten();
        return await watch.SampleAsync(TimeSpan.Zero);
    }

    private async Task<int> TellAsync(
        Machine machine, string forwarder, ProxyProcess proxy, SoakTroubles troubles, SoakWatch watch, SoakSample before, SoakSample after,
        (long Rented, long Returned, int Lost, IReadOnlyList<int> Missing) books, (long Requests, double Cpu) cost)
    {
        var verdicts = new SoakVerdicts(_samples, before, after, watch, books, _tally);
        var report = new MarkdownReport("Soak", _options.CommandLine, machine);
        report.Line("");
        report.Line(string.Create(CultureInfo.InvariantCulture,
            $"{_minutes} minutes, `Forwarding:Http1={forwarder}`, {cost.Requests:#,0} requests in a closed loop, {cost.Requests / (_minutes * 60.0):#,0} a second; callers, proxy and instances{(_options.Text("core") is { } core ? $" together on core {core}" : "")}; {cost.Cpu / cost.Requests * 1e6:0} µs of the proxy's CPU per request of the mix, and {cost.Cpu / (_minutes * 60.0):0.00} cores. Requests go to two services of six instances in turn: `{SoakTroubles.Calm}`, whose instances come, go, drain and change but are never hurt, and `{SoakTroubles.Stormy}`."));
        report.Section("Verdict");
        report.Table(["what", "bound", "measured", "held"], verdicts.Rows());
        report.Section("Troubles");
        report.Table(["trouble", "times"], troubles.Counts.OrderBy(c => c.Key, StringComparer.Ordinal).Select(c => (IReadOnlyList<string>)[c.Key, $"{c.Value}"]));
        report.Section("Requests");
        report.Table(["kind", "service", "what came of them", "requests"],
            _tally.Counts.OrderBy(c => c.Key.Kind, StringComparer.Ordinal).ThenBy(c => c.Key.Service, StringComparer.Ordinal).ThenByDescending(c => c.Value)
                .Select(c => (IReadOnlyList<string>)[c.Key.Kind, c.Key.Service, c.Key.What, c.Value.ToString("#,0", CultureInfo.InvariantCulture)]));
        if (_tally.Unexplained > 0)
        {
            report.Section("Failures that nothing explains");
            report.Line("");
            foreach (var failure in _tally.FirstUnexplained)
                report.Line($"- {failure.ReplaceLineEndings(" ")}");
        }

        report.Section("Over time");
        report.Table(["after", "resident MiB", "heap MiB", "descriptors", "callers", "upstream", "in flight", "in line", "pool threads"],
            [Row("quiet before", before), .. _samples.Where((_, i) => i % Math.Max(1, _samples.Count / 30) == 0).Select(s => Row(s.At.ToString("hh\\:mm\\:ss", CultureInfo.InvariantCulture), s)), Row("quiet after", after)]);
        await report.FinishAsync(_options.Report);
        return verdicts.AllHeld ? 0 : 1;
    }

    private static IReadOnlyList<string> Row(string name, SoakSample s)
    {
        static string Text(double value, string format = "0") => value.ToString(format, CultureInfo.InvariantCulture);
        return [name, Text(s.ResidentMiB), Text(s.HeapMiB, "0.0"), Text(s.Descriptors), Text(s.Callers), Text(s.Upstream), Text(s.InFlight), Text(s.Waiting), Text(s.Threads)];
    }
}

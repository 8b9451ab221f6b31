using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Alicia.Proxy.Benchmarks.Load;
using Alicia.Proxy.Benchmarks.Processes;
using Alicia.Proxy.Benchmarks.Reporting;

namespace Alicia.Proxy.Benchmarks.Peers;

/// <summary>Makes the load of a case, on a core of its own.</summary>
internal sealed partial class LoadSource : IAsyncDisposable
{
    private readonly string _core;
    private readonly CancellationToken _interrupted;
    private readonly ChildProcess _paced;

    /// <param name="core">Where load generators run.</param>
    /// <param name="interrupted">Ends a load.</param>
    public LoadSource(int core, CancellationToken interrupted)
    {
        (_core, _interrupted) = (core.ToString(CultureInfo.InvariantCulture), interrupted);
        _paced = Programs.StartGenerator();
        Cores.Keep(_paced.Id, core);
    }

    public ValueTask DisposeAsync() => _paced.DisposeAsync();

    /// <summary>Runs it once.</summary>
    /// <param name="case">What.</param>
    /// <param name="setup">Of the proxy.</param>
    /// <param name="seconds">How long.</param>
    /// <param name="script">Functions in Lua for wrk that make its requests; they cost the load's core, not the proxy's.</param>
    public Task<LoadFigures> RunAsync(LoadCase @case, Setup setup, double seconds, string script = "") => @case.Tool switch
    {
        LoadTool.Wrk => WrkAsync(@case, setup, seconds, script),
        LoadTool.H2load => H2loadAsync(@case, setup, seconds),
        _ => PacedAsync(@case, setup, seconds),
    };

    private async Task<LoadFigures> WrkAsync(LoadCase @case, Setup setup, double seconds, string requests)
    {
        // A script without functions of its own for requests and answers costs nothing while the load runs.
        var script = Path.Combine(setup.Directory, $"{@case.Name}.lua");
        await File.WriteAllTextAsync(script, requests + (@case.Posts
            ? $"wrk.method = \"POST\"\nwrk.body = string.rep(\"x\", {LoadCase.PostBytes})\nwrk.headers[\"Content-Type\"] = \"application/octet-stream\"\n"
            : "") + """
            function done(summary, latency, requests)
              local e = summary.errors
              io.write(string.format("figures %d %d %d %d %d %d\n", summary.requests, e.connect + e.read + e.write + e.status + e.timeout, summary.duration, summary.bytes,
                latency:percentile(50), latency:percentile(99)))
            end

            """, _interrupted);
        var output = await OutputAsync("wrk",
            ["-t", "1", "-c", Text(@case.Connections), "-d", Whole(seconds) + "s", "-s", script, .. @case.NewConnections ? ["-H", "Connection: close"] : Array.Empty<string>(), @case.Url(setup)], setup, seconds);
        if (WrkFigures().Match(output) is not { Success: true } match)
            return new(0, 0, 0, double.NaN, double.NaN, 0, output);
        var figures = match.Groups.Values.Skip(1).Select(g => (double)long.Parse(g.Value, CultureInfo.InvariantCulture)).ToArray();
        // A connection that wrk itself cuts at the end is no failure, and wrk does not count it.
        return new((long)(figures[0] - figures[1]), (long)figures[1], figures[0] / figures[2] * 1e6, figures[4], figures[5], (long)figures[3], output);
    }

    private async Task<LoadFigures> H2loadAsync(LoadCase @case, Setup setup, double seconds)
    {
        var log = Path.Combine(setup.Directory, "h2load.log");
        File.Delete(log);
        var output = await OutputAsync("h2load",
            ["-c", Text(@case.Connections), "-m", Text(LoadCase.StreamsPerConnection), "-t", "1", "-D", Whole(seconds), "--log-file", log, @case.Url(setup)], setup, seconds);
        var (counts, rate, data) = (H2loadCounts().Match(output), H2loadRate().Match(output), H2loadData().Match(output));
        if (!counts.Success || !rate.Success || !data.Success || !File.Exists(log))
            return new(0, 0, 0, double.NaN, double.NaN, 0, output);
        // Start, status and duration of each request.
        var latencies = new Samples(File.ReadLines(log).Select(l => l.Split('\t')).Where(f => f is [_, "200", _]).Select(f => Number(f[2])));
        var failed = counts.Groups.Values.Skip(2).Sum(g => Number(g.Value));
        return new((long)Number(counts.Groups[1].Value), (long)failed, Number(rate.Groups[1].Value), latencies.Quantile(0.5), latencies.Quantile(0.99), (long)Number(data.Groups[1].Value), output);
    }

    private async Task<LoadFigures> PacedAsync(LoadCase @case, Setup setup, double seconds)
    {
        var result = await _paced.LoadAsync(new LoadOrder(@case.Port(setup), @case.Connections, seconds, Services: 1, PerSecond: LoadCase.FixedRate, Path: @case.Path));
        return new(result.Requests, result.Errors, result.PerSecond, result.P50, result.P99, result.Bytes, result.FirstError ?? "");
    }

    private async Task<string> OutputAsync(string tool, IReadOnlyList<string> arguments, Setup setup, double seconds)
    {
        var start = new ProcessStartInfo("taskset", ["-c", _core, Programs.Find(tool) ?? throw new UsageException($"peers needs {tool}"), .. arguments])
        {
            WorkingDirectory = setup.Directory,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        using var late = CancellationTokenSource.CreateLinkedTokenSource(_interrupted);
        late.CancelAfter(TimeSpan.FromSeconds(seconds) + ChildProcess.Patience);
        try
        {
            var errors = process.StandardError.ReadToEndAsync(late.Token);
            var output = await process.StandardOutput.ReadToEndAsync(late.Token);
            await process.WaitForExitAsync(late.Token);
            return output + await errors;
        }
        finally
        {
            if (!process.HasExited)
                process.Kill();
        }
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static string Whole(double seconds) => Math.Max(1, Math.Round(seconds)).ToString(CultureInfo.InvariantCulture);

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^figures (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)$", RegexOptions.Multiline)]
    private static partial Regex WrkFigures();

    [GeneratedRegex(@"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout")]
    private static partial Regex H2loadCounts();

    [GeneratedRegex(@"finished in [^,]+, ([\d.]+) req/s")]
    private static partial Regex H2loadRate();

    [GeneratedRegex(@"\((\d+)\) data")]
    private static partial Regex H2loadData();
}

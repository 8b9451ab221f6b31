using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Alicia.Proxy.Benchmarks.Processes;
using Alicia.Proxy.Benchmarks.Reporting;

namespace Alicia.Proxy.Benchmarks.Peers;

/// <summary>What came of a load. Latencies are in microseconds; NaN where the program does not tell.</summary>
internal sealed record LoadFigures(long Requests, long Failed, double PerSecond, double P50, double P99, string Output);

/// <summary>One kind of traffic, made by wrk or h2load on a core of its own.</summary>
/// <param name="Name">Name in the report and on the command line.</param>
/// <param name="Description">What it is, for the report.</param>
/// <param name="Tool"><c>wrk</c> or <c>h2load</c>.</param>
/// <param name="Arguments">Its arguments, from the seconds and the proxy's addresses.</param>
/// <param name="Instances">How many instances stand behind.</param>
internal sealed partial record LoadCase(string Name, string Description, string Tool, Func<double, Setup, IReadOnlyList<string>> Arguments, int Instances = 2)
{
    /// <summary>True where the same is asked of an instance itself, to be compared.</summary>
    public bool AlsoDirect { get; private init; }

    public bool OverTls { get; private init; }

    public static readonly IReadOnlyList<LoadCase> All =
    [
        Wrk("get-1", "GET of 100 bytes, 1 connection.", 1, "/100"),
        Wrk("get-64", "GET of 100 bytes, 64 connections.", 64, "/100"),
        Wrk("get-512", "GET of 100 bytes, 512 connections.", 512, "/100"),
        Wrk("get-10k", "GET of 10 KB, 64 connections.", 64, "/10k"),
        Wrk("get-1m", "GET of 1 MB, 16 connections.", 16, "/1m"),
        Wrk("post-10k", "POST of 10 KB, answer of 100 bytes, 64 connections.", 64, "/100", "-s", "post.lua"),
        Wrk("connection-each", "GET of 100 bytes, a new connection for each, 64 at once.", 64, "/100", "-H", "Connection: close"),
        new("http2-in", "GET of 100 bytes over HTTP/2 in clear text, 8 connections with 8 streams each.", "h2load",
            (seconds, setup) => ["-c", "8", "-m", "8", "-t", "1", "-D", Whole(seconds), Url("http", setup.Http2, "/100")]),
        new("tls-in", "GET of 100 bytes over TLS and HTTP/1.1, 64 kept connections.", "wrk",
            (seconds, setup) => ["-t", "1", "-c", "64", "-d", Whole(seconds) + "s", "--latency", Url("https", setup.Tls, "/100")])
        {
            OverTls = true,
        },
        new("fixed-3000", "GET of 100 bytes at 3,000 requests a second over 30 connections: what the proxy adds is the difference to direct.", "h2load",
            (seconds, setup) => ["--h1", "-c", "30", "-t", "1", "--rps", "100", "-D", Whole(seconds), "--log-file", Path.Combine(setup.Directory, "log"), Url("http", setup.Http, "/100")])
        {
            AlsoDirect = true,
        },
        new("instances-1000", "GET of 100 bytes, 64 connections, 1,000 instances.", "wrk",
            (seconds, setup) => ["-t", "1", "-c", "64", "-d", Whole(seconds) + "s", "--latency", Url("http", setup.Http, "/100")], Instances: 1000),
    ];

    /// <summary>Runs it once.</summary>
    /// <param name="setup">Of the proxy.</param>
    /// <param name="core">Of the load.</param>
    /// <param name="seconds">How long.</param>
    /// <param name="interrupted">Ends it.</param>
    public async Task<LoadFigures> RunAsync(Setup setup, int core, double seconds, CancellationToken interrupted)
    {
        var script = Path.Combine(setup.Directory, "post.lua");
        if (!File.Exists(script))
            await File.WriteAllTextAsync(script, "wrk.method = \"POST\"\nwrk.body = string.rep(\"x\", 10240)\nwrk.headers[\"Content-Type\"] = \"application/octet-stream\"\n", interrupted);
        var log = Path.Combine(setup.Directory, "log");
        File.Delete(log);
        var start = new ProcessStartInfo("taskset", ["-c", core.ToString(CultureInfo.InvariantCulture), Programs.Find(Tool) ?? throw new UsageException($"peers needs {Tool}"), .. Arguments(seconds, setup)])
        {
            WorkingDirectory = setup.Directory,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        using var late = CancellationTokenSource.CreateLinkedTokenSource(interrupted);
        late.CancelAfter(TimeSpan.FromSeconds(seconds) + ChildProcess.Patience);
        try
        {
            var errors = process.StandardError.ReadToEndAsync(late.Token);
            var output = await process.StandardOutput.ReadToEndAsync(late.Token);
            await process.WaitForExitAsync(late.Token);
            return Tool == "wrk" ? OfWrk(output + await errors) : OfH2load(output + await errors, File.Exists(log) ? log : null);
        }
        finally
        {
            if (!process.HasExited)
                process.Kill();
        }
    }

    private static LoadCase Wrk(string name, string description, int connections, string path, params string[] more) => new(name, description, "wrk",
        (seconds, setup) => ["-t", "1", "-c", connections.ToString(CultureInfo.InvariantCulture), "-d", Whole(seconds) + "s", "--latency", .. more, Url("http", setup.Http, path)]);

    private static string Whole(double seconds) => Math.Max(1, Math.Round(seconds)).ToString(CultureInfo.InvariantCulture);

    private static string Url(string scheme, int port, string path) => string.Create(CultureInfo.InvariantCulture, $"{scheme}://127.0.0.1:{port}{path}");

    private static LoadFigures OfWrk(string output)
    {
        double Of(Regex pattern) => pattern.Match(output) is { Success: true } match ? Number(match.Groups[1].Value) : double.NaN;
        double Latency(Regex pattern) => pattern.Match(output) is { Success: true } match
            ? Number(match.Groups[1].Value) * match.Groups[2].Value switch { "us" => 1, "ms" => 1e3, _ => 1e6 }
            : double.NaN;
        // A connection that the load itself cuts at its end is no failure; wrk does not count those.
        var failed = WrkErrors().Match(output) is { Success: true } errors ? errors.Groups.Values.Skip(1).Sum(g => Number(g.Value)) : 0;
        var other = WrkOther().Match(output) is { Success: true } statuses ? Number(statuses.Groups[1].Value) : 0;
        var requests = Of(WrkRequests());
        return new((long)(double.IsNaN(requests) ? 0 : requests), (long)(failed + other), Of(WrkRate()), Latency(WrkP50()), Latency(WrkP99()), output);
    }

    private static LoadFigures OfH2load(string output, string? log)
    {
        var counts = H2loadCounts().Match(output);
        var rate = H2loadRate().Match(output);
        if (!counts.Success || !rate.Success)
            return new(0, 0, 0, double.NaN, double.NaN, output);
        var latencies = log is null ? null : new Samples(File.ReadLines(log).Select(l => l.Split('\t')).Where(f => f is [_, "200", _]).Select(f => Number(f[2])));
        return new((long)Number(counts.Groups[1].Value), (long)Number(counts.Groups[2].Value), Number(rate.Groups[1].Value),
            latencies?.Quantile(0.5) ?? double.NaN, latencies?.Quantile(0.99) ?? double.NaN, output);
    }

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"(\d+) requests in")]
    private static partial Regex WrkRequests();

    [GeneratedRegex(@"Requests/sec:\s+([\d.]+)")]
    private static partial Regex WrkRate();

    [GeneratedRegex(@"50%\s+([\d.]+)(us|ms|s)")]
    private static partial Regex WrkP50();

    [GeneratedRegex(@"99%\s+([\d.]+)(us|ms|s)")]
    private static partial Regex WrkP99();

    [GeneratedRegex(@"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")]
    private static partial Regex WrkErrors();

    [GeneratedRegex(@"Non-2xx or 3xx responses: (\d+)")]
    private static partial Regex WrkOther();

    [GeneratedRegex(@"(\d+) succeeded, (\d+) failed")]
    private static partial Regex H2loadCounts();

    [GeneratedRegex(@"finished in [^,]+, ([\d.]+) req/s")]
    private static partial Regex H2loadRate();
}

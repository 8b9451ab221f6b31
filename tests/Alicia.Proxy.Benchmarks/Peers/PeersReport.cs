using System.Diagnostics;
using System.Globalization;
using Alicia.Proxy.Benchmarks.Reporting;

namespace Alicia.Proxy.Benchmarks.Peers;

/// <summary>One measurement of one proxy.</summary>
/// <param name="Case">Name of the case.</param>
/// <param name="Peer">Name of the proxy, or <see cref="Direct"/>.</param>
/// <param name="Round">Measurements of one round stand beside each other in time.</param>
/// <param name="Load">As the client saw it.</param>
/// <param name="Cpu">Microseconds of the proxy per request.</param>
/// <param name="Resident">MiB of the proxy.</param>
/// <param name="Connections">Connections that instances accepted meanwhile, whoever opened them.</param>
internal sealed record Measurement(string Case, string Peer, int Round, LoadFigures Load, double Cpu, double Resident, long Connections)
{
    /// <summary>Stands for no proxy at all.</summary>
    public const string Direct = "direct";
}

/// <summary>What the verb <c>peers</c> found.</summary>
internal sealed class PeersReport(string commandLine, IReadOnlyList<Peer> peers, IReadOnlyList<LoadCase> cases, int rounds, double seconds)
{
    private const string Yardstick = "haproxy";

    private readonly Machine _machine = Machine.Here();

    public List<Measurement> Measured { get; } = [];

    public List<ColdStart> Starts { get; } = [];

    /// <summary>What was not as it had to be.</summary>
    public List<string> Faults { get; } = [];

    /// <summary>What TLS agreed upon, by proxy.</summary>
    public Dictionary<string, string> Ciphers { get; } = [];

    public async Task FinishAsync(string? path)
    {
        var report = new MarkdownReport("Beside other proxies", commandLine, _machine);
        report.Line($"- commit: `{await FirstLineAsync("git", "rev-parse", "--short", "HEAD")}`");
        report.Line("");
        var nginx = await VersionAsync("nginx", "-v");
        report.Line(string.Create(CultureInfo.InvariantCulture, $"The proxy under test on core {PeersRun.ProxyCore} with one worker; load generators (wrk, h2load, for the fixed rate this program) and instances (nginx {nginx}) on core {PeersRun.LoadCore}. {rounds} rounds of {seconds} s for each proxy and case, interleaved, warmed; medians with their range. CPU is user and system time of the proxy's processes per request, by the kernel's account; ratios are taken within a round, their median is told. Where a proxy's core is not the bottleneck, requests per second say more of load and instances than of the proxy. Every proxy sets X-Forwarded-For, -Proto and -Host, which instances are asked about before; every answer is held against its exact length. `opened` is how many connections instances accepted during a measurement, this proxy's health checks included, which all its lanes make all the time."));
        report.Table(["proxy", "version", "settings"], await Task.WhenAll(peers.Select(async p => (IReadOnlyList<string>)[p.Name, p.Version is null ? "" : await VersionAsync(p.Version[0], p.Version[1]), p.Settings])));
        if (Faults.Count > 0)
        {
            report.Section("Not as it had to be");
            report.Line("");
            foreach (var fault in Faults)
                report.Line("- " + fault.ReplaceLineEndings(" "));
        }

        report.Section($"CPU per request, as a multiple of {Yardstick}");
        report.Table(["case", .. peers.Select(p => p.Name)], cases.Select(c => (IReadOnlyList<string>)[c.Name, .. peers.Select(p => Ratio(Measured.Where(m => m.Case == c.Name && m.Peer == p.Name), "0.00") ?? "–")]));
        foreach (var @case in cases)
        {
            report.Section(@case.Name);
            report.Line("");
            report.Line(@case.Description + (@case.OverTls ? " " + string.Join(", ", Ciphers.Select(c => $"{c.Key}: {c.Value}")) + "." : ""));
            report.Table(["proxy", "CPU µs/request", $"CPU of {Yardstick}", "requests/s", "p50 µs", "p99 µs", "MiB", "opened"], Measured.Where(m => m.Case == @case.Name).GroupBy(m => m.Peer).Select(Row));
        }

        if (Starts.Count > 0)
            TellStarts(report);
        await report.FinishAsync(path);
    }

    private void TellStarts(MarkdownReport report)
    {
        report.Section("Cold start");
        report.Line("");
        report.Line("64 connections from the first answer on; requests that instances answered in each second since the start of the process, medians of the starts. Warm is what the same process does after 15 to 20 seconds.");
        report.Table(["proxy", "starts", "first answer s", .. ColdStart.Told.Select(i => i.ToString(CultureInfo.InvariantCulture)), "warm", "second 3 of warm"], Starts.GroupBy(s => s.Peer).Select(s => (IReadOnlyList<string>)
        [
            s.Key, s.Count().ToString(CultureInfo.InvariantCulture), Median(s, c => c.Answering, "0.00"),
            .. ColdStart.Told.Select(i => Median(s, c => c.PerSecond[i - 1], "#,0")),
            Median(s, c => c.Warm, "#,0"), new Samples(s.Select(c => c.PerSecond[2] / c.Warm)).Spread("0.00"),
        ]));

        static string Median(IEnumerable<ColdStart> starts, Func<ColdStart, double> figure, string format) => Samples.Text(new Samples(starts.Select(figure)).Median, format);
    }

    /// <summary>CPU as a multiple of the yardstick's, within rounds; null where there is nothing to compare.</summary>
    private string? Ratio(IEnumerable<Measurement> rows, string format, bool spread = false)
    {
        var ratios = rows.Select(r => (Own: r, Yard: Measured.FirstOrDefault(m => m.Case == r.Case && m.Round == r.Round && m.Peer == Yardstick)))
            .Where(p => p.Yard is not null).Select(p => p.Own.Cpu / p.Yard!.Cpu).ToArray();
        if (ratios.Length == 0)
            return null;
        var samples = new Samples(ratios);
        return spread ? samples.Spread(format) : Samples.Text(samples.Median, format);
    }

    private IReadOnlyList<string> Row(IGrouping<string, Measurement> rows)
    {
        Samples Of(Func<Measurement, double> figure) => new(rows.Select(figure));
        var direct = rows.Key == Measurement.Direct;
        return
        [
            rows.Key,
            direct ? "" : Of(r => r.Cpu).Spread("0.0"),
            direct ? "" : Ratio(rows, "0.00", spread: true) ?? "",
            Of(r => r.Load.PerSecond).Spread("#,0"),
            Of(r => r.Load.P50).Spread("#,0"),
            Of(r => r.Load.P99).Spread("#,0"),
            direct ? "" : Of(r => r.Resident).Spread("0"),
            direct ? "" : Of(r => r.Connections).Spread("0"),
        ];
    }

    /// <summary>The number in what a program says of its version.</summary>
    private static async Task<string> VersionAsync(string program, string option) =>
        (await FirstLineAsync(program, option)).Split(' ', '/').FirstOrDefault(w => w.Length > 2 && char.IsDigit(w[0])) ?? "?";

    private static async Task<string> FirstLineAsync(string program, params string[] arguments)
    {
        if (Processes.Programs.Find(program) is not { } file)
            return "";
        using var process = Process.Start(new ProcessStartInfo(file, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var errors = process.StandardError.ReadToEndAsync();
        return (await process.StandardOutput.ReadToEndAsync() + await errors).Split('\n')[0].Trim();
    }
}

using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Alicia.Proxy.Benchmarks.Processes;
using Alicia.Proxy.Benchmarks.Reporting;

namespace Alicia.Proxy.Benchmarks.Peers;

/// <summary>
/// <c>peers</c>: this proxy beside nginx, HAProxy, Caddy and bare YARP, each on one core, with load and instances on the other. All of them run at once and are measured in turn, round by round,
/// so that a slow minute of the machine falls on each alike. CPU time per request, as the kernel accounts it, is the figure: it does not depend on who else uses the machine.
/// </summary>
internal sealed class PeersRun : IAsyncDisposable
{
    private const int ProxyCore = 0;
    private const int LoadCore = 1;
    private const string Yardstick = "haproxy";

    private readonly VerbOptions _options;
    private readonly CancellationToken _interrupted;
    private readonly Machine _machine = Machine.Here();
    private readonly int _rounds;
    private readonly double _seconds;
    private readonly List<IAsyncDisposable> _running = [];
    private readonly IReadOnlyList<Peer> _peers;
    private readonly IReadOnlyList<LoadCase> _cases;
    private readonly List<Measurement> _measured = [];
    private readonly List<(string Peer, double[] PerSecond, double Warm)> _starts = [];

    private PeersRun(VerbOptions options, CancellationToken interrupted)
    {
        (_options, _interrupted) = (options, interrupted);
        _rounds = options.Number("rounds", 5, 1, 100);
        _seconds = options.Number("seconds", 3, 1, 600);
        var program = options.Text("proxy") ?? Programs.Proxy;
        var environment = options.Text("environment") is { } file ? EnvironmentOf(file) : [];
        var settings = options.All("set");
        Peer[] own = options.All("beside") is { Count: > 0 } beside
            ? [Peer.Alicia(Peer.Own, program, environment, settings), .. beside.Select(b => Peer.Alicia($"{Peer.Own} {b}", program, environment, [.. settings, b]))]
            : [Peer.Alicia(Peer.Own, program, environment, settings)];
        Peer[] all = [Peer.Nginx, Peer.Haproxy, Peer.Caddy, Peer.Yarp, .. own];
        _peers = Chosen("peers", all, p => p.Name, keep: p => p.Name.StartsWith(Peer.Own, StringComparison.Ordinal));
        _cases = Chosen("cases", LoadCase.All, c => c.Name, keep: _ => false);
    }

    public static async Task<int> RunAsync(string[] args, CancellationToken interrupted)
    {
        var options = new VerbOptions("peers", args, "rounds", "seconds", "warm-up", "cases", "peers", "proxy", "environment", "set", "beside", "cold");
        var directory = Directory.CreateTempSubdirectory("alicia-bench-");
        try
        {
            await using var run = new PeersRun(options, interrupted);
            await run.MeasureAsync(directory.FullName);
            await run.TellAsync();
            return 0;
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    public async ValueTask DisposeAsync()
    {
        for (var i = _running.Count - 1; i >= 0; i--)
            await _running[i].DisposeAsync();
    }

    private IReadOnlyList<T> Chosen<T>(string option, IReadOnlyList<T> all, Func<T, string> name, Func<T, bool> keep)
    {
        if (_options.Text(option) is not { } text)
            return all;
        var names = text.Split(',');
        if (names.FirstOrDefault(n => all.All(a => name(a) != n)) is { } unknown)
            throw new UsageException($"--{option} knows {string.Join(", ", all.Select(name))}, not '{unknown}'");
        return [.. all.Where(a => keep(a) || names.Contains(name(a)))];
    }

    private async Task MeasureAsync(string directory)
    {
        var upstream = await Upstream.StartAsync(Directory.CreateDirectory(Path.Combine(directory, "upstream")).FullName, LoadCore);
        _running.Add(upstream);
        var certificate = Certificate(Path.Combine(directory, "bench.pem"));
        foreach (var group in _cases.GroupBy(c => c.Instances))
        {
            var lanes = new List<PeerLane>();
            try
            {
                foreach (var peer in _peers)
                {
                    _interrupted.ThrowIfCancellationRequested();
                    if (await StartAsync(peer, new Setup(Fresh(directory), upstream.Addresses(group.Key), group.Any(c => c.OverTls) ? certificate : null)) is { } lane)
                        lanes.Add(lane);
                }

                foreach (var @case in group)
                    await MeasureAsync(@case, lanes, upstream);
            }
            finally
            {
                foreach (var lane in lanes)
                    await lane.Process.DisposeAsync();
            }
        }

        if (_options.Number("cold", 1, 0, 1) == 1)
            await ColdStartsAsync(directory, upstream);
    }

    private async Task MeasureAsync(LoadCase @case, IReadOnlyList<PeerLane> lanes, Upstream upstream)
    {
        await Console.Out.WriteLineAsync($"… {@case.Name}: warming up");
        foreach (var lane in lanes)
            await @case.RunAsync(lane.Setup, LoadCore, _options.Number("warm-up", 2, 1, 600), _interrupted);
        for (var round = 0; round < _rounds; round++)
        {
            await Console.Out.WriteLineAsync($"… {@case.Name}: round {round + 1} of {_rounds}");
            if (@case.AlsoDirect)
                _measured.Add(new(@case.Name, "direct", round, await @case.RunAsync(upstream.Direct, LoadCore, _seconds, _interrupted), 0, 0));
            for (var i = 0; i < lanes.Count; i++)
            {
                var lane = lanes[(i + round) % lanes.Count];
                var before = ProcessFigures.CpuSeconds(lane.Process.Id);
                var result = await @case.RunAsync(lane.Setup, LoadCore, _seconds, _interrupted);
                var cpu = ProcessFigures.CpuSeconds(lane.Process.Id) - before;
                if (result.Failed > 0 || result.Requests == 0)
                    throw new InvalidOperationException($"{@case.Name} through {lane.Peer.Name}: {result.Failed} requests failed, {result.Requests} did not: figures with failures in them compare nothing\n{result.Output}");
                _measured.Add(new(@case.Name, lane.Peer.Name, round, result, cpu * 1e6 / result.Requests, ProcessFigures.ResidentMiB(lane.Process.Id)));
            }
        }
    }

    /// <summary>A fresh process gets its load at once: what its first ten seconds are like, second by second.</summary>
    private async Task ColdStartsAsync(string directory, Upstream upstream)
    {
        var load = LoadCase.All.Single(c => c.Name == "get-64");
        foreach (var peer in _peers.Where(p => p.Name.StartsWith(Peer.Own, StringComparison.Ordinal) || p.Name is "yarp"))
        {
            await Console.Out.WriteLineAsync($"… cold start of {peer.Name}");
            if (await StartAsync(peer, new Setup(Fresh(directory), upstream.Addresses(2), null)) is not { } lane)
                continue;
            await using var process = lane.Process;
            var seconds = new double[10];
            for (var i = 0; i < seconds.Length; i++)
                seconds[i] = (await load.RunAsync(lane.Setup, LoadCore, 1, _interrupted)).PerSecond;
            _starts.Add((peer.Name, seconds, (await load.RunAsync(lane.Setup, LoadCore, 3, _interrupted)).PerSecond));
        }
    }

    private static async Task<PeerLane?> StartAsync(Peer peer, Setup setup)
    {
        if (await peer.Start(setup).StartAsync(setup, ProxyCore) is not { } process)
        {
            await Console.Error.WriteLineAsync($"{peer.Name} is not installed and is left out");
            return null;
        }

        return new PeerLane(peer, setup, process);
    }

    private static string Fresh(string directory) => Directory.CreateDirectory(Path.Combine(directory, Guid.NewGuid().ToString("N"))).FullName;

    /// <summary>A certificate for this run.</summary>
    private static string Certificate(string file)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        names.AddIpAddress(System.Net.IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var certificate = request.CreateSelfSigned(TimeProvider.System.GetUtcNow().AddDays(-1), TimeProvider.System.GetUtcNow().AddDays(2));
        File.WriteAllText(file, certificate.ExportCertificatePem() + "\n" + key.ExportPkcs8PrivateKeyPem() + "\n");
        return file;
    }

    /// <summary>The lines <c>KEY=VALUE</c> of an environment file.</summary>
    private static IReadOnlyList<KeyValuePair<string, string?>> EnvironmentOf(string file) =>
        [.. File.ReadLines(file).Where(l => l.Contains('=') && !l.StartsWith('#')).Select(l => l.Split('=', 2)).Select(p => new KeyValuePair<string, string?>(p[0], p[1]))];

    private async Task TellAsync()
    {
        var report = new MarkdownReport("Beside other proxies", _options.CommandLine, _machine);
        if (_options.Text("environment") is not null)
            report.Line($"- commit: `{await CommitAsync()}`");
        report.Line("");
        report.Line(string.Create(CultureInfo.InvariantCulture, $"The proxy under test on core {ProxyCore} with one worker, load generator and instances (nginx) on core {LoadCore}. {_rounds} rounds of {_seconds} s for each proxy and case, interleaved; medians with their range. CPU is user and system time of the proxy per request; ratios are taken within a round, their median is told. Where a proxy's core is not the bottleneck, requests per second say more of load and instances than of the proxy."));
        report.Table(["proxy", "settings"], _peers.Select(p => (IReadOnlyList<string>)[p.Name, p.Settings]));
        foreach (var @case in _cases)
        {
            report.Section(@case.Name);
            report.Line("");
            report.Line(@case.Description);
            report.Table(["proxy", "CPU µs/request", $"CPU of {Yardstick}", "requests/s", "p50 µs", "p99 µs", "MiB"], _measured.Where(m => m.Case == @case.Name).GroupBy(m => m.Peer).Select(Row));
        }

        if (_starts.Count > 0)
        {
            report.Section("cold start");
            report.Line("");
            report.Line("64 connections from the moment that the process listens, second by second; warm is what it does after those ten seconds.");
            report.Table(["proxy", .. Enumerable.Range(1, 10).Select(i => i.ToString(CultureInfo.InvariantCulture)), "warm", "third second of warm"], _starts.Select(s => (IReadOnlyList<string>)
                [s.Peer, .. s.PerSecond.Select(v => Samples.Text(v, "#,0")), Samples.Text(s.Warm, "#,0"), Samples.Text(s.PerSecond[2] / s.Warm, "0.00")]));
        }

        await report.FinishAsync(_options.Report);
    }

    private IReadOnlyList<string> Row(IGrouping<string, Measurement> rows)
    {
        Samples Of(Func<Measurement, double> figure) => new(rows.Select(figure));
        var direct = rows.Key == "direct";
        var pairs = rows.Select(r => (Own: r, Yard: _measured.FirstOrDefault(m => m.Case == r.Case && m.Round == r.Round && m.Peer == Yardstick))).Where(p => p.Yard is not null).ToArray();
        return
        [
            rows.Key,
            direct ? "" : Of(r => r.Cpu).Spread("0.0"),
            direct || pairs.Length == 0 ? "" : new Samples(pairs.Select(p => p.Own.Cpu / p.Yard!.Cpu)).Spread("0.00"),
            Of(r => r.Load.PerSecond).Spread("#,0"),
            Of(r => r.Load.P50).Spread("#,0"),
            Of(r => r.Load.P99).Spread("#,0"),
            direct ? "" : Of(r => r.Resident).Spread("0"),
        ];
    }

    private static async Task<string> CommitAsync()
    {
        using var git = Process.Start(new ProcessStartInfo("git", ["rev-parse", "--short", "HEAD"]) { RedirectStandardOutput = true });
        return git is null ? "unknown" : (await git.StandardOutput.ReadToEndAsync()).Trim();
    }

    private sealed record PeerLane(Peer Peer, Setup Setup, ChildProcess Process);

    private sealed record Measurement(string Case, string Peer, int Round, LoadFigures Load, double Cpu, double Resident);
}

using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Alicia.Proxy.Benchmarks.Processes;

namespace Alicia.Proxy.Benchmarks.Peers;

/// <summary>
/// <c>peers</c>: this proxy beside nginx, HAProxy, Caddy and bare YARP, each on one core, with load and instances on the other. All of them run at once and are measured in turn, round by round,
/// so that a slow minute of the machine falls on each alike. CPU time per request, as the kernel accounts it, is the figure: it does not depend on who else uses the machine.
/// </summary>
internal sealed class PeersRun : IAsyncDisposable
{
    public const int ProxyCore = 0;
    public const int LoadCore = 1;

    /// <summary>Seconds of load that go before a measurement where there are many instances.</summary>
    public const double Again = 1;

    private readonly VerbOptions _options;
    private readonly CancellationToken _interrupted;
    private readonly int _rounds;
    private readonly double _seconds;
    private readonly double _warmUp;
    private readonly List<IAsyncDisposable> _running = [];
    private readonly IReadOnlyList<Peer> _peers;
    private readonly IReadOnlyList<LoadCase> _cases;
    private readonly PeersReport _report;
    private readonly LoadSource _load;

    private PeersRun(VerbOptions options, CancellationToken interrupted)
    {
        (_options, _interrupted) = (options, interrupted);
        _rounds = options.Number("rounds", 5, 1, 100);
        _seconds = options.Number("seconds", 3, 1, 600);
        _warmUp = options.Number("warm-up", 8, 1, 600);
        var program = options.Text("proxy") ?? Programs.Proxy;
        var environment = options.Text("environment") is { } file ? Programs.EnvironmentOf(file) : [];
        Peer[] own =
        [
            Own(Peer.Own, "Forwarding:Http1=direct"), Own(Peer.Own + "-yarp", "Forwarding:Http1=yarp"),
            .. options.All("beside").Select(Beside),
        ];
        Peer[] all = [Peer.Nginx, Peer.Haproxy, Peer.Caddy, Peer.Yarp(environment), .. own];
        _peers = Chosen("peers", all, p => p.Name, keep: p => p.Name == Peer.Own || p.Name.Contains(' '));
        _cases = Chosen("cases", LoadCase.All, c => c.Name, keep: _ => false);
        _report = new PeersReport(options.CommandLine, _peers, _cases, _rounds, _seconds);
        _load = new LoadSource(LoadCore, interrupted);
        _running.Add(_load);

        Peer Own(string name, params string[] settings) => Peer.Alicia(name, program, environment, [.. options.All("set"), .. settings]);

        // A program, what the runtime reads from the environment, or a key for the command line.
        Peer Beside(string what)
        {
            string[] direct = [.. options.All("set"), "Forwarding:Http1=direct"];
            if (File.Exists(what))
                return Peer.Alicia($"{Peer.Own} {Path.GetFileName(Path.GetDirectoryName(Path.GetFullPath(what)))}", what, environment, direct);
            return what.StartsWith("DOTNET_", StringComparison.Ordinal)
                ? Peer.Alicia($"{Peer.Own} {what}", program, [.. environment, .. Programs.Variables([what])], direct)
                : Peer.Alicia($"{Peer.Own} {what}", program, environment, [.. direct, what]);
        }
    }

    /// <returns>1 when an answer was not what it had to be: the report says which.</returns>
    public static async Task<int> RunAsync(string[] args, CancellationToken interrupted)
    {
        var options = new VerbOptions("peers", args, "rounds", "seconds", "warm-up", "cases", "peers", "proxy", "environment", "set", "beside", "cold");
        var directory = Directory.CreateTempSubdirectory("alicia-bench-");
        try
        {
            await using var run = new PeersRun(options, interrupted);
            await run.MeasureAsync(directory.FullName);
            await run._report.FinishAsync(options.Report);
            return run._report.Faults.Count > 0 ? 1 : 0;
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

        var starts = _options.Number("cold", 3, 0, 100);
        for (var i = 0; i < starts; i++)
        {
            foreach (var peer in _peers.Where(p => p.Managed))
            {
                await Console.Out.WriteLineAsync($"… cold start {i + 1} of {starts} of {peer.Name}");
                if (await ColdStart.MeasureAsync(peer, new Setup(Fresh(directory), upstream.Addresses(2), null), ProxyCore, upstream, _load, _interrupted) is { } start)
                    _report.Starts.Add(start);
            }
        }
    }

    private async Task MeasureAsync(LoadCase @case, IReadOnlyList<PeerLane> lanes, Upstream upstream)
    {
        await Console.Out.WriteLineAsync($"… {@case.Name}: warming up");
        var answers = new Dictionary<PeerLane, Answer>();
        foreach (var lane in lanes)
        {
            answers[lane] = await SameWork.ProveAsync(@case, lane.Peer.Name, lane.Setup, _interrupted);
            if (answers[lane].Cipher is { } cipher)
                _report.Ciphers[lane.Peer.Name] = cipher;
            // What is compiled ahead has nothing to warm but its pools.
            await _load.RunAsync(@case, lane.Setup, lane.Peer.Managed ? _warmUp : 1);
        }

        for (var round = 0; round < _rounds; round++)
        {
            await Console.Out.WriteLineAsync($"… {@case.Name}: round {round + 1} of {_rounds}");
            if (@case.AlsoDirect)
                _report.Measured.Add(new(@case.Name, Measurement.Direct, round, await _load.RunAsync(@case, upstream.Direct, _seconds), 0, 0, 0));
            for (var i = 0; i < lanes.Count; i++)
            {
                _interrupted.ThrowIfCancellationRequested();
                var lane = lanes[(i + round) % lanes.Count];
                // Connections to instances that nobody used while others had their turn are closed by then; to open a thousand is not what is measured.
                if (@case.Instances > 2)
                    await _load.RunAsync(@case, lane.Setup, Again);
                var before = await upstream.CountsAsync();
                var cpu = -ProcessFigures.CpuSeconds(lane.Process.Id);
                var result = await _load.RunAsync(@case, lane.Setup, _seconds);
                cpu += ProcessFigures.CpuSeconds(lane.Process.Id);
                var after = await upstream.CountsAsync();
                if (SameWork.Fault(@case, result, answers[lane]) is { } fault)
                    _report.Faults.Add($"{@case.Name} through {lane.Peer.Name}, round {round + 1}: {fault}");
                if (result.Requests > 0)
                {
                    _report.Measured.Add(new(@case.Name, lane.Peer.Name, round, result,
                        cpu * 1e6 / result.Requests, ProcessFigures.ResidentMiB(lane.Process.Id), after.Connections - before.Connections));
                }
            }
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

    private sealed record PeerLane(Peer Peer, Setup Setup, ChildProcess Process);
}

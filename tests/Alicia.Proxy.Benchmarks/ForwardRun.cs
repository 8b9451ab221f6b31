using System.Globalization;
using Alicia.Proxy.Benchmarks.Processes;
using Alicia.Proxy.Benchmarks.Reporting;

namespace Alicia.Proxy.Benchmarks;

/// <summary>
/// <c>forward</c>: the data plane beside the direct way, beside itself with other runtime settings, and beside other proxies. Rounds go through all of them
/// in turn, so that a slow minute of the machine falls on each alike.
/// </summary>
internal sealed class ForwardRun : IAsyncDisposable
{
    private readonly VerbOptions _options;
    private readonly IReadOnlyList<int> _connections;
    private readonly int _rounds;
    private readonly int _seconds;
    private readonly int _instances;
    private readonly List<IAsyncDisposable> _running = [];
    private readonly List<Lane> _lanes = [];
    private readonly CancellationToken _interrupted;
    private double _allocated;

    private ForwardRun(VerbOptions options, CancellationToken interrupted)
    {
        _options = options;
        _interrupted = interrupted;
        _connections = options.Numbers("connections", [1, 32], 1, 1000);
        _rounds = options.Number("rounds", 7, 1, 100);
        _seconds = options.Number("seconds", 5, 1, 600);
        _instances = options.Number("instances", 4, 1, 100);
    }

    public static async Task<int> RunAsync(string[] args, CancellationToken interrupted)
    {
        var options = new VerbOptions(
            "forward", args, "connections", "rounds", "seconds", "warm-up", "instances", "bytes", "variant", "variants", "peers", "set", "proxy");
        var machine = Machine.Here();
        var directory = Directory.CreateTempSubdirectory("alicia-bench-");
        try
        {
            await using var run = new ForwardRun(options, interrupted);
            var memory = await run.MeasureAsync(directory.FullName);
            await run.TellAsync(machine, memory);
            return 0;
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    /// <summary>Ends what was started, the last first.</summary>
    public async ValueTask DisposeAsync()
    {
        for (var i = _running.Count - 1; i >= 0; i--)
            await _running[i].DisposeAsync();
    }

    /// <returns>Resident memory in MiB of each process in between, at the end.</returns>
    private async Task<Dictionary<string, double>> MeasureAsync(string directory)
    {
        var (backend, backendPort) = await Programs.StartBackendAsync(_options.Number("bytes", 128, 0, 16 * 1024 * 1024));
        _running.Add(backend);
        var generator = Programs.StartGenerator();
        _running.Add(generator);
        _lanes.Add(new Lane("direct", backendPort, null));
        foreach (var variant in Variants())
            await StartProxyAsync(variant, directory, backendPort);
        foreach (var peer in Peers())
        {
            if (await ReferenceProxy.StartAsync(peer, Directory.CreateDirectory(Path.Combine(directory, peer)).FullName, backendPort, _instances) is not { } started)
                continue;
            _running.Add(started.Process);
            _lanes.Add(new Lane(peer, started.Port, started.Process.Id));
        }

        _allocated = await AllocatedPerRequestAsync(directory, generator, backendPort);
        var warmUp = _options.Number("warm-up", 8, 1, 600);
        foreach (var lane in _lanes)
        {
            _interrupted.ThrowIfCancellationRequested();
            await Console.Out.WriteLineAsync($"… warming up {lane.Name}");
            await lane.RunAsync(generator, round: -1, _connections.Max(), warmUp);
        }

        for (var round = 0; round < _rounds; round++)
        {
            await Console.Out.WriteLineAsync($"… round {round + 1} of {_rounds}");
            foreach (var connections in _connections)
            {
                // Each round begins with another lane: none is always the one after the idle moment.
                for (var i = 0; i < _lanes.Count; i++)
                {
                    _interrupted.ThrowIfCancellationRequested();
                    await _lanes[(i + round) % _lanes.Count].RunAsync(generator, round, connections, _seconds);
                }
            }
        }

        return _lanes.Where(l => l.ProcessId is not null).ToDictionary(l => l.Name, l => ProcessFigures.ResidentMiB(l.ProcessId!.Value));
    }

    /// <returns>Bytes, once the code is warm. Independent of the machine's load, and so measured once.</returns>
    private async Task<double> AllocatedPerRequestAsync(string directory, ChildProcess generator, int backendPort)
    {
        await Console.Out.WriteLineAsync("… counting allocations");
        await using var proxy = await ProxyProcess.StartCountedAsync(Directory.CreateDirectory(Path.Combine(directory, "counted")).FullName, _options.All("set"));
        await RegisterAsync(proxy, backendPort);
        var lane = new Lane("counted", proxy.Data.Port, proxy.Id);
        await lane.RunAsync(generator, round: -1, _connections.Max(), seconds: 2);
        var before = await proxy.AllocatedBytesAsync();
        await lane.RunAsync(generator, round: 0, _connections.Max(), seconds: 2);
        return (await proxy.AllocatedBytesAsync() - before) / (double)lane.Rounds[0].Load.Requests;
    }

    private async Task RegisterAsync(ProxyProcess proxy, int backendPort)
    {
        for (var i = 0; i < _instances; i++)
            await proxy.RegisterAsync(Names.Service(0), Names.Instance(i), backendPort, maxConnections: 1000);
    }

    private IEnumerable<Variant> Variants() =>
    [
        new Variant(Variant.Default, []),
        .. _options.Text("variants") switch
        {
            "none" => [],
            "known" or null when _options.All("variant").Count == 0 => Variant.Known,
            "known" => Variant.Known,
            null => [],
            var other => throw new UsageException($"--variants is known or none, not '{other}'"),
        },
        .. _options.All("variant").Select(Variant.Parse),
    ];

    private IEnumerable<string> Peers() => _options.Text("peers") switch
    {
        null => ReferenceProxy.Known,
        "none" => [],
        var names => names.Split(',').Select(n => ReferenceProxy.Known.Contains(n) ? n : throw new UsageException($"--peers knows {string.Join(", ", ReferenceProxy.Known)}, not '{n}'")),
    };

    private async Task StartProxyAsync(Variant variant, string directory, int backendPort)
    {
        var own = Directory.CreateDirectory(Path.Combine(directory, variant.Name)).FullName;
        var (proxy, _) = await ProxyProcess.StartAsync(_options.Text("proxy") ?? Programs.Proxy, own, _options.All("set"), variant.Environment);
        _running.Add(proxy);
        await RegisterAsync(proxy, backendPort);
        _lanes.Add(new Lane(variant.Name, proxy.Data.Port, proxy.Id));
    }

    private async Task TellAsync(Machine machine, Dictionary<string, double> memory)
    {
        var report = new MarkdownReport("Forwarding", _options.CommandLine, machine);
        report.Line("");
        report.Line(string.Create(CultureInfo.InvariantCulture, $"GET with an ordinary client's fields, answer of {_options.Text("bytes") ?? "128"} bytes, HTTP/1.1 keep-alive, closed loop; client, proxy and backend share the machine's cores. {_rounds} rounds of {_seconds} s for each lane, lanes interleaved; medians with their range. Ratios are taken within a round. CPU is the proxy process's user and system time per request: the steadiest figure where cores are shared."));
        foreach (var connections in _connections)
        {
            report.Section($"{connections} connection{(connections == 1 ? "" : "s")}");
            report.Table(
                ["lane", "requests/s", "of direct", "p50 µs", "p99 µs", "p50 over direct µs", "CPU µs/request", "CPU of default"],
                _lanes.Select(l => Row(l, connections)));
        }

        report.Section("Memory");
        report.Line("");
        report.Line(string.Create(CultureInfo.InvariantCulture, $"The proxy allocates {_allocated:#,0} bytes per request. Resident at the end:"));
        report.Table(["lane", "MiB"], memory.Select(m => (IReadOnlyList<string>)[m.Key, Samples.Text(m.Value, "0")]));
        report.Section("Variants");
        report.Table(["lane", "environment"], Variants().Select(v => (IReadOnlyList<string>)
            [v.Name, string.Join(' ', v.Environment.Select(e => $"`{e.Key}={e.Value}`"))]));
        await report.FinishAsync(_options.Report);
    }

    private IReadOnlyList<string> Row(Lane lane, int connections)
    {
        var rounds = lane.Rounds.Where(r => r.Connections == connections).ToArray();
        Samples Of(Func<Round, double> figure) => new(rounds.Select(figure));
        Samples Against(string name, Func<Round, Round, double> compare) =>
            new(rounds.Select(r => compare(r, _lanes.Single(l => l.Name == name).Rounds.Single(o => o.Number == r.Number && o.Connections == connections))));

        var direct = lane.ProcessId is null;
        return
        [
            lane.Name,
            Of(r => r.Load.PerSecond).Spread("#,0"),
            direct ? "" : Against("direct", (r, d) => r.Load.PerSecond / d.Load.PerSecond).Spread("0.00"),
            Of(r => r.Load.P50).Spread("#,0"),
            Of(r => r.Load.P99).Spread("#,0"),
            direct ? "" : Against("direct", (r, d) => r.Load.P50 - d.Load.P50).Spread("#,0"),
            direct ? "" : Of(r => r.CpuMicroseconds).Spread("0.0"),
            direct || lane.Name == Variant.Default ? "" : Against(Variant.Default, (r, d) => r.CpuMicroseconds / d.CpuMicroseconds).Spread("0.00"),
        ];
    }
}

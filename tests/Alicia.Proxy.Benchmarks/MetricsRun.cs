using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Alicia.Proxy.Benchmarks.Load;
using Alicia.Proxy.Benchmarks.Processes;
using Alicia.Proxy.Benchmarks.Reporting;

namespace Alicia.Proxy.Benchmarks;

/// <summary>
/// <c>metrics</c>: what being observed costs. The proxy beside itself with each kind of telemetry and with all of them, and, where one is given, beside an older build; and how long a
/// scrape of very many instances takes.
/// </summary>
internal sealed class MetricsRun : IAsyncDisposable
{
    private const string Before = "before";
    private const string Off = "off";
    private const string Scraped = "scraped";
    private const string AccessLog = "access log";
    private const string Traces = "traces";
    private const string All = "all";

    /// <summary>CPU of a request with all telemetry on, of that with none.</summary>
    private const double AimRatio = 1.05;

    private readonly VerbOptions _options;
    private readonly int _rounds;
    private readonly int _seconds;
    private readonly int _connections;
    private readonly List<IAsyncDisposable> _running = [];
    private readonly List<Lane> _lanes = [];
    private readonly CancellationToken _interrupted;
    private readonly Dictionary<string, double> _lines = [];
    private long _spans;
    private readonly Dictionary<string, ProxyProcess> _proxies = [];

    private MetricsRun(VerbOptions options, CancellationToken interrupted)
    {
        _options = options;
        _interrupted = interrupted;
        _rounds = options.Number("rounds", 12, 1, 200);
        _seconds = options.Number("seconds", 4, 1, 600);
        _connections = options.Number("connections", 32, 1, 1000);
    }

    public static async Task<int> RunAsync(string[] args, CancellationToken interrupted)
    {
        var options = new VerbOptions("metrics", args, "before", "rounds", "seconds", "connections", "warm-up", "services", "instances", "scrapes", "set");
        var machine = Machine.Here();
        var directory = Directory.CreateTempSubdirectory("alicia-bench-");
        try
        {
            await using var run = new MetricsRun(options, interrupted);
            var scrapes = await run.ScrapeManyAsync(directory.FullName);
            await run.ForwardAsync(directory.FullName);
            await run.TellAsync(machine, scrapes);
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

    /// <returns>Milliseconds of each scrape of a proxy with very many instances, the bytes of one, and MiB resident before and after.</returns>
    private async Task<(IReadOnlyList<double> Milliseconds, int Bytes, double ResidentBefore, double ResidentAfter)> ScrapeManyAsync(string directory)
    {
        var (services, instances) = (_options.Number("services", 100, 1, 10_000), _options.Number("instances", 100, 1, 10_000));
        await Console.Out.WriteLineAsync($"… scraping {services * instances} instances");
        var own = Directory.CreateDirectory(Path.Combine(directory, "many")).FullName;
        Directory.CreateDirectory(Path.Combine(own, "config"));
        await File.WriteAllTextAsync(Path.Combine(own, "config", "alicia.json"), JsonSerializer.Serialize(new
        {
            Services = Enumerable.Range(0, services).ToDictionary(Names.Service, _ => new
            {
                Instances = Enumerable.Range(0, instances).Select(i => new { InstanceId = Names.Instance(i), Host = "127.0.0.1", Port = 1 + i }),
            }),
        }), _interrupted);
        var (proxy, _) = await ProxyProcess.StartAsync(Programs.Proxy, own, _options.All("set"));
        await using (proxy)
        {
            var before = ProcessFigures.ResidentMiB(proxy.Id);
            var milliseconds = new List<double>();
            var bytes = 0;
            for (var i = 0; i < _options.Number("scrapes", 15, 1, 1000); i++)
            {
                var startedAt = Stopwatch.GetTimestamp();
                bytes = (await proxy.Api.GetByteArrayAsync("/metrics", _interrupted)).Length;
                milliseconds.Add(Stopwatch.GetElapsedTime(startedAt).TotalMilliseconds);
            }

            return (milliseconds, bytes, before, ProcessFigures.ResidentMiB(proxy.Id));
        }
    }

    private async Task ForwardAsync(string directory)
    {
        var (backend, backendPort) = await Programs.StartBackendAsync(128);
        _running.Add(backend);
        var generator = Programs.StartGenerator();
        _running.Add(generator);
        var receiver = OtlpSink.Start();
        _running.Add(receiver);
        if (_options.Text("before") is { } program)
            await StartAsync(Before, program, directory, backendPort);
        await StartAsync(Off, Programs.Proxy, directory, backendPort);
        var scraped = await StartAsync(Scraped, Programs.Proxy, directory, backendPort);
        await StartAsync(AccessLog, Programs.Proxy, directory, backendPort, "Logging:AccessLog=on");
        await StartAsync(Traces, Programs.Proxy, directory, backendPort, $"Otlp:Endpoint={receiver.Address}");
        var all = await StartAsync(All, Programs.Proxy, directory, backendPort, "Logging:AccessLog=on", $"Otlp:Endpoint={receiver.Address}");
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(_interrupted);
        var scraping = Task.WhenAll(ScrapeEverySecondAsync(scraped, ended.Token), ScrapeEverySecondAsync(all, ended.Token));
        foreach (var lane in _lanes)
        {
            await Console.Out.WriteLineAsync($"… warming up {lane.Name}");
            await lane.RunAsync(generator, round: -1, _connections, _options.Number("warm-up", 8, 1, 600));
        }

        for (var round = 0; round < _rounds; round++)
        {
            await Console.Out.WriteLineAsync($"… round {round + 1} of {_rounds}");
            for (var i = 0; i < _lanes.Count; i++)
            {
                _interrupted.ThrowIfCancellationRequested();
                await _lanes[(i + round) % _lanes.Count].RunAsync(generator, round, _connections, _seconds);
            }
        }

        await ended.CancelAsync();
        await scraping;
        // A log of which half the lines were dropped would be cheap.
        foreach (var name in (string[])[AccessLog, All])
            _lines[name] = _proxies[name].OutputLines / (double)_lanes.Single(l => l.Name == name).Requests;
        _spans = receiver.Bodies;
    }

    private async Task<ProxyProcess> StartAsync(string name, string program, string directory, int backendPort, params string[] settings)
    {
        var (proxy, _) = await ProxyProcess.StartAsync(program, Directory.CreateDirectory(Path.Combine(directory, name)).FullName, [.. _options.All("set"), .. settings]);
        _running.Add(proxy);
        _proxies[name] = proxy;
        for (var i = 0; i < 4; i++)
            await proxy.RegisterAsync(Names.Service(0), Names.Instance(i), backendPort, maxConnections: 1000);
        _lanes.Add(new Lane(name, proxy.Data.Port, proxy.Id));
        return proxy;
    }

    private static async Task ScrapeEverySecondAsync(ProxyProcess proxy, CancellationToken ended)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1));
        try
        {
            while (await timer.WaitForNextTickAsync(ended))
                await proxy.Api.GetByteArrayAsync("/metrics", ended);
        }
        catch (OperationCanceledException) when (ended.IsCancellationRequested)
        {
            // Over.
        }
    }

    private async Task TellAsync(Machine machine, (IReadOnlyList<double> Milliseconds, int Bytes, double ResidentBefore, double ResidentAfter) scrapes)
    {
        var report = new MarkdownReport("Metrics", _options.CommandLine, machine);
        report.Section("Forwarding while observed");
        report.Line("");
        report.Line(string.Create(CultureInfo.InvariantCulture, $"GET, answer of 128 bytes, HTTP/1.1 keep-alive, {_connections} connections in a closed loop; {_rounds} rounds of {_seconds} s for each lane, lanes interleaved. Medians with their range; ratios are taken within a round. `{Scraped}` is scraped every second; `{AccessLog}` writes a line of JSON for every request to a pipe; `{Traces}` sends spans over OTLP at the default of Otlp:TracesPerSecond; `{All}` does all three."));
        report.Table(["lane", "requests/s", "CPU µs/request", $"CPU of {Off}"], _lanes.Select(Row));
        report.Line("");
        report.Line(string.Create(CultureInfo.InvariantCulture, $"Lines of access log per request: {string.Join(", ", _lines.Select(l => $"{l.Key} {l.Value:0.000}"))}. Batches that the receiver of traces and metrics got: {_spans}."));
        var ratio = Against(_lanes.Single(l => l.Name == All), Off);
        report.Section("Aim");
        report.Table(["aim", "measured", "met"], [[string.Create(CultureInfo.InvariantCulture, $"CPU per request with all telemetry on ≤ {AimRatio} × that with none, median of the rounds"), ratio.Spread("0.000"), ratio.Quantile(0.5) <= AimRatio ? "yes" : "no"]]);
        report.Section("A scrape of many instances");
        report.Line("");
        var rest = new Samples(scrapes.Milliseconds.Skip(1));
        report.Line(string.Create(CultureInfo.InvariantCulture, $"{_options.Number("services", 100, 1, 10_000) * _options.Number("instances", 100, 1, 10_000):#,0} instances, {scrapes.Bytes / 1e6:0.0} MB. First scrape: {scrapes.Milliseconds[0]:#,0} ms; those after it: {rest.Spread("#,0")} ms. Resident before the first: {scrapes.ResidentBefore:0} MiB, after the last: {scrapes.ResidentAfter:0} MiB."));
        await report.FinishAsync(_options.Report);
    }

    private IReadOnlyList<string> Row(Lane lane)
    {
        return
        [
            lane.Name,
            new Samples(lane.Rounds.Select(r => r.Load.PerSecond)).Spread("#,0"),
            new Samples(lane.Rounds.Select(r => r.CpuMicroseconds)).Spread("0.0"),
            lane.Name == Off ? "" : Against(lane, Off).Spread("0.000"),
        ];
    }

    private Samples Against(Lane lane, string name) =>
        new(lane.Rounds.Select(r => r.CpuMicroseconds / _lanes.Single(l => l.Name == name).Rounds.Single(o => o.Number == r.Number).CpuMicroseconds));
}

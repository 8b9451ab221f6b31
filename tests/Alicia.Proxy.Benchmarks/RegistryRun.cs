using System.Diagnostics;
using System.Globalization;
using System.Net;
using Alicia.Proxy.Benchmarks.Load;
using Alicia.Proxy.Benchmarks.Processes;
using Alicia.Proxy.Benchmarks.Reporting;

namespace Alicia.Proxy.Benchmarks;

/// <summary>
/// <c>registry</c>: a real proxy with many instances, over its REST interface: how long a registration takes at full size, a restart, and how much memory
/// all of it needs.
/// </summary>
internal sealed class RegistryRun
{
    private const double AimRegistrationMs = 20;
    private const double AimRestartSeconds = 3;
    private const double AimMemoryMiB = 300;

    private readonly VerbOptions _options;
    private readonly int _services;
    private readonly int _instances;
    private readonly int _clients;
    private readonly string _program;
    private readonly IReadOnlyList<string> _settings;
    private readonly List<(string When, double MiB)> _memory = [];
    private readonly MarkdownReport _report;
    private readonly CancellationToken _interrupted;
    private int _backendPort;

    private RegistryRun(VerbOptions options, CancellationToken interrupted)
    {
        _options = options;
        _interrupted = interrupted;
        _services = options.Number("services", 1000, 1, 10_000);
        _instances = options.Number("instances", 10, 1, 1000);
        _clients = options.Number("clients", 8, 1, 256);
        _program = options.Text("proxy") ?? Programs.Proxy;
        _settings = options.All("set");
        _report = new MarkdownReport("The registry at full size", options.CommandLine, Machine.Here());
    }

    public static async Task<int> RunAsync(string[] args, CancellationToken interrupted)
    {
        var options = new VerbOptions(
            "registry", args, "services", "instances", "clients", "further", "others", "restarts", "load-services", "load-seconds", "set", "proxy");
        var directory = Directory.CreateTempSubdirectory("alicia-bench-");
        try
        {
            var run = new RegistryRun(options, interrupted);
            await run.MeasureAsync(directory.FullName);
            await run._report.FinishAsync(options.Report);
            return 0;
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    private async Task MeasureAsync(string directory)
    {
        var sync = CommitFloor(directory);
        var (backend, port) = await Programs.StartBackendAsync(bytes: 128);
        await using var backendEnds = backend;
        await using var generator = Programs.StartGenerator();
        _backendPort = port;

        var (proxy, _) = await ProxyProcess.StartAsync(_program, directory, _settings);
        Calls calls;
        int total;
        try
        {
            Note(proxy, "after start, empty");
            var fill = await FillAsync(proxy);
            total = await ExpectInstancesAsync(proxy, _services * _instances);
            Note(proxy, "after the fill");

            _report.Line(string.Create(CultureInfo.InvariantCulture, $"- store: {Machine.FileSystemOf(directory)}; appending 4 KiB and syncing there takes {sync.Quantile(0.5):0.00} ms (median), {sync.Quantile(0.99):0.00} ms (p99)"));
            _report.Section("Fill");
            _report.Line("");
            _report.Line(string.Create(CultureInfo.InvariantCulture, $"{total} instances of {_services} services by {_clients} concurrent clients: {fill:0.0} s, {total / fill:#,0} registrations a second."));

            calls = await RegisterFurtherAsync(proxy);
            total = await ExpectInstancesAsync(proxy, total + calls.Added);
            Note(proxy, $"after the further registrations ({total} instances)");
            await ShortLoadAsync(proxy, generator);
        }
        finally
        {
            await proxy.DisposeAsync();
        }

        calls.Tell(_report);
        var restarts = await RestartAsync(directory, generator, total);
        TellMemory();
        Judge(calls, restarts);
    }

    /// <returns>Seconds.</returns>
    private async Task<double> FillAsync(ProxyProcess proxy)
    {
        await Say($"registering {_services * _instances} instances");
        var next = -1;
        var total = _services * _instances;
        var start = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, _clients).Select(async _ =>
        {
            for (int i; (i = Interlocked.Increment(ref next)) < total;)
            {
                _interrupted.ThrowIfCancellationRequested();
                // Services in turn, as a fleet comes up: not all instances of one before the next.
                await proxy.RegisterAsync(Names.Service(i % _services), Names.Instance(i / _services), _backendPort);
            }
        }));
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>One call at a time, the kinds mixed, so that none has the machine's better minute.</summary>
    private async Task<Calls> RegisterFurtherAsync(ProxyProcess proxy)
    {
        var pairs = _options.Number("further", 2000, 2, 100_000) / 2;
        var others = _options.Number("others", 500, 0, 100_000);
        await Say($"{2 * pairs} further registrations, one at a time");
        var calls = new Calls();
        for (var i = 0; i < Math.Max(pairs, others); i++)
        {
            _interrupted.ThrowIfCancellationRequested();
            var service = Names.Service(i * 7 % _services);
            if (i < pairs)
            {
                await calls.TimeAsync(Calls.New, () => proxy.RegisterAsync(service, $"further-{i}", _backendPort), HttpStatusCode.Created);
                await calls.TimeAsync(Calls.Again, () => proxy.RegisterAsync(service, Names.Instance(i % _instances), _backendPort), HttpStatusCode.OK);
            }

            if (i < others)
            {
                await calls.TimeAsync("instance of a new service", () => proxy.RegisterAsync($"further-service-{i}", "first", _backendPort), HttpStatusCode.Created);
                // Another weight each time that the round comes back to a service, and never the fill's, which is 1.
                await calls.TimeAsync("re-registration with another weight",
                    () => proxy.RegisterAsync(Names.Service(i % _services), Names.Instance(0), _backendPort, weight: 2 + (i / _services % 999)), HttpStatusCode.OK);
                await calls.TimeAsync("heartbeat", async () =>
                {
                    await proxy.HeartbeatAsync(service, Names.Instance(0));
                    return HttpStatusCode.NoContent;
                }, HttpStatusCode.NoContent);
            }
        }

        return calls;
    }

    private async Task ShortLoadAsync(ProxyProcess proxy, ChildProcess generator)
    {
        var seconds = _options.Number("load-seconds", 5, 1, 600);
        foreach (var services in _options.Numbers("load-services", [Math.Min(100, _services), _services], 1, _services))
        {
            _interrupted.ThrowIfCancellationRequested();
            await Say($"load on {services} services");
            var result = await generator.LoadAsync(new LoadOrder(proxy.Data.Port, 32, seconds, services));
            if (result.Errors > 0)
                throw new InvalidOperationException($"{result.Errors} of {result.Requests + result.Errors} requests failed, the first with {result.FirstError}");
            Note(proxy, string.Create(CultureInfo.InvariantCulture, $"after {seconds} s of requests to {services} services ({result.Requests} requests)"));
        }
    }

    private async Task<List<(string Signal, double Stop, StartTimes Times)>> RestartAsync(string directory, ChildProcess generator, int total)
    {
        var restarts = new List<(string, double, StartTimes)>();
        var rounds = _options.Number("restarts", 3, 1, 100);
        var host = $"{Names.Service(_services - 1)}.alicia.local";
        for (var i = 0; i < 2 * rounds; i++)
        {
            _interrupted.ThrowIfCancellationRequested();
            var kill = i % 2 == 1;
            await Say($"restart {i + 1} of {2 * rounds}");
            var (proxy, _) = await ProxyProcess.StartAsync(_program, directory, _settings);
            await using (proxy)
            {
                // Something to lose: a registration just before the end, which read-your-writes promised to keep.
                await proxy.RegisterAsync(Names.Service(i % _services), $"late-{i}", _backendPort);
                var stopping = Stopwatch.GetTimestamp();
                await (kill ? proxy.KillAsync() : proxy.TerminateAsync());
                var stopped = Stopwatch.GetElapsedTime(stopping).TotalSeconds;
                var (again, times) = await ProxyProcess.StartAsync(_program, directory, _settings, routedHost: host);
                await using (again)
                {
                    Note(again, $"after restart {i + 1}, at the first answer");
                    await ExpectInstancesAsync(again, total + i + 1);
                    if (i == (2 * rounds) - 1)
                        await ShortLoadAsync(again, generator);
                }

                restarts.Add((kill ? "SIGKILL" : "SIGTERM", stopped, times));
            }
        }

        _report.Section("Restart");
        _report.Line("");
        _report.Line($"{rounds} of each; seconds as median (range), from the creation of the process. The stop is from the signal to the end of the process.");
        _report.Table(
            ["stopped by", "stop", "listening", "first routed answer", "/health/ready is 200"],
            restarts.GroupBy(r => r.Item1).Select(g => (IReadOnlyList<string>)
            [
                g.Key,
                new Samples(g.Select(r => r.Item2)).Spread("0.00"),
                new Samples(g.Select(r => r.Item3.Listening)).Spread("0.00"),
                new Samples(g.Select(r => r.Item3.Routing)).Spread("0.00"),
                new Samples(g.Select(r => r.Item3.Ready)).Spread("0.00"),
            ]));
        return restarts;
    }

    private void TellMemory()
    {
        _report.Section("Resident memory");
        _report.Table(["when", "MiB"], _memory.Select(m => (IReadOnlyList<string>)[m.When, Samples.Text(m.MiB, "0")]));
    }

    private void Judge(Calls calls, IEnumerable<(string Signal, double Stop, StartTimes Times)> restarts)
    {
        var slowest = Math.Max(calls.Of(Calls.New).Quantile(0.99), calls.Of(Calls.Again).Quantile(0.99));
        var restart = restarts.Max(r => r.Times.Ready);
        var memory = _memory.Max(m => m.MiB);
        _report.Section("Aims");
        _report.Table(["aim", "measured", "met"],
        [
            ["p99 of a registration ≤ 20 ms", Samples.Text(slowest, "0.0") + " ms", slowest <= AimRegistrationMs ? "yes" : "no"],
            ["ready ≤ 3 s after a restart", Samples.Text(restart, "0.00") + " s", restart <= AimRestartSeconds ? "yes" : "no"],
            ["resident memory ≤ 300 MiB at any of these moments", Samples.Text(memory, "0") + " MiB", memory <= AimMemoryMiB ? "yes" : "no"],
        ]);
    }

    private void Note(ProxyProcess proxy, string when) => _memory.Add((when, ProcessFigures.ResidentMiB(proxy.Id)));

    /// <exception cref="InvalidOperationException">A registration that was answered is not there.</exception>
    private static async Task<int> ExpectInstancesAsync(ProxyProcess proxy, int expected)
    {
        var actual = await proxy.TotalInstancesAsync();
        return actual == expected ? actual : throw new InvalidOperationException($"the proxy has {actual} instances, not {expected}");
    }

    /// <summary>What a durable commit costs at least on this disk: appending a page to a file and syncing it, in milliseconds.</summary>
    private static Samples CommitFloor(string directory)
    {
        var path = Path.Combine(directory, "sync");
        using var file = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0, FileOptions.DeleteOnClose);
        var page = new byte[4096];
        var times = new List<double>();
        for (var i = 0; i < 300; i++)
        {
            var start = Stopwatch.GetTimestamp();
            file.Write(page);
            file.Flush(flushToDisk: true);
            times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }

        return new Samples(times);
    }

    private static Task Say(string what) => Console.Out.WriteLineAsync($"… {what}");
}

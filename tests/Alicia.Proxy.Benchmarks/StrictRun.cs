using System.Diagnostics;
using System.Globalization;
using System.Text;
using Alicia.Proxy.Benchmarks.Processes;
using Alicia.Proxy.Benchmarks.Reporting;
using Alicia.Proxy.Corpus;
using Alicia.Proxy.Http1;

namespace Alicia.Proxy.Benchmarks;

/// <summary>
/// <c>strict</c>: whether the guard of HTTP/1.1 reads generated inputs as a second, independent reading of the rules does, however they are cut; and what it costs: of a head alone, and of a request, beside
/// a build without it.
/// </summary>
internal sealed class StrictRun : IAsyncDisposable
{
    private const string With = "with both";
    private const string Without = "without the guard";
    private const string WithoutAnswers = "without the reading of answers";
    private const int Instances = 4;

    /// <summary>What a browser sends.</summary>
    private const string Head = "GET /tts/v1/voices?language=de HTTP/1.1\r\nHost: tts.alicia.local:8080\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
        + "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: de,en-US;q=0.7,en;q=0.3\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nConnection: keep-alive\r\n"
        + "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\nUpgrade-Insecure-Requests: 1\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\nPriority: u=0, i\r\n\r\n";

    private readonly VerbOptions _options;
    private readonly CancellationToken _interrupted;
    private readonly List<IAsyncDisposable> _running = [];
    private readonly List<Lane> _lanes = [];
    private readonly int _connections;

    private StrictRun(VerbOptions options, CancellationToken interrupted)
    {
        (_options, _interrupted) = (options, interrupted);
        _connections = options.Number("connections", 32, 1, 1000);
    }

    public static async Task<int> RunAsync(string[] args, CancellationToken interrupted)
    {
        var options = new VerbOptions("strict", args, "inputs", "seed", "without", "without-answers", "rounds", "seconds", "connections", "warm-up", "set");
        var report = new MarkdownReport("Strict HTTP/1.1", options.CommandLine, Machine.Here());
        var inputs = options.Number("inputs", 10_000_000, 0, 1_000_000_000);
        var failed = inputs > 0 && Fuzz(inputs, options, report, interrupted);
        MeasureHead(report);
        if (options.Text("without") is { } program)
        {
            await using var run = new StrictRun(options, interrupted);
            await run.ForwardAsync(program, report);
        }

        await report.FinishAsync(options.Report);
        return failed ? 1 : 0;
    }

    public async ValueTask DisposeAsync()
    {
        for (var i = _running.Count - 1; i >= 0; i--)
            await _running[i].DisposeAsync();
    }

    private static bool Fuzz(int inputs, VerbOptions options, MarkdownReport report, CancellationToken interrupted)
    {
        var seed = options.Number("seed", 1, 0, int.MaxValue - 100);
        // Each thread its own seed: the same inputs come whatever the number of cores.
        const int parts = 8;
        var startedAt = Stopwatch.GetTimestamp();
        var tallies = new RequestFuzz.Tally[parts];
        Parallel.For(0, parts, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount }, i => tallies[i] = RequestFuzz.Run(seed + i, inputs / parts, interrupted));
        report.Section("Generated inputs");
        report.Line("");
        report.Line(string.Create(CultureInfo.InvariantCulture, $"{tallies.Sum(t => t.Inputs):#,0} inputs from the seeds {seed} to {seed + parts - 1}, each read by the guard's parser at once and in pieces, and by a second parser that shares no code with it (`tests/Corpus/ReferenceRequests.cs`): {tallies.Sum(t => t.WholeRequests):#,0} whole requests, {tallies.Sum(t => t.Refused):#,0} inputs refused, **{tallies.Sum(t => t.Failures.Count)} read in two ways**. {Stopwatch.GetElapsedTime(startedAt).TotalSeconds:0} s."));
        foreach (var failure in tallies.SelectMany(t => t.Failures))
            report.Line($"- `{failure}`");
        return tallies.Any(t => t.Failures.Count > 0);
    }

    private static void MeasureHead(MarkdownReport report)
    {
        const int heads = 400_000;
        var bytes = Encoding.ASCII.GetBytes(Head);
        var requests = new StrictRequests(StrictReading.Limits);
        var nanoseconds = new List<double>();
        var allocated = 0L;
        for (var round = 0; round < 12; round++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            var startedAt = Stopwatch.GetTimestamp();
            for (var i = 0; i < heads; i++)
                requests.Read(bytes);
            // The first rounds are compiled on the way.
            if (round >= 2)
                nanoseconds.Add(Stopwatch.GetElapsedTime(startedAt).TotalNanoseconds / heads);
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        }

        report.Section("A head");
        report.Line("");
        report.Line(string.Create(CultureInfo.InvariantCulture, $"A browser's head of {bytes.Length} bytes and {Head.Split("\r\n").Length - 3} fields: {new Samples(nanoseconds).Spread("0")} ns, {(double)allocated / heads:0} bytes allocated."));
    }

    private async Task ForwardAsync(string without, MarkdownReport report)
    {
        var directory = Directory.CreateTempSubdirectory("alicia-bench-");
        try
        {
            var (backend, backendPort) = await Programs.StartBackendAsync(128);
            _running.Add(backend);
            var generator = Programs.StartGenerator();
            _running.Add(generator);
            await StartAsync(With, Programs.Proxy, directory.FullName, backendPort);
            await StartAsync(Without, without, directory.FullName, backendPort);
            if (_options.Text("without-answers") is { } withoutAnswers)
                await StartAsync(WithoutAnswers, withoutAnswers, directory.FullName, backendPort);
            foreach (var lane in _lanes)
                await lane.RunAsync(generator, round: -1, _connections, _options.Number("warm-up", 8, 1, 600));
            var (rounds, seconds) = (_options.Number("rounds", 12, 1, 200), _options.Number("seconds", 4, 1, 600));
            for (var round = 0; round < rounds; round++)
            {
                for (var i = 0; i < _lanes.Count; i++)
                {
                    _interrupted.ThrowIfCancellationRequested();
                    await _lanes[(i + round) % _lanes.Count].RunAsync(generator, round, _connections, seconds);
                }
            }

            report.Section("A request");
            report.Line("");
            report.Line(string.Create(CultureInfo.InvariantCulture, $"GET, answer of 128 bytes, HTTP/1.1 keep-alive, {_connections} connections in a closed loop; {rounds} rounds of {seconds} s for each lane, lanes interleaved. Medians with their range; ratios are taken within a round. The other lanes are builds of the same commit that leave something out: the guard in front of the server's HTTP, or what reads instances' answers for YARP's forwarder. Aim: at most 3 % more CPU for the guard."));
            report.Table(["lane", "requests/s", "CPU µs/request", $"CPU {With}, over this lane"], _lanes.Select(Row));
        }
        finally
        {
            await DisposeAsync();
            _running.Clear();
            directory.Delete(recursive: true);
        }
    }

    private async Task StartAsync(string name, string program, string directory, int backendPort)
    {
        var (proxy, _) = await ProxyProcess.StartAsync(program, Directory.CreateDirectory(Path.Combine(directory, name)).FullName, _options.All("set"));
        _running.Add(proxy);
        for (var i = 0; i < Instances; i++)
            await proxy.RegisterAsync(Names.Service(0), Names.Instance(i), backendPort, maxConnections: 1000);
        _lanes.Add(new Lane(name, proxy.Data.Port, proxy.Id));
    }

    private IReadOnlyList<string> Row(Lane lane) =>
    [
        lane.Name,
        new Samples(lane.Rounds.Select(r => r.Load.PerSecond)).Spread("#,0"),
        new Samples(lane.Rounds.Select(r => r.CpuMicroseconds)).Spread("0.0"),
        lane == _lanes[0] ? "" : new Samples(lane.Rounds.Select(r => _lanes[0].Rounds.Single(o => o.Number == r.Number).CpuMicroseconds / r.CpuMicroseconds)).Spread("0.000"),
    ];
}

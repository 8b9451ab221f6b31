using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Alicia.Proxy.Benchmarks.Load;
using Alicia.Proxy.Benchmarks.Processes;
using Alicia.Proxy.Benchmarks.Reporting;
using MQTTnet;

namespace Alicia.Proxy.Benchmarks;

/// <summary>
/// <c>bus</c>: what a storm of messages on the bus does to requests. Three lanes in turn, so that a slow minute of the machine falls on each alike: no messages;
/// the same messages on a topic that the proxy does not follow, which is what publisher and broker cost the machine; and messages to the proxy.
/// </summary>
internal sealed class BusRun
{
    private const double AimRatio = 1.2;
    private const string Health = "alicia/system/health/load_balancer";

    private readonly VerbOptions _options;
    private readonly CancellationToken _interrupted;
    private readonly int _rate;
    private readonly int _seconds;
    private readonly int _connections;
    private readonly int _pause;
    private readonly bool _apart;
    private readonly MarkdownReport _report;
    private readonly List<Measured> _measured = [];

    private BusRun(VerbOptions options, CancellationToken interrupted)
    {
        _options = options;
        _interrupted = interrupted;
        _rate = options.Number("rate", 10_000, 100, 1_000_000);
        _seconds = options.Number("seconds", 10, 1, 600);
        _connections = options.Number("connections", 1, 1, 1000);
        _pause = options.Number("pause", 1, 0, 1000);
        _apart = (options.Text("cores") ?? "apart") switch
        {
            "apart" => true,
            "shared" => false,
            _ => throw new UsageException("--cores is apart or shared"),
        };
        _report = new MarkdownReport("Requests beside a storm on the bus", options.CommandLine, Machine.Here());
    }

    public static async Task<int> RunAsync(string[] args, CancellationToken interrupted)
    {
        var options = new VerbOptions("bus", args, "rate", "seconds", "rounds", "connections", "pause", "cores", "set", "proxy");
        var directory = Directory.CreateTempSubdirectory("alicia-bench-");
        try
        {
            var run = new BusRun(options, interrupted);
            await run.MeasureAsync(directory.FullName);
            await run.TellAsync();
            return 0;
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    private async Task MeasureAsync(string directory)
    {
        var program = Programs.Find("mosquitto") ?? throw new UsageException("bus needs Mosquitto's broker, the program 'mosquitto'");
        var brokerPort = FreePort();
        var configuration = Path.Combine(directory, "mosquitto.conf");
        await File.WriteAllTextAsync(configuration, $"listener {brokerPort} 127.0.0.1\nallow_anonymous true\n{(Environment.UserName == "root" ? "user root\n" : "")}", _interrupted);
        await using var broker = ChildProcess.Start(program, ["-c", configuration], [], directory);
        var (backend, backendPort) = await Programs.StartBackendAsync(bytes: 128);
        await using var backendEnds = backend;
        await using var generator = Programs.StartGenerator();
        string[] settings = [.. _options.All("set"), "Mqtt:Host=127.0.0.1", string.Create(CultureInfo.InvariantCulture, $"Mqtt:Port={brokerPort}")];
        var (proxy, _) = await ProxyProcess.StartAsync(_options.Text("proxy") ?? Programs.Proxy, directory, settings);
        await using var proxyEnds = proxy;
        if (_apart)
        {
            // Broker and publisher stand for another machine.
            Cores.Keep(Environment.ProcessId, 1);
            Cores.Keep(broker.Id, 1);
            foreach (var id in (int[])[backend.Id, generator.Id, proxy.Id])
                Cores.Keep(id, 0);
        }

        await UntilConnectedAsync(proxy);
        var service = Names.Service(0);
        for (var i = 0; i < 4; i++)
            await proxy.RegisterAsync(service, Names.Instance(i), backendPort);

        using var publisher = await BusPublisherLoad.ConnectAsync(brokerPort);
        using var listener = await FollowHealthAsync(brokerPort);
        var messages = Messages(backendPort);
        var elsewhere = messages.Select(m => ("alicia/elsewhere/" + m.Topic, m.Text)).ToArray();
        // The first announcements are commits; what follows are repetitions.
        await publisher.RunAsync(messages, 500, 1, _interrupted);
        await generator.LoadAsync(new LoadOrder(proxy.Data.Port, _connections, 5, Services: 1, _pause));

        var rounds = _options.Number("rounds", 5, 1, 100);
        (string Name, IReadOnlyList<(string, string)>? Messages)[] lanes = [("no messages", null), ("messages elsewhere", elsewhere), ("messages to the proxy", messages)];
        for (var round = -1; round < rounds; round++)
        {
            for (var i = 0; i < lanes.Length; i++)
            {
                var lane = lanes[(i + round + 1) % lanes.Length];
                await Console.Out.WriteLineAsync(round < 0 ? $"… warm-up: {lane.Name}" : $"… round {round + 1} of {rounds}: {lane.Name}");
                var before = await listener.AskAsync();
                var cpu = ProcessFigures.CpuSeconds(proxy.Id);
                using var enough = CancellationTokenSource.CreateLinkedTokenSource(_interrupted);
                var storm = lane.Messages is null ? Task.FromResult(0L) : publisher.RunAsync(lane.Messages, _rate, _seconds, enough.Token);
                var load = await generator.LoadAsync(new LoadOrder(proxy.Data.Port, _connections, _seconds, Services: 1, _pause));
                var sent = await storm;
                cpu = ProcessFigures.CpuSeconds(proxy.Id) - cpu;
                var heard = await listener.AskAsync() - before;
                if (load.Errors > 0)
                    throw new InvalidOperationException($"{load.Errors} requests failed, the first with {load.FirstError}");
                if (round >= 0)
                    _measured.Add(new Measured(round, lane.Name, load, sent / (double)_seconds, heard / (double)_seconds, cpu));
            }
        }
    }

    /// <summary>What a house says: mostly how its services are, now and then an announcement.</summary>
    private static (string Topic, string Text)[] Messages(int backendPort) =>
    [
        .. Enumerable.Range(0, 20).Select(i => i % 10 == 9
            ? ("alicia/system/discovery/register", Enveloped(i, new { service_name = $"bus-{i}", status = "online", host = "127.0.0.1", port = backendPort }))
            : ($"alicia/system/health/bus-{(i < 10 ? 9 : 19)}", Enveloped(i, new { service_name = $"bus-{(i < 10 ? 9 : 19)}", status = "healthy", uptime = 17.5, errors = 0 }))),
    ];

    private static string Enveloped(int id, object payload) => JsonSerializer.Serialize(new
    {
        message_id = new Guid(id, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10).ToString(),
        timestamp = 1732350000.123,
        source = "tts_service",
        destination = "broadcast",
        message_type = "event",
        priority = "normal",
        ttl = 0,
        payload,
        routing = new { hops = 0, max_hops = 10 },
    });

    private async Task UntilConnectedAsync(ProxyProcess proxy)
    {
        for (var i = 0; i < 600; i++)
        {
            using var health = JsonDocument.Parse(await proxy.Api.GetStringAsync("/health", _interrupted));
            if (health.RootElement.GetProperty("mqtt_connected").GetBoolean())
                return;
            await Task.Delay(50, _interrupted);
        }

        throw new InvalidOperationException("the proxy did not connect to the broker");
    }

    private async Task<HealthListener> FollowHealthAsync(int port)
    {
        var listener = new HealthListener(new MqttClientFactory().CreateMqttClient());
        await listener.OpenAsync(port, _interrupted);
        return listener;
    }

    private async Task TellAsync()
    {
        _report.Line("");
        _report.Line(string.Create(CultureInfo.InvariantCulture,
            $"{_connections} connections, each waiting {_pause} ms between an answer and the next request; {(_apart ? "broker and publisher have a core of their own, as on a machine of their own" : "broker and publisher share the cores with the rest")}; messages of about 300 bytes, one in ten an announcement. Latencies in microseconds, medians over the rounds with their range."));
        _report.Table(
            ["lane", "requests/s", "p50", "p99", "messages/s sent", "taken by the proxy", "proxy CPU s/s"],
            _measured.GroupBy(m => m.Lane).Select(g => (IReadOnlyList<string>)
            [
                g.Key,
                new Samples(g.Select(m => m.Load.PerSecond)).Spread("0"),
                new Samples(g.Select(m => m.Load.P50)).Spread("0"),
                new Samples(g.Select(m => m.Load.P99)).Spread("0"),
                new Samples(g.Select(m => m.Sent)).Spread("0"),
                new Samples(g.Select(m => m.Heard)).Spread("0"),
                new Samples(g.Select(m => m.Cpu / _seconds)).Spread("0.00"),
            ]));
        var ratios = Ratio("no messages");
        var beyond = Ratio("messages elsewhere");
        _report.Section("Aims");
        _report.Table(["aim", "measured", "met"],
        [
            ["p99 with messages ≤ 1.2 × p99 without, median of the rounds", ratios.Spread("0.00"), ratios.Quantile(0.5) <= AimRatio ? "yes" : "no"],
            ["the same against messages that only publisher and broker handle", beyond.Spread("0.00"), beyond.Quantile(0.5) <= AimRatio ? "yes" : "no"],
        ]);
        await _report.FinishAsync(_options.Report);
    }

    private Samples Ratio(string lane) => new(_measured.Where(m => m.Lane == "messages to the proxy")
        .Select(m => m.Load.P99 / _measured.Single(o => o.Lane == lane && o.Round == m.Round).Load.P99));

    private static int FreePort()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }

    private sealed record Measured(int Round, string Lane, LoadResult Load, double Sent, double Heard, double Cpu);

    /// <summary>Asks the proxy over the bus how many messages it has taken.</summary>
    private sealed class HealthListener(IMqttClient client) : IDisposable
    {
        private TaskCompletionSource<long> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public async Task OpenAsync(int port, CancellationToken cancellation)
        {
            client.ApplicationMessageReceivedAsync += received =>
            {
                var payload = JsonDocument.Parse(received.ApplicationMessage.Payload).RootElement.GetProperty("payload");
                _answer.TrySetResult(payload.GetProperty("messages_processed").GetInt64() + payload.GetProperty("errors").GetInt64());
                return Task.CompletedTask;
            };
            await client.ConnectAsync(new MqttClientOptionsBuilder().WithTcpServer("127.0.0.1", port).Build(), cancellation);
            await client.SubscribeAsync(Health, cancellationToken: cancellation);
        }

        public async Task<long> AskAsync()
        {
            // Answers to earlier questions, and reports of their own accord, are let pass: two seconds are more than either takes.
            await Task.Delay(TimeSpan.FromSeconds(2));
            _answer = new TaskCompletionSource<long>(TaskCreationOptions.RunContinuationsAsynchronously);
            await client.PublishStringAsync("alicia/system/health/check", "{}");
            return await _answer.Task.WaitAsync(TimeSpan.FromSeconds(30));
        }

        public void Dispose() => client.Dispose();
    }
}

using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;

namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>Debian's Mosquitto with a directory and a port of its own, which may be killed and started again, and its command-line
/// clients.</summary>
internal sealed class Mosquitto : IAsyncDisposable
{
    public const string Package = "mosquitto";
    public const string Clients = "mosquitto-clients";

    private const string Program = "/usr/sbin/mosquitto";

    private readonly string _configuration;
    private ChildProcess _process = null!;

    private Mosquitto(string directory, string configuration, int port) => (Directory, _configuration, Port) = (directory, configuration, port);

    public string Directory { get; }

    public int Port { get; }

    public ChildProcess Process => _process;

    /// <summary>Arguments of the command-line clients beside host and port, such as a name and a password.</summary>
    public IReadOnlyList<string> ClientArguments { get; init; } = [];

    /// <summary>A broker that lets everybody in.</summary>
    public static Task<Mosquitto> StartAsync() => StartAsync((_, port) => $"""
        listener {port} 127.0.0.1
        allow_anonymous true
        """);

    /// <param name="configuration">Writes the configuration for a directory and a port; the directory is the broker's own.</param>
    public static async Task<Mosquitto> StartAsync(Func<string, int, string> configuration, params string[] clientArguments)
    {
        var directory = System.IO.Directory.CreateTempSubdirectory("alicia-mosquitto-").FullName;
        for (var attempt = 0; ; attempt++)
        {
            var port = FreePort();
            var text = configuration(directory, port) + (Environment.UserName == "root" ? "\nuser root\n" : "\n");
            var broker = new Mosquitto(directory, text, port) { ClientArguments = clientArguments };
            try
            {
                await broker.StartAgainAsync();
                return broker;
            }
            catch (ProcessEndedException) when (attempt < 5)
            {
                // Somebody took the port between our looking and its binding.
                await broker._process.DisposeAsync();
            }
        }
    }

    /// <summary>Starts it on the same port, with nothing of what it knew.</summary>
    public async Task StartAgainAsync()
    {
        if (_process is not null)
            await _process.DisposeAsync();
        var file = Path.Combine(Directory, "mosquitto.conf");
        await File.WriteAllTextAsync(file, _configuration);
        _process = ChildProcess.Start(Program, ["-c", file], Directory);
        await Eventually.Until("mosquitto listens", async () =>
        {
            if (_process.HasExited)
                throw new ProcessEndedException(_process.Transcript);
            using var probe = new TcpClient();
            try
            {
                await probe.ConnectAsync(IPAddress.Loopback, Port);
                return true;
            }
            catch (SocketException)
            {
                return false;
            }
        });
    }

    /// <summary>Ends it with SIGKILL and waits.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
    }

    /// <summary>Publishes with <c>mosquitto_pub</c>, at least once.</summary>
    public async Task PublishAsync(string topic, string text, params string[] arguments)
    {
        await using var client = ChildProcess.Start("mosquitto_pub", [.. Common(arguments), "-q", "1", "-t", topic, "-s"], Directory);
        // Over standard input: arguments are of limited length.
        await client.WriteAsync(text);
        client.CloseInput();
        (await client.WaitForExitAsync()).Should().Be(0, client.Transcript);
    }

    /// <summary>Follows topics with <c>mosquitto_sub</c>; subscribed when this returns.</summary>
    public async Task<BusListener> ListenAsync(string filter, params string[] arguments)
    {
        // Line by line: into a pipe it would else say nothing until its buffer is full.
        var client = ChildProcess.Start("stdbuf", ["-oL", "mosquitto_sub", .. Common(arguments), "-q", "1", "-d", "-t", filter, "-F", "message %r %t %p"], Directory);
        try
        {
            await client.WaitForLineAsync(line => line.StartsWith("Subscribed", StringComparison.Ordinal));
            return new BusListener(client);
        }
        catch
        {
            await client.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        System.IO.Directory.Delete(Directory, recursive: true);
    }

    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>What a test gives replaces what is usual.</summary>
    private IEnumerable<string> Common(string[] arguments) =>
        ["-h", "127.0.0.1", "-p", Port.ToString(CultureInfo.InvariantCulture), .. arguments.Length > 0 ? arguments : ClientArguments];
}

/// <summary>One message that a listener heard.</summary>
internal sealed record BusMessage(bool Retained, string Topic, JsonElement Body)
{
    public JsonElement Payload => Body.GetProperty("payload");

    public override string ToString() => $"{Topic} {Body}";
}

/// <summary>Who hears what is said on topics, by a program that shares no code with the proxy.</summary>
internal sealed class BusListener(ChildProcess process) : IAsyncDisposable
{
    private const string Mark = "message ";

    /// <summary>Messages so far, oldest first; those that are no JSON objects are left out.</summary>
    public IReadOnlyList<BusMessage> Heard
    {
        get
        {
            var heard = new List<BusMessage>();
            foreach (var line in process.Output.Where(l => l.StartsWith(Mark, StringComparison.Ordinal)))
            {
                var parts = line[Mark.Length..].Split(' ', 3);
                if (parts.Length == 3 && parts[2].StartsWith('{') && Parsed(parts[2]) is { } body)
                    heard.Add(new BusMessage(parts[0] == "1", parts[1], body));
            }

            return heard;
        }
    }

    /// <summary>Waits for a message that satisfies <paramref name="holds"/>.</summary>
    public async Task<BusMessage> UntilAsync(string what, Func<BusMessage, bool> holds, TimeSpan? deadline = null)
    {
        try
        {
            return (await Eventually.Until(what, () => Task.FromResult(Heard.FirstOrDefault(holds)), message => message is not null, deadline))!;
        }
        catch (ConditionNotMetException late)
        {
            throw new ConditionNotMetException($"{late.Message}\nheard:\n{string.Join('\n', Heard)}", late);
        }
    }

    public ValueTask DisposeAsync() => process.DisposeAsync();

    private static JsonElement? Parsed(string text)
    {
        try
        {
            return JsonElement.Parse(text);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

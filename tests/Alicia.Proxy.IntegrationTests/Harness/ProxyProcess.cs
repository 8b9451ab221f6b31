using System.Collections;

namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>How a run of the program ended.</summary>
internal sealed record ProgramEnd(int ExitCode, IReadOnlyList<string> Output, IReadOnlyList<string> Errors);

/// <summary>The proxy as its users run it: a process with its own directory, which may be stopped, killed and started again on the same
/// data and ports.</summary>
internal sealed class ProxyProcess : IAsyncDisposable
{
    private const string DataReady = "proxy listening on ";
    private const string ManagementReady = "management listening on ";

    private readonly ProxyOptions _options;
    private readonly Dictionary<Uri, HttpClient> _clients = [];
    private string _listen;
    private string _listenManagement;

    private ProxyProcess(ProxyOptions options, string directory)
    {
        _options = options;
        _listen = options.Listen;
        _listenManagement = options.ListenManagement;
        Directory = directory;
    }

    /// <summary>
    /// Which forwarder every proxy of this run has, <c>direct</c> or <c>yarp</c>; null for the default. <c>tests/run</c> lets the tests of forwarding run once with each.
    /// </summary>
    public static string? Forwarder { get; } = Environment.GetEnvironmentVariable("ALICIA_TESTS_FORWARDER") is { Length: > 0 } name ? name : null;

    /// <summary>True when HTTP/1.1 to clear-text instances goes by the direct forwarder in this run.</summary>
    public static bool IsDirect { get; } = Forwarder != "yarp";

    /// <summary>The running, or last, process; another one after a restart.</summary>
    public ChildProcess Process { get; private set; } = null!;

    /// <summary>Working directory with registry and configuration; deleted at the end.</summary>
    public string Directory { get; }

    public string ConfigPath => Path.Combine(Directory, "test.json");

    public string RegistryPath => Path.Combine(Directory, "registry.db");

    /// <summary>The data listeners as printed: <c>http://</c>, <c>h2c://</c>, <c>https://</c>.</summary>
    public IReadOnlyList<Uri> Listeners { get; private set; } = [];

    /// <summary>The first <c>http://</c> data listener.</summary>
    public Uri Address => Listener("http");

    /// <summary>The first <c>https://</c> data listener.</summary>
    public Uri SecureAddress => Listener("https");

    public Uri ManagementAddress { get; private set; } = null!;

    /// <summary>To the data plane, HTTP/1.1.</summary>
    public HttpClient Http => Client(Address, http2: false);

    /// <summary>To the data plane's first <c>h2c://</c> listener.</summary>
    public HttpClient H2c => Client(Listener("h2c"), http2: true);

    /// <summary>To the management listener.</summary>
    public HttpClient Api => Client(ManagementAddress, http2: false);

    /// <summary>The registry's calls, over <see cref="Api"/>.</summary>
    public RegistryApi Registry => new(Api);

    /// <summary>Standard output of the running process.</summary>
    public IReadOnlyList<string> Output => Process.Output;

    /// <summary>Lines of the log that match, once there are at least so many: a thread of its own writes them, a moment behind what they tell of.</summary>
    /// <exception cref="ConditionNotMetException">Fewer came; the message has the log.</exception>
    public async Task<string[]> LoggedAsync(Func<string, bool> matches, int atLeast = 1)
    {
        try
        {
            return await Eventually.Until($"{atLeast} such lines in the log", () => Task.FromResult<string[]>([.. Process.Errors.Where(matches)]), lines => lines.Length >= atLeast);
        }
        catch (ConditionNotMetException late)
        {
            throw new ConditionNotMetException($"{late.Message}\n{Process.Transcript}", late);
        }
    }

    /// <exception cref="ProcessEndedException">It ended before it listened; the message holds its output.</exception>
    /// <exception cref="ConditionNotMetException">It was not ready in time.</exception>
    public static async Task<ProxyProcess> StartAsync(ProxyOptions? options = null)
    {
        var proxy = new ProxyProcess(options ?? new ProxyOptions(), NewDirectory());
        try
        {
            if (proxy._options.ConfigJson is { } json)
                await proxy.WriteConfigAsync(json);
            await proxy.StartAgainAsync();
            return proxy;
        }
        catch
        {
            await proxy.DisposeAsync();
            throw;
        }
    }

    /// <summary>Runs the program to its end with exactly these arguments, in an empty directory of its own.</summary>
    /// <param name="configJson">Written to <c>test.json</c> there.</param>
    /// <exception cref="ConditionNotMetException">It did not end in time.</exception>
    public static async Task<ProgramEnd> RunAsync(
        IEnumerable<string> arguments, string? configJson = null, IReadOnlyDictionary<string, string?>? environment = null)
    {
        var directory = NewDirectory();
        try
        {
            if (configJson is not null)
                await File.WriteAllTextAsync(Path.Combine(directory, "test.json"), configJson);
            await using var process = ChildProcess.Start(Programs.Dotnet, [Programs.Proxy, .. arguments], directory, Clean(environment));
            var code = await process.WaitForExitAsync(Deadlines.Start);
            return new ProgramEnd(code, process.Output, process.Errors);
        }
        finally
        {
            System.IO.Directory.Delete(directory, recursive: true);
        }
    }

    /// <summary>Replaces the configuration file in one step, as an operator's tool would. Only for a proxy started with
    /// <see cref="ProxyOptions.ConfigJson"/>.</summary>
    public async Task WriteConfigAsync(string json)
    {
        var fresh = ConfigPath + ".new";
        await File.WriteAllTextAsync(fresh, json);
        File.Move(fresh, ConfigPath, overwrite: true);
    }

    /// <summary>Ends the process, by SIGKILL or by SIGTERM, and waits for its end.</summary>
    /// <returns>Its exit code.</returns>
    public Task<int> StopAsync(bool kill = false)
    {
        if (kill)
            Process.Kill();
        else
            Process.Terminate();
        return Process.WaitForExitAsync();
    }

    /// <summary>Starts it on the same directory and, after the first time, on the same ports.</summary>
    public async Task StartAgainAsync()
    {
        if (Process is { HasExited: false })
            throw new InvalidOperationException("the proxy still runs");
        if (Process is not null)
            await Process.DisposeAsync();

        string[] command = [
            .. _options.Wrapper,
            Programs.Dotnet,
            Programs.Proxy,
            $"--Listen:Proxy={_listen}",
            $"--Listen:Management={_listenManagement}",
            $"--Registry:Path={RegistryPath}",
            .. _options.Guards ? Array.Empty<string>() : ["--Defaults:HealthCheck:Enabled=false", "--Defaults:CircuitBreaker:FailureThreshold=10000"],
            .. Forwarder is { } forwarder ? [$"--Forwarding:Http1={forwarder}"] : Array.Empty<string>(),
            .. _options.ConfigJson is null ? Array.Empty<string>() : ["--config", ConfigPath],
            .. _options.Arguments,
        ];
        Process = ChildProcess.Start(command[0], command[1..], Directory, Clean(_options.Environment));
        await ReadListenersAsync();
        if (_options.WaitForReady)
            await UntilReadyAsync();
    }

    public async Task RestartAsync(bool kill = false)
    {
        await StopAsync(kill);
        await StartAgainAsync();
    }

    /// <summary>Waits until <c>/health/ready</c> answers 200.</summary>
    public async Task UntilReadyAsync()
    {
        try
        {
            await Eventually.Until(
                "the proxy is ready",
                async () =>
                {
                    using var answer = await Api.GetAsync("/health/ready");
                    return Process.HasExited
                        ? throw new ProcessEndedException($"ended before it was ready\n{Process.Transcript}")
                        : answer.StatusCode;
                },
                status => status == System.Net.HttpStatusCode.OK,
                Deadlines.Start);
        }
        catch (ConditionNotMetException late)
        {
            throw new ConditionNotMetException($"{late.Message}\n{Process.Transcript}", late);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Process is not null)
            await Process.DisposeAsync();
        foreach (var client in _clients.Values)
            client.Dispose();
        System.IO.Directory.Delete(Directory, recursive: true);
    }

    private async Task ReadListenersAsync()
    {
        var management = await Process.WaitForLineAsync(line => line.StartsWith(ManagementReady, StringComparison.Ordinal));
        ManagementAddress = new Uri(management[ManagementReady.Length..]);

        var count = _listen.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Length;
        Uri[] Printed() =>
            [.. Process.Output.Where(line => line.StartsWith(DataReady, StringComparison.Ordinal)).Select(line => new Uri(line[DataReady.Length..]))];
        await Eventually.Until($"{count} lines '{DataReady}…'", () => Printed().Length == count, Deadlines.Start);
        Listeners = Printed();

        _listen = string.Join(';', Listeners.Select(listener => listener.GetLeftPart(UriPartial.Authority)));
        _listenManagement = ManagementAddress.GetLeftPart(UriPartial.Authority);
    }

    /// <summary>The first data listener that was configured with this scheme, such as <c>proxy+http</c>.</summary>
    public Uri Listener(string scheme) =>
        Listeners.FirstOrDefault(listener => listener.Scheme == scheme)
        ?? throw new InvalidOperationException($"no {scheme} listener among: {string.Join(", ", Listeners)}");

    private HttpClient Client(Uri address, bool http2)
    {
        lock (_clients)
        {
            if (!_clients.TryGetValue(address, out var client))
                _clients[address] = client = Clients.Create(new Uri($"{(address.Scheme.EndsWith("https", StringComparison.Ordinal) ? "https" : "http")}://{address.Authority}"), http2);
            return client;
        }
    }

    private static string NewDirectory() => System.IO.Directory.CreateTempSubdirectory("alicia-test-").FullName;

    /// <summary>What the developer's own environment sets for such programs must not decide a test.</summary>
    private static Dictionary<string, string?> Clean(IReadOnlyDictionary<string, string?>? wanted)
    {
        var environment = new Dictionary<string, string?>();
        foreach (DictionaryEntry entry in Environment.GetEnvironmentVariables())
        {
            var name = (string)entry.Key;
            if (name.StartsWith("MQTT_", StringComparison.Ordinal)
                || name.StartsWith("ASPNETCORE_", StringComparison.Ordinal)
                || name == "DOTNET_ENVIRONMENT")
                environment[name] = null;
        }
        foreach (var (name, value) in wanted ?? new Dictionary<string, string?>())
            environment[name] = value;
        return environment;
    }
}

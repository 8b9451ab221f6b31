using System.Collections;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Alicia.Proxy.Benchmarks.Load;

namespace Alicia.Proxy.Benchmarks.Processes;

/// <summary>How long a start took, in seconds from the creation of the process.</summary>
/// <param name="Listening">Until it said that it listens.</param>
/// <param name="Routing">Until a request through the data plane was answered by an instance; NaN when none was asked for.</param>
/// <param name="Ready">Until <c>/health/ready</c> answered 200.</param>
internal sealed record StartTimes(double Listening, double Routing, double Ready);

/// <summary>The proxy as its users run it: a process with a directory of its own, on ports that the system assigns.</summary>
internal sealed class ProxyProcess : IAsyncDisposable
{
    private static readonly TimeSpan _pollEvery = TimeSpan.FromMilliseconds(5);

    private readonly ChildProcess _process;

    private ProxyProcess(ChildProcess process, IReadOnlyList<Uri> data, Uri management)
    {
        _process = process;
        Listeners = data;
        Api = NewClient(management);
    }

    public int Id => _process.Id;

    /// <summary>The end of what it wrote to standard error.</summary>
    public string LastErrors => _process.LastErrors();

    /// <summary>Lines of its standard output so far.</summary>
    public long OutputLines => _process.OutputLines;

    /// <summary>Listeners of the data plane.</summary>
    public IReadOnlyList<Uri> Listeners { get; }

    /// <summary>The one for HTTP/1.1.</summary>
    public Uri Data => Listeners.First(l => l.Scheme == "http");

    /// <summary>To the management listener; one connection for each request under way.</summary>
    public HttpClient Api { get; }

    /// <param name="program">The proxy's assembly.</param>
    /// <param name="directory">Working directory; holds the registry unless <paramref name="settings"/> say otherwise.</param>
    /// <param name="settings"><c>Section:Key=VALUE</c>.</param>
    /// <param name="environment">Runtime settings.</param>
    /// <param name="routedHost">Host of a request that shows that routing works, or null for none.</param>
    public static Task<(ProxyProcess Proxy, StartTimes Times)> StartAsync(
        string program, string directory, IEnumerable<string> settings, IEnumerable<KeyValuePair<string, string?>>? environment = null, string? routedHost = null) =>
        StartAsync([program], directory, settings, environment ?? [], routedHost);

    /// <summary>Starts the proxy inside this program, where <see cref="AllocatedBytesAsync"/> works.</summary>
    public static async Task<ProxyProcess> StartCountedAsync(string directory, IEnumerable<string> settings) =>
        (await StartAsync([Programs.Self, CountedProxy.Verb], directory, settings, [], null)).Proxy;

    private static async Task<(ProxyProcess Proxy, StartTimes Times)> StartAsync(
        IEnumerable<string> program, string directory, IEnumerable<string> settings, IEnumerable<KeyValuePair<string, string?>> environment, string? routedHost)
    {
        var started = Stopwatch.GetTimestamp();
        const string Listen = "Listen:Proxy=";
        string[] all = [$"{Listen}http://127.0.0.1:0", .. settings];
        var listeners = all.Last(s => s.StartsWith(Listen, StringComparison.Ordinal)).Split(';').Length;
        var process = ChildProcess.Start(
            Programs.Dotnet,
            [.. program, "--Defaults:HealthCheck:Enabled=false", "--Listen:Management=http://127.0.0.1:0", $"--Registry:Path={Path.Combine(directory, "registry.db")}",
                .. all.Select(s => "--" + s)],
            WithoutOwn(environment),
            directory);
        try
        {
            var addresses = new List<(string Plane, Uri Url)>();
            while (addresses.Count < 1 + listeners)
            {
                var line = await process.LineAsync("");
                if (line.Split(" listening on ") is [var plane, var url])
                    addresses.Add((plane, new Uri(url)));
            }

            var listening = Stopwatch.GetElapsedTime(started).TotalSeconds;
            var proxy = new ProxyProcess(process, [.. addresses.Where(a => a.Plane == "proxy").Select(a => a.Url)], addresses.Single(a => a.Plane == "management").Url);
            var ready = UntilOkAsync(proxy.Api, "/health/ready", null, started);
            using var client = NewClient(proxy.Data);
            var routing = routedHost is null ? Task.FromResult(double.NaN) : UntilOkAsync(client, "/", routedHost, started);
            return (proxy, new StartTimes(listening, await routing, await ready));
        }
        catch
        {
            await process.DisposeAsync();
            throw;
        }
    }

    /// <summary>Registers an instance on loopback.</summary>
    /// <exception cref="InvalidOperationException">It was refused; the message holds the answer.</exception>
    public async Task<HttpStatusCode> RegisterAsync(string service, string instance, int port, int weight = 1, int maxConnections = 100)
    {
        using var body = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(
            new { instance_id = instance, host = "127.0.0.1", port, weight, max_connections = maxConnections, metadata = new { zone = "kitchen", version = "1.4.2" } }));
        body.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        using var answer = await Api.PostAsync($"/services/{service}/register", body);
        return answer.IsSuccessStatusCode
            ? answer.StatusCode
            : throw new InvalidOperationException($"{service}/{instance}: {(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync()}");
    }

    public async Task HeartbeatAsync(string service, string instance)
    {
        using var answer = await Api.PostAsync($"/services/{service}/{instance}/heartbeat", null);
        answer.EnsureSuccessStatusCode();
    }

    public async Task<int> TotalInstancesAsync()
    {
        await using var body = await Api.GetStreamAsync("/stats");
        using var stats = await JsonDocument.ParseAsync(body);
        return stats.RootElement.GetProperty("total_instances").GetInt32();
    }

    /// <summary>Bytes allocated on the managed heap so far.</summary>
    public async Task<long> AllocatedBytesAsync()
    {
        await _process.SendAsync("");
        return long.Parse(await _process.LineAsync(CountedProxy.Allocated), CultureInfo.InvariantCulture);
    }

    public Task TerminateAsync() => _process.TerminateAsync();

    public Task KillAsync() => _process.KillAsync();

    public async ValueTask DisposeAsync()
    {
        Api.Dispose();
        await _process.DisposeAsync();
    }

    private static HttpClient NewClient(Uri address) =>
        new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false }) { BaseAddress = address, Timeout = TimeSpan.FromSeconds(60) };

    private static async Task<double> UntilOkAsync(HttpClient client, string path, string? host, long started)
    {
        var status = default(HttpStatusCode);
        while (Stopwatch.GetElapsedTime(started) < ChildProcess.Patience)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, path);
            request.Headers.Host = host;
            using var answer = await client.SendAsync(request);
            status = answer.StatusCode;
            if (status == HttpStatusCode.OK)
                return Stopwatch.GetElapsedTime(started).TotalSeconds;
            await Task.Delay(_pollEvery);
        }

        throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"{path} still answers {(int)status} after {ChildProcess.Patience.TotalSeconds} s"));
    }

    /// <summary>What this process's environment sets for runtime and program must not decide a measurement.</summary>
    private static IEnumerable<KeyValuePair<string, string?>> WithoutOwn(IEnumerable<KeyValuePair<string, string?>> wanted) =>
        Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().Select(e => (string)e.Key)
            .Where(n => n.StartsWith("MQTT_", StringComparison.Ordinal) || n.StartsWith("ASPNETCORE_", StringComparison.Ordinal)
                || (n.StartsWith("DOTNET_", StringComparison.Ordinal) && n != "DOTNET_ROOT" && n != "DOTNET_HOST_PATH"))
            .Select(n => new KeyValuePair<string, string?>(n, null))
            .Concat(wanted);
}

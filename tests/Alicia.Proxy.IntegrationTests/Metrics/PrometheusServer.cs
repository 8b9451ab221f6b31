using System.Net.Http.Json;
using System.Text.Json;
using System.Text.RegularExpressions;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Metrics;

/// <summary>Debian's Prometheus with a directory and a configuration of its own, scraping one proxy every second.</summary>
internal sealed partial class PrometheusServer : IAsyncDisposable
{
    public const string Package = "prometheus";
    public const string Job = "alicia_proxy";

    private readonly string _directory;
    private readonly ChildProcess _process;
    private readonly HttpClient _http;

    private PrometheusServer(string directory, ChildProcess process, HttpClient http) => (_directory, _process, _http) = (directory, process, http);

    public static async Task<PrometheusServer> StartAsync(Uri management, string? key = null)
    {
        var directory = Directory.CreateTempSubdirectory("alicia-prometheus-").FullName;
        var configuration = Path.Combine(directory, "prometheus.yml");
        await File.WriteAllTextAsync(configuration, $$"""
            global: { scrape_interval: 1s, scrape_timeout: 1s }
            scrape_configs:
              - job_name: {{Job}}
                {{(key is null ? "" : $"authorization: {{ credentials: \"{key}\" }}")}}
                static_configs: [ { targets: ["{{management.Authority}}"] } ]
            """);
        var process = ChildProcess.Start("prometheus",
            [$"--config.file={configuration}", $"--storage.tsdb.path={Path.Combine(directory, "data")}", "--web.listen-address=127.0.0.1:0", "--log.level=info"], directory);
        try
        {
            var address = await Eventually.Until("Prometheus listens", () => Task.FromResult(process.HasExited
                    ? throw new ProcessEndedException(process.Transcript)
                    : process.Errors.Select(l => ListeningPattern().Match(l)).FirstOrDefault(m => m.Success)?.Groups[1].Value),
                found => found is not null, Deadlines.Start);
            return new PrometheusServer(directory, process, Clients.Create(new Uri($"http://{address}"), http2: false));
        }
        catch
        {
            await process.DisposeAsync();
            Directory.Delete(directory, recursive: true);
            throw;
        }
    }

    /// <summary>The samples of an expression, now: labels and value.</summary>
    public async Task<IReadOnlyList<(IReadOnlyDictionary<string, string> Labels, double Value)>> QueryAsync(string expression)
    {
        var answer = await _http.GetFromJsonAsync<JsonElement>("/api/v1/query?query=" + Uri.EscapeDataString(expression));
        answer.GetProperty("status").GetString().Should().Be("success");
        return [.. answer.GetProperty("data").GetProperty("result").EnumerateArray().Select(sample => (
            (IReadOnlyDictionary<string, string>)sample.GetProperty("metric").EnumerateObject().ToDictionary(l => l.Name, l => l.Value.GetString()!),
            double.Parse(sample.GetProperty("value")[1].GetString()!, System.Globalization.CultureInfo.InvariantCulture)))];
    }

    /// <summary>The one value of an expression; null when it has none.</summary>
    public async Task<double?> ValueAsync(string expression) => await QueryAsync(expression) is [var (_, value)] ? value : null;

    public Task UntilAsync(string condition, string expression, Func<double?, bool> holds) => Eventually.Until(condition, () => ValueAsync(expression), holds);

    /// <summary>What Prometheus says of its one target: <c>up</c> or <c>down</c>, and the last error.</summary>
    public async Task<(string Health, string Error)> TargetAsync()
    {
        var answer = await _http.GetFromJsonAsync<JsonElement>("/api/v1/targets?state=active");
        var target = answer.GetProperty("data").GetProperty("activeTargets").EnumerateArray().Single();
        return (target.GetProperty("health").GetString()!, target.GetProperty("lastError").GetString()!);
    }

    public async ValueTask DisposeAsync()
    {
        _http.Dispose();
        await _process.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [GeneratedRegex("msg=\"Listening on\" address=(127\\.0\\.0\\.1:\\d+)")]
    private static partial Regex ListeningPattern();
}

using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;

namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>What a backend has counted; see its README.</summary>
internal sealed record BackendStats(
    string Name,
    long Requests,
    long InFlight,
    long MaxInFlight,
    long Aborted,
    long HealthProbes,
    long ConnectionsTotal,
    long ConnectionsOpen,
    IReadOnlyDictionary<string, int> Held,
    IReadOnlyDictionary<string, long> Paths)
{
    /// <summary>As JSON, so that failure messages show the dictionaries too.</summary>
    public override string ToString() => JsonSerializer.Serialize(this);
}

/// <summary>What a backend's echo received.</summary>
internal sealed record Echo(
    string Name,
    string Method,
    string RawTarget,
    string Protocol,
    IReadOnlyList<IReadOnlyList<string>> Headers,
    long BodyLength,
    string BodySha256,
    string? BodyBase64,
    IReadOnlyList<IReadOnlyList<string>> Trailers)
{
    /// <summary>The values of <paramref name="field"/>, in their order; names compare without case.</summary>
    public IReadOnlyList<string> Values(string field) =>
        [.. Headers.Where(pair => pair[0].Equals(field, StringComparison.OrdinalIgnoreCase)).Select(pair => pair[1])];
}

/// <summary>Imposed on every data request of a backend until changed; <see cref="Health"/> on its <c>/health</c>.</summary>
internal sealed record BackendMode(int? Status = null, int? DelayMs = null, bool Hang = false, BackendHealthMode? Health = null);

/// <inheritdoc cref="BackendMode"/>
internal sealed record BackendHealthMode(int? Status = null, int? DelayMs = null, bool Hang = false, string? Body = null);

/// <summary>A running scriptable upstream (tests/Alicia.Proxy.Backend).</summary>
internal sealed class Backend : IAsyncDisposable
{
    private const string Ready = "listening ";

    private static readonly JsonSerializerOptions _json = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    private Backend(string name, bool h2c, ChildProcess process, Uri address)
    {
        Name = name;
        H2c = h2c;
        Process = process;
        Address = address;
        Http = Clients.Create(address, h2c);
    }

    public string Name { get; }

    public bool H2c { get; }

    public ChildProcess Process { get; }

    public Uri Address { get; }

    public string Host => Address.Host;

    public int Port => Address.Port;

    /// <summary>Straight to the backend, past any proxy.</summary>
    public HttpClient Http { get; }

    /// <param name="port">0: any free one. A given one lets a test bring a backend back at its old address.</param>
    /// <param name="journal">Where it writes down what arrives; null for nowhere.</param>
    public static async Task<Backend> StartAsync(string name, bool h2c = false, int port = 0, Journal? journal = null)
    {
        string[] arguments = [Programs.Backend, "--name", name, "--port", port.ToString(CultureInfo.InvariantCulture)];
        if (h2c)
            arguments = [.. arguments, "--h2c"];
        if (journal is not null)
            arguments = [.. arguments, "--journal", journal.FileOf(name)];
        var process = ChildProcess.Start(Programs.Dotnet, arguments);
        try
        {
            var line = await process.WaitForLineAsync(l => l.StartsWith(Ready, StringComparison.Ordinal));
            return new Backend(name, h2c, process, new Uri(line[Ready.Length..]));
        }
        catch
        {
            await process.DisposeAsync();
            throw;
        }
    }

    public async Task<BackendStats> StatsAsync() =>
        (await Http.GetFromJsonAsync<BackendStats>("/control/stats", _json))!;

    /// <summary>Polls the counters until <paramref name="holds"/>.</summary>
    /// <exception cref="ConditionNotMetException">The deadline passed; the message shows the last counters.</exception>
    public Task<BackendStats> UntilStatsAsync(string condition, Func<BackendStats, bool> holds, TimeSpan? deadline = null) =>
        Eventually.Until($"backend {Name}: {condition}", StatsAsync, holds, deadline);

    /// <summary>Waits until exactly <paramref name="count"/> requests wait at <c>/hold/key</c>.</summary>
    public Task<BackendStats> UntilHeldAsync(string key, int count, TimeSpan? deadline = null) =>
        UntilStatsAsync($"{count} held at {key}", stats => stats.Held.GetValueOrDefault(key) == count, deadline);

    /// <summary>Null ends what was imposed.</summary>
    public async Task ModeAsync(BackendMode? mode = null)
    {
        using var answer = await Http.PostAsJsonAsync("/control/mode", mode ?? new BackendMode(), _json);
        answer.EnsureSuccessStatusCode();
    }

    /// <summary>Lets requests that wait at <c>/hold/key</c> go, oldest first; all of them when <paramref name="count"/> is null.</summary>
    /// <returns>How many went.</returns>
    public async Task<int> ReleaseAsync(string key, int? count = null)
    {
        using var answer = await Http.PostAsync($"/control/release/{key}{(count is null ? "" : $"?n={count}")}", null);
        answer.EnsureSuccessStatusCode();
        return (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("released").GetInt32();
    }

    /// <summary>Counters to zero, nothing imposed, nothing held.</summary>
    public async Task ResetAsync()
    {
        using var answer = await Http.PostAsync("/control/reset", null);
        answer.EnsureSuccessStatusCode();
    }

    /// <summary>Reads the answer of an echo, straight or through a proxy.</summary>
    public static async Task<Echo> EchoOfAsync(HttpResponseMessage answer)
    {
        var text = await answer.Content.ReadAsStringAsync();
        return answer.IsSuccessStatusCode
            ? JsonSerializer.Deserialize<Echo>(text, _json)!
            : throw new InvalidOperationException($"no echo but {(int)answer.StatusCode}: {text}");
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await Process.DisposeAsync();
    }
}

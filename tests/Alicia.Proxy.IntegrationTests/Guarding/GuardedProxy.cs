using System.Globalization;
using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Guarding;

/// <summary>
/// One proxy that probes and opens circuits, quickly, and four backends, for the tests of a class, which run one after the other. Each test takes a service of its own, and backends
/// of its own where it ends them.
/// </summary>
public sealed class GuardedProxy : IAsyncLifetime
{
    /// <summary>Short, so that tests need not wait; the timeout is long enough for a busy machine.</summary>
    internal static readonly IReadOnlyList<string> Quick =
    [
        "--Defaults:HealthCheck:Interval=00:00:02", "--Defaults:HealthCheck:Timeout=00:00:02", "--Defaults:HealthCheck:Fast=00:00:00.2",
        "--Defaults:CircuitBreaker:RecoveryTimeout=00:00:01",
    ];

    /// <summary>Settings of a service whose probes have no part in what is tested.</summary>
    internal static readonly object RareProbes = new { interval = 3600, timeout = 5, fast = 3600 };

    private readonly List<Backend> _own = [];
    private int _services;

    internal ProxyProcess Proxy { get; private set; } = null!;

    internal IReadOnlyList<Backend> Backends { get; private set; } = [];

    internal HttpClient Http => Proxy.Http;

    internal RegistryApi Registry => Proxy.Registry;

    public async Task InitializeAsync()
    {
        Backends = await Task.WhenAll(new[] { "a", "b", "c", "d" }.Select(name => Backend.StartAsync(name)));
        Proxy = await ProxyProcess.StartAsync(new ProxyOptions { Guards = true, Arguments = Quick, Listen = "http://127.0.0.1:0;h2c://127.0.0.1:0" });
    }

    public async Task DisposeAsync()
    {
        if (Proxy is not null)
            await Proxy.DisposeAsync();
        foreach (var backend in Backends.Concat(_own))
            await backend.DisposeAsync();
    }

    /// <summary>A service that no other test has, and the only one, so that nobody else's probes reach the backends; with the first <paramref name="instances"/> backends, at zero, as its active instances.</summary>
    /// <param name="settings">Of the service, as the API takes them.</param>
    /// <param name="extra">Fields of every registration.</param>
    internal async Task<string> ServiceAsync(int instances, object? settings = null, object? extra = null)
    {
        var service = "g" + Interlocked.Increment(ref _services).ToString(CultureInfo.InvariantCulture);
        foreach (var earlier in (await Registry.GetJsonAsync("/services")).GetProperty("services").EnumerateObject())
            using (await Registry.DeleteServiceAsync(earlier.Name)) { }
        foreach (var backend in Backends)
            await backend.ResetAsync();
        using (var put = await Registry.PutServiceAsync(service, settings ?? new { }))
            await RegistryApi.DocumentOfAsync(put);
        foreach (var backend in Backends.Take(instances))
            await RegisterActiveAsync(service, backend, extra);
        return service;
    }

    /// <summary>
    /// Waits until the circuit is half-open, and requests go by that. Management sees it first: gates that have moved are taken into the routing behind the registry's changes, so of two changes that come later the
    /// second is in force only behind them.
    /// </summary>
    internal async Task<JsonElement> UntilOnTrialAsync(string service, string instance)
    {
        var half = await Registry.UntilInstanceAsync(service, instance, "half-open", i => i.Circuit() == "half_open");
        using (var put = await Registry.PutServiceAsync("fence", new { }))
            await RegistryApi.DocumentOfAsync(put);
        using (await Registry.DeleteServiceAsync("fence")) { }
        return half;
    }

    /// <summary>Registers until the instance is active: with a short timeout, a first probe may fail on a busy machine.</summary>
    private Task<JsonElement> RegisterActiveAsync(string service, Backend backend, object? extra) => Eventually.Until(
        $"{service}/{backend.Name} is active",
        async () =>
        {
            using var answer = await Registry.RegisterAsync(service, backend, extra: extra, query: "wait=10");
            return await RegistryApi.DocumentOfAsync(answer);
        },
        instance => instance.State() == "active");

    /// <summary>A backend that a test may end.</summary>
    internal async Task<Backend> OwnBackendAsync(string name, int port = 0)
    {
        var backend = await Backend.StartAsync(name, port: port);
        _own.Add(backend);
        return backend;
    }

    /// <summary>Sends requests one after the other.</summary>
    /// <returns>Their statuses.</returns>
    internal async Task<IReadOnlyList<int>> SendAsync(string service, int count, string path)
    {
        var statuses = new List<int>();
        for (var i = 0; i < count; i++)
        {
            using var answer = await Http.GetAsync($"/{service}/{path}");
            statuses.Add((int)answer.StatusCode);
        }

        return statuses;
    }

    /// <summary>Sends one request and says which backend answered; its status must be a success.</summary>
    internal async Task<string> BackendOfAsync(string service)
    {
        using var answer = await Http.GetAsync($"/{service}/status/204");
        answer.IsSuccessStatusCode.Should().BeTrue($"{(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync()}");
        return answer.Headers.GetValues("X-Backend").Single();
    }

    /// <summary>The backends that answered <paramref name="count"/> requests, in order.</summary>
    internal async Task<IReadOnlyList<string>> BackendsOfAsync(string service, int count)
    {
        var names = new List<string>();
        for (var i = 0; i < count; i++)
            names.Add(await BackendOfAsync(service));
        return names;
    }
}

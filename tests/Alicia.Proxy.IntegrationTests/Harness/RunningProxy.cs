using System.Globalization;
using Alicia.Proxy.IntegrationTests.Http2;

namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>One proxy and four backends for the tests of a class, which run one after the other: processes take a second to start, services
/// nothing, so each test takes a service of its own and backends whose counters are at zero.</summary>
public sealed class RunningProxy : IAsyncLifetime
{
    private readonly TestAuthority _authority = new();
    private int _services;

    internal ProxyProcess Proxy { get; private set; } = null!;

    internal IReadOnlyList<Backend> Backends { get; private set; } = [];

    internal HttpClient Http => Proxy.Http;

    internal RegistryApi Registry => Proxy.Registry;

    public async Task InitializeAsync()
    {
        Backends = await Task.WhenAll(new[] { "a", "b", "c", "d" }.Select(name => Backend.StartAsync(name)));
        var (certificate, key) = _authority.Issue("running.test");
        Proxy = await ProxyProcess.StartAsync(new ProxyOptions
        {
            // Shown to nobody; its end is among the metrics.
            Arguments = [$"--Tls:Certificates:running:CertificateFile={certificate}", $"--Tls:Certificates:running:KeyFile={key}"],
        });
    }

    public async Task DisposeAsync()
    {
        if (Proxy is not null)
            await Proxy.DisposeAsync();
        foreach (var backend in Backends)
            await backend.DisposeAsync();
        _authority.Dispose();
    }

    /// <summary>A service that no other test has, with <paramref name="instances"/> backends as its instances <c>a</c>, <c>b</c>, …</summary>
    /// <param name="settings">Of the service, as the API takes them.</param>
    /// <param name="extra">Fields of the registration at that index.</param>
    internal async Task<string> ServiceAsync(int instances, object? settings = null, Func<int, object?>? extra = null)
    {
        var service = "s" + Interlocked.Increment(ref _services).ToString(CultureInfo.InvariantCulture);
        foreach (var backend in Backends)
            await backend.ResetAsync();
        using (var put = await Registry.PutServiceAsync(service, settings ?? new { }))
            await RegistryApi.DocumentOfAsync(put);
        for (var i = 0; i < instances; i++)
            await Registry.RegisterActiveAsync(service, Backends[i], extra: extra?.Invoke(i));
        return service;
    }

    /// <summary>Sends one request and says which backend answered; its status must be a success.</summary>
    internal async Task<string> BackendOfAsync(string service, string path = "status/204")
    {
        using var answer = await Http.GetAsync($"/{service}/{path}");
        answer.IsSuccessStatusCode.Should().BeTrue($"{(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync()}");
        return answer.Headers.GetValues("X-Backend").Single();
    }

    /// <summary>Data requests that all backends together have seen.</summary>
    internal async Task<long> SeenAsync() => (await Task.WhenAll(Backends.Select(backend => backend.StatsAsync()))).Sum(stats => stats.Requests);
}

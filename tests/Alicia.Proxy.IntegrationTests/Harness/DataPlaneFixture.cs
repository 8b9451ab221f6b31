namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>
/// One proxy for the tests of a class, with an HTTP/1.1 and an h2c listener, without probes and retries: each test sees one request and what came of it. Every test
/// makes services of its own.
/// </summary>
public sealed class DataPlaneFixture : IAsyncLifetime
{
    private int _services;

    internal ProxyProcess Proxy { get; private set; } = null!;

    internal Uri Address => Proxy.Address;

    public async Task InitializeAsync() => Proxy = await ProxyProcess.StartAsync(new ProxyOptions
    {
        Listen = "http://127.0.0.1:0;h2c://127.0.0.1:0",
        Arguments = ["--Defaults:HealthCheck:Enabled=false", "--Defaults:Retry:Attempts=0", "--Registry:Store=memory"],
    });

    public async Task DisposeAsync() => await Proxy.DisposeAsync();

    /// <summary>Makes a service with one instance.</summary>
    /// <param name="settings">Merge patch of the service's settings.</param>
    /// <param name="instance">Further fields of the registration.</param>
    /// <returns>The host that routes to it.</returns>
    internal async Task<string> ServiceAsync(string host, int port, object? settings = null, object? instance = null)
    {
        var service = $"s{Interlocked.Increment(ref _services)}";
        using var registered = await Proxy.Registry.RegisterAsync(service, host, port, extra: instance, query: "wait=10");
        await RegistryApi.DocumentOfAsync(registered);
        if (settings is not null)
        {
            using var patched = await Proxy.Registry.PatchServiceAsync(service, settings);
            await RegistryApi.DocumentOfAsync(patched);
        }

        return $"{service}.alicia.local";
    }

    internal Task<string> ServiceAsync(RawUpstream upstream, object? settings = null) => ServiceAsync(upstream.Host, upstream.Port, settings);

    internal Task<string> ServiceAsync(WireServer upstream, object? settings = null) => ServiceAsync("127.0.0.1", upstream.Port, settings);

    internal Task<string> ServiceAsync(Backend backend, object? settings = null) =>
        ServiceAsync(backend.Host, backend.Port, settings, backend.H2c ? new { protocol = "h2c" } : null);

    /// <summary>Sends the bytes of a request and reads to the end of the connection, which the request has to ask for.</summary>
    internal Task<RawAnswer> SendAsync(string request, TimeSpan? deadline = null) => RawHttp.SendAsync(Address, request, deadline);

    /// <summary>One exchange with an upstream that answers with the bytes of <paramref name="answer"/>.</summary>
    /// <param name="request">Has <c>{host}</c> where the service's host goes.</param>
    /// <returns>The head that the upstream saw, empty for none, and what the caller saw.</returns>
    internal async Task<(string Seen, RawAnswer Answer)> ExchangeAsync(string request, string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    {
        await using var upstream = RawUpstream.Start(answer);
        var host = await ServiceAsync(upstream);
        var got = await SendAsync(request.Replace("{host}", host, StringComparison.Ordinal));
        return (upstream.Heads.Count == 0 ? "" : upstream.Heads[^1], got);
    }

    /// <summary><see cref="ExchangeAsync"/> with a plain GET.</summary>
    internal async Task<RawAnswer> AnswerAsync(string answer) =>
        (await ExchangeAsync("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n", answer)).Answer;
}

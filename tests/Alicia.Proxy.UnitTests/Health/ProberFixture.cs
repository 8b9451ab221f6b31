using Alicia.Proxy.Connections;
using Alicia.Proxy.Health;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Settings;
using Alicia.Proxy.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace Alicia.Proxy.UnitTests.Health;

/// <summary>A prober as the proxy has it, over an empty registry with the built-in rules: loopback is allowed.</summary>
public abstract class ProberFixture : IAsyncLifetime
{
    private readonly ServiceRegistry _registry = new(new MemoryRegistryStore(), TimeProvider.System, NullLogger<ServiceRegistry>.Instance);
    private readonly Prober _prober;

    protected ProberFixture() => _prober = new Prober(
        new UpstreamConnector(new EndpointTable(), _registry, TimeProvider.System),
        new NameResolver(_registry, TimeProvider.System, NullLogger<NameResolver>.Instance),
        TimeProvider.System);

    public async Task InitializeAsync() => await _registry.LoadAsync(default);

    public virtual async Task DisposeAsync() => await _registry.DisposeAsync();

    private protected static UpstreamEndpoint Endpoint(int port, string host = "127.0.0.1", string scheme = "http", UpstreamProtocol protocol = UpstreamProtocol.Http1) =>
        new(1, "a", scheme, host, port) { Protocol = protocol };

    /// <summary>The defaults with these settings.</summary>
    private protected static ProbeSettings Settings(params (SettingKey Key, object? Value)[] own) =>
        ProbeSettings.Resolve(ServiceSettings.BuiltIn, own.Aggregate(SettingOverrides.Empty, (all, o) => all.With(o.Key, o.Value)));

    private protected Task<ProbeResult> ProbeAsync(int port, params (SettingKey Key, object? Value)[] own) => ProbeAsync(Endpoint(port), own);

    private protected Task<ProbeResult> ProbeAsync(UpstreamEndpoint endpoint, params (SettingKey Key, object? Value)[] own) =>
        _prober.ProbeAsync(endpoint, Settings(own), CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(20));

    private protected Task<ProbeResult> ProbeAsync(UpstreamEndpoint endpoint, ProbeSettings settings, CancellationToken cancellation) =>
        _prober.ProbeAsync(endpoint, settings, cancellation);
}

using System.Net.Sockets;
using Alicia.Proxy.Api;
using Alicia.Proxy.Balancing;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Configuration;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Draining;
using Alicia.Proxy.Ejection;
using Alicia.Proxy.Forwarding;
using Alicia.Proxy.Health;
using Alicia.Proxy.Live;
using Alicia.Proxy.ProxyProtocol;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Routing;
using Alicia.Proxy.Security;
using Alicia.Proxy.Telemetry;
using Alicia.Proxy.Tls;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Primitives;

namespace Alicia.Proxy.Hosting;

/// <summary>A fault that keeps the proxy from starting: what to print and what to exit with.</summary>
internal sealed class StartException(int exitCode, string message) : Exception(message)
{
    public int ExitCode { get; } = exitCode;
}

/// <summary>
/// One proxy in this process, from configuration to open listeners and back. The order is fixed: the registry is loaded and routed by before the first
/// connection is accepted, and the listeners close before the registry does.
/// </summary>
internal sealed class ProxyHost : IAsyncDisposable
{
    /// <summary>How long the first probes may keep the proxy from being ready.</summary>
    private static readonly TimeSpan FirstRound = TimeSpan.FromSeconds(3);

    /// <summary>How long before the end of the shutdown timeout upgraded connections are ended, at most: their peers are to see them close, not break.</summary>
    private static readonly TimeSpan FarewellLead = TimeSpan.FromSeconds(1);

    private readonly IHost _host;
    private readonly Listeners _listeners;

    private ProxyHost(IHost host, Listeners listeners) => (_host, _listeners) = (host, listeners);

    /// <summary>Where the listeners are bound: <c>proxy</c> or <c>management</c>, and a URL.</summary>
    public IEnumerable<(string Plane, string Url)> Bound => _listeners.Bound;

    public IServiceProvider Services => _host.Services;

    /// <summary>Builds and starts a proxy.</summary>
    /// <exception cref="StartException">It cannot start; the message says why.</exception>
    public static async Task<ProxyHost> StartAsync(ConfigurationLoader loader, ConfigurationLoad load, CancellationToken cancellation)
    {
        var configuration = load.Value!;
        if (AccessFiles.Faults(configuration) is { Count: > 0 } faults)
            throw new StartException(ExitCodes.Configuration, string.Join('\n', faults));
        var listeners = new Listeners(configuration.Listen, configuration.Tls.HandshakeTimeout, isInline: configuration.ForwardingHttp1 == Http1Forwarding.Direct);
        listeners.Use(configuration.Limits);
        var host = Build(loader, load, configuration, listeners);
        host.Services.GetRequiredService<LogOutput>();
        var proxy = new ProxyHost(host, listeners);
        try
        {
            await proxy.StartAsync(configuration, cancellation);
            return proxy;
        }
        catch
        {
            await proxy.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// Stops in order: not ready but accepting for the grace period, then no new connections while requests finish and, towards the end, WebSockets are closed, then the registry.
    /// </summary>
    /// <param name="hurry">Ends the wait that it finds: the grace period, else that for requests.</param>
    /// <param name="abandon">Ends the wait for requests after a grace period that was cut short.</param>
    public async Task StopAsync(CancellationToken hurry, CancellationToken abandon)
    {
        _host.Services.GetRequiredService<Readiness>().Leaving();
        var shutdown = _host.Services.GetRequiredService<CurrentConfiguration>().Value.Shutdown;
        if (shutdown.Grace > TimeSpan.Zero)
        {
            try
            {
                await Task.Delay(shutdown.Grace, _host.Services.GetRequiredService<TimeProvider>(), hurry);
            }
            catch (OperationCanceledException)
            {
                // Told twice.
            }
        }

        // They would never finish by themselves.
        _host.Services.GetRequiredService<EventStreams>().End();
        using var finish = CancellationTokenSource.CreateLinkedTokenSource(hurry.IsCancellationRequested ? abandon : hurry);
        finish.CancelAfter(shutdown.Timeout);
        using var stopped = CancellationTokenSource.CreateLinkedTokenSource(finish.Token);
        var farewell = EndTunnelsAsync(shutdown.Timeout - (shutdown.Timeout / 2 < FarewellLead ? shutdown.Timeout / 2 : FarewellLead), stopped.Token);
        await _host.StopAsync(finish.Token);
        await stopped.CancelAsync();
        await farewell;
    }

    public async ValueTask DisposeAsync()
    {
        if (_host is IAsyncDisposable disposable)
            await disposable.DisposeAsync();
        else
            _host.Dispose();
    }

    private async Task EndTunnelsAsync(TimeSpan delay, CancellationToken stopped)
    {
        try
        {
            await Task.Delay(delay, _host.Services.GetRequiredService<TimeProvider>(), stopped);
            _host.Services.GetRequiredService<OpenTunnels>().EndAll();
        }
        catch (OperationCanceledException)
        {
            // Nothing was left to end, or there is no time for it.
        }
    }

    private static IHost Build(ConfigurationLoader loader, ConfigurationLoad load, ProxyConfiguration configuration, Listeners listeners) => new HostBuilder()
        .ConfigureServices(services =>
        {
            services.AddSingleton(TimeProvider.System);
            var current = new CurrentConfiguration(configuration);
            services.AddSingleton(current);
            services.AddSingleton(listeners.Limits);
            ChangeToken.OnChange(() => current.ChangeToken, () => listeners.Use(current.Value.Limits));
            services.AddProxyLogging(configuration.Logging);
            services.AddSingleton<LiveTable>().AddSingleton<ProcessClock>().AddHostedService<RecentWindowTicker>();
            services.AddSingleton<GateSurroundings>().AddSingleton<GateTable>();
            services.AddTls();
            services.AddSingleton<ProxyHeaders>();
            services.AddRegistry(configuration.Registry);
            services.AddUpstreamConnections();
            services.AddBalancing(TimeProvider.System);
            services.AddSingleton(new AffinityKey(configuration.Affinity.Key));
            services.AddRouting();
            services.AddProxyRouting();
            services.AddForwarding(direct: configuration.ForwardingHttp1 == Http1Forwarding.Direct);
            services.AddSingleton<Departures>();
            // Not asked of the provider: a background loop may come to it after a start that failed has disposed of that.
            services.AddHealth(_ => current.Value.Registry.RemoveAfter);
            services.AddEjection();
            services.AddManagement();
            services.AddProxyMetrics(listeners.Callers, listeners.Managers, HealthEndpoints.Version);
            services.AddProxyBus(configuration.Mqtt, listeners);
            services.AddRequestObservation(HealthEndpoints.Version);
            services.AddHostedService(s => new ConfigurationWatcher(loader, s.GetRequiredService<CurrentConfiguration>(), load.Stamps,
                s.GetRequiredService<ConfigurationInForce>().ApplyWhenWritableAsync, TimeProvider.System, s.GetRequiredService<ILogger<ConfigurationWatcher>>())
            {
                Applied = s.GetRequiredService<AuditLog>().Configuration,
            });
            // A stop waits as long as StopAsync says, and no longer.
            services.Configure<HostOptions>(options => options.ShutdownTimeout = TimeSpan.FromMinutes(5));
        })
        .ConfigureWebHost(web => web
            .UseKestrel(listeners.Configure)
            // The server asks the one that was added last first.
            .ConfigureServices(services => services.AddSingleton<IConnectionListenerFactory>(s =>
                new InlineTransport(listeners, s.GetRequiredService<IOptions<SocketTransportOptions>>(), s.GetRequiredService<IMemoryPoolFactory<byte>>(), s.GetRequiredService<ILogger<InlineTransport>>())))
            .Configure(app =>
            {
                // Before the first service is there to be measured.
                app.ApplicationServices.GetRequiredService<MetricPipeline>().Open();
                app.MapWhen(Listeners.IsManagement, management => management.UseManagement());
                app.MapWhen(Listeners.IsRedirect, redirect => redirect.UseRedirectToTls(() => listeners.TlsPort));
                app.UseRequestObservation();
                app.UseDataPlane();
                // YARP has its first configuration now and the listeners are not open yet: the moment to route by the registry.
                app.ApplicationServices.GetRequiredService<SnapshotPublisher>().StartAsync().GetAwaiter().GetResult();
            }))
        .Build();

    private async Task StartAsync(ProxyConfiguration configuration, CancellationToken cancellation)
    {
        var services = _host.Services;
        var registry = services.GetRequiredService<ServiceRegistry>();
        var publisher = services.GetRequiredService<SnapshotPublisher>();
        var departures = services.GetRequiredService<Departures>();
        publisher.Departing = departures.Begin;
        publisher.DrainedByOperator = departures.DrainedByOperator;
        var health = services.GetRequiredService<HealthMonitor>();
        publisher.Departed = instance =>
        {
            health.Forget(instance.Epoch);
            departures.Forget(instance);
        };
        departures.Overdue = services.GetRequiredService<OpenTunnels>().EndAll;
        try
        {
            await registry.LoadAsync(cancellation);
        }
        catch (RegistryStoreException e)
        {
            throw new StartException(ExitCodes.Store, e.Message);
        }

        var own = services.GetRequiredService<OwnListeners>();
        own.Set(configuration.Listen.Endpoints);
        var faults = await services.GetRequiredService<ConfigurationInForce>().ApplyAsync(configuration, cancellation);
        if (faults.Count > 0)
            throw new StartException(registry.StoreFailing ? ExitCodes.Store : ExitCodes.Configuration, string.Join('\n', faults));
        // What was there at the start is no news; nobody can have followed before the listeners open.
        services.GetRequiredService<RegistryEvents>().Begin();
        try
        {
            await _host.StartAsync(cancellation);
        }
        catch (IOException e)
        {
            // Kestrel's words name the address and the reason: in use, not permitted, not ours.
            throw new StartException(ExitCodes.Failure, e.Message);
        }
        catch (SocketException e)
        {
            // The system's words name no address, and which of them it was is not said.
            throw new StartException(ExitCodes.Failure, $"Cannot listen on {string.Join(" or ", _listeners.Bound.Select(b => b.Url))}: {e.Message}.");
        }

        // With the ports that the system picked.
        own.Set(_listeners.Endpoints);
        _ = AnnounceAsync(health.FirstRoundAsync(), services.GetRequiredService<Readiness>(), services.GetRequiredService<TimeProvider>());
    }

    /// <summary>Ready when every instance has been probed once, or has had its time: until then, requests may still go to those that died while the proxy was away.</summary>
    private static async Task AnnounceAsync(Task firstRound, Readiness readiness, TimeProvider time)
    {
        await Task.WhenAny(firstRound, Task.Delay(FirstRound, time));
        readiness.Started();
    }
}

using Alicia.Proxy.Bus;
using Alicia.Proxy.Callers;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Configuration;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Events;
using Alicia.Proxy.Health;
using Alicia.Proxy.Live;
using Alicia.Proxy.ProxyProtocol;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Routing;
using Alicia.Proxy.Security;
using Alicia.Proxy.Tls;

namespace Alicia.Proxy.Telemetry;

internal static class MetricsServices
{
    /// <summary>Adds the proxy's metrics.</summary>
    /// <param name="services">The services.</param>
    /// <param name="callers">Connections to the data plane.</param>
    /// <param name="managers">Connections to management.</param>
    /// <param name="version">The program's.</param>
    public static IServiceCollection AddProxyMetrics(this IServiceCollection services, Crowd callers, Crowd managers, string version)
    {
        services.AddSingleton<ProxyMeter>();
        services.AddSingleton(s =>
        {
            var registry = s.GetRequiredService<ServiceRegistry>();
            return new CensusTaker(() => registry.Snapshot, s.GetRequiredService<LiveTable>(), s.GetRequiredService<GateTable>());
        });
        services.AddSingleton(s =>
        {
            var (meter, census, lives, configuration) =
                (s.GetRequiredService<ProxyMeter>(), s.GetRequiredService<CensusTaker>(), s.GetRequiredService<LiveTable>(), s.GetRequiredService<CurrentConfiguration>());
            _ = new InstanceMetrics(meter, census, lives, () => configuration.Value.Metrics.PerInstance);
            _ = new ServiceMetrics(meter, census, lives, callers, managers, s.GetRequiredService<UpstreamConnector>());
            _ = new ControlMetrics(meter, s.GetRequiredService<ServiceRegistry>(), s.GetRequiredService<SnapshotPublisher>(), s.GetRequiredService<GateSurroundings>(),
                s.GetRequiredService<ProbeCounters>(), s.GetRequiredService<LeaseBook>(), s.GetRequiredService<NameResolver>(), s.GetRequiredService<EventLog>(),
                s.GetRequiredService<AccessCounters>(), version);
            _ = new BusMetrics(meter, s.GetRequiredService<BusCounters>(), () => s.GetRequiredService<BusConnection>().Connected);
            _ = new TlsMetrics(
                meter, s.GetRequiredService<CertificateStore>(), s.GetRequiredService<Handshakes>(), s.GetRequiredService<ProxyHeaders>(), s.GetRequiredService<TimeProvider>());
            _ = new ProcessMetrics(meter);
            return new MetricPipeline(meter, census, configuration, s, s.GetRequiredService<TimeProvider>(), version, s.GetRequiredService<ILogger<MetricPipeline>>());
        });
        return services.AddHostedService(s => s.GetRequiredService<MetricPipeline>());
    }
}

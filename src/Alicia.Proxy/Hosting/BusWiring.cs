using System.Globalization;
using System.Net;
using System.Text.Json;
using Alicia.Proxy.Api;
using Alicia.Proxy.Bus;
using Alicia.Proxy.Configuration;
using Alicia.Proxy.Health;

namespace Alicia.Proxy.Hosting;

/// <summary>Gives the bus what it needs from rooms that it does not know.</summary>
internal static class BusWiring
{
    public static IServiceCollection AddProxyBus(this IServiceCollection services, MqttConfiguration configuration, Listeners listeners)
    {
        services.AddSingleton<SuspectInstance>(s => (instance, _) => s.GetRequiredService<HealthMonitor>().SuspectAsync(instance, CancellationToken.None));
        services.AddSingleton(s => new ProxyFacts
        {
            Version = HealthEndpoints.Version,
            Address = () => Reachable(listeners),
            Status = () => s.GetRequiredService<HealthReport>().Now().Status,
            Stats = () =>
            {
                var access = s.GetRequiredService<RegistryAccess>();
                return JsonSerializer.SerializeToElement(StatsDocument.Of(access.Registry.Snapshot, access.Lives, access.Clock, _ => true), Wire.Json);
            },
        });
        return services.AddBus(configuration);
    }

    /// <summary>Where others reach the management listener: by this machine's name when it listens on every address.</summary>
    private static (string Host, int Port) Reachable(Listeners listeners)
    {
        // Not a Uri: a listener on every address is written with a star.
        var url = listeners.Bound.First(b => b.Plane == "management").Url;
        var (hostAt, portAt) = (url.IndexOf("://", StringComparison.Ordinal) + 3, url.LastIndexOf(':') + 1);
        var host = url[hostAt..(portAt - 1)].Trim('[', ']');
        var everywhere = host == "*" || (IPAddress.TryParse(host, out var address) && (address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any)));
        return (everywhere ? Environment.MachineName.ToLowerInvariant() : host, int.Parse(url[portAt..], CultureInfo.InvariantCulture));
    }
}

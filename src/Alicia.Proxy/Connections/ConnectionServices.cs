using Alicia.Proxy.Registry;
using Alicia.Proxy.Tls;

namespace Alicia.Proxy.Connections;

internal static class ConnectionServices
{
    /// <summary>Adds what opens and keeps connections to instances.</summary>
    public static IServiceCollection AddUpstreamConnections(this IServiceCollection services)
    {
        services.AddSingleton<EndpointTable>().AddSingleton(s => new AddressScreen(s.GetRequiredService<ServiceRegistry>(), s.GetRequiredService<TimeProvider>()));
        services.AddSingleton<NameResolver>().AddSingleton<UpstreamClient>();
        return services.AddSingleton(s =>
        {
            var (endpoints, certificates) = (s.GetRequiredService<EndpointTable>(), s.GetRequiredService<CertificateStore>());
            certificates.ProfileChanged = endpoints.RenewConnections;
            return new UpstreamConnector(endpoints, s.GetRequiredService<ServiceRegistry>(), s.GetRequiredService<TimeProvider>()) { Profiles = certificates.Profile };
        });
    }
}

using Alicia.Proxy.Registry;

namespace Alicia.Proxy.Connections;

internal static class ConnectionServices
{
    /// <summary>Adds what opens and keeps connections to instances.</summary>
    public static IServiceCollection AddUpstreamConnections(this IServiceCollection services) =>
        services.AddSingleton<EndpointTable>().AddSingleton(s => new AddressScreen(s.GetRequiredService<ServiceRegistry>(), s.GetRequiredService<TimeProvider>()))
            .AddSingleton<NameResolver>().AddSingleton<UpstreamConnector>().AddSingleton<UpstreamClient>();
}

using Yarp.ReverseProxy.Configuration;

namespace Alicia.Proxy.Routing;

internal static class RoutingServices
{
    /// <summary>Adds YARP with the registry as its source of configuration.</summary>
    public static IServiceCollection AddProxyRouting(this IServiceCollection services)
    {
        services.AddReverseProxy();
        services.AddSingleton<SnapshotConfigProvider>()
            .AddSingleton<IProxyConfigProvider>(s => s.GetRequiredService<SnapshotConfigProvider>())
            .AddSingleton<IConfigChangeListener>(s => s.GetRequiredService<SnapshotConfigProvider>())
            .AddSingleton<SnapshotPublisher>()
            .AddSingleton<Microsoft.AspNetCore.Routing.MatcherPolicy, RawTargetMatcherPolicy>();
        return services.AddSingleton<IConfigValidator, TrustingConfigValidator>();
    }
}

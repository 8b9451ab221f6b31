using Yarp.ReverseProxy.Configuration;

namespace Alicia.Proxy.Routing;

internal static class RoutingServices
{
    /// <summary>Adds YARP with the registry as its source of configuration.</summary>
    public static IServiceCollection AddProxyRouting(this IServiceCollection services)
    {
        services.AddReverseProxy();
        // YARP brings data protection along for sticky sessions, which would write key files at start; nothing here uses it.
        foreach (var descriptor in services.Where(d => d.ServiceType == typeof(IHostedService) && d.ImplementationType?.Name == "DataProtectionHostedService").ToArray())
            services.Remove(descriptor);
        services.AddSingleton<SnapshotConfigProvider>()
            .AddSingleton<IProxyConfigProvider>(s => s.GetRequiredService<SnapshotConfigProvider>())
            .AddSingleton<IConfigChangeListener>(s => s.GetRequiredService<SnapshotConfigProvider>())
            .AddSingleton<SnapshotPublisher>()
            .AddSingleton<Microsoft.AspNetCore.Routing.MatcherPolicy, RawTargetMatcherPolicy>();
        return services.AddSingleton<IConfigValidator, TrustingConfigValidator>();
    }
}

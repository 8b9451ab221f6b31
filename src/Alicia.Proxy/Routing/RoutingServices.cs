using Microsoft.AspNetCore.DataProtection;
using Yarp.ReverseProxy.Configuration;

namespace Alicia.Proxy.Routing;

internal static class RoutingServices
{
    /// <summary>Adds YARP with the registry as its source of configuration.</summary>
    public static IServiceCollection AddProxyRouting(this IServiceCollection services)
    {
        services.AddReverseProxy();
        // YARP brings data protection along for sticky sessions, which would write key files. Nothing here uses them, so the keys live and die with the process.
        services.AddSingleton<IDataProtectionProvider, EphemeralDataProtectionProvider>();
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

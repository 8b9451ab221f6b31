using Alicia.Proxy.Balancing;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using Yarp.ReverseProxy;
using Yarp.ReverseProxy.Health;
using Yarp.ReverseProxy.Model;

namespace Alicia.Proxy.Health;

/// <summary>Keeps YARP's own picture of an instance in step with the probes' verdict, for whatever reads it there.</summary>
internal sealed class YarpHealth(IServiceProvider services)
{
    public void Set(Instance instance, HealthStatus verdict)
    {
        // Asked for late: YARP's state is made with the monitor, and this belongs to the monitor.
        var state = services.GetRequiredService<IProxyStateLookup>();
        if (!state.TryGetCluster(instance.ServiceName, out var cluster) || !cluster.Destinations.TryGetValue(DestinationIds.Of(instance.Epoch), out var destination))
            return;
        var health = verdict switch
        {
            HealthStatus.Healthy => DestinationHealth.Healthy,
            HealthStatus.Unhealthy => DestinationHealth.Unhealthy,
            _ => DestinationHealth.Unknown,
        };
        services.GetRequiredService<IDestinationHealthUpdater>().SetActive(cluster, [new NewActiveDestinationHealth(destination, health)]);
    }
}

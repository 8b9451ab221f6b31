using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;

namespace Alicia.Proxy.Bus;

/// <summary>What the bus says of an instance beyond what the registry knows: health, circuit, and how many are well.</summary>
internal static class InstanceStanding
{
    /// <summary>Wire name of the probes' verdict.</summary>
    public static string HealthOf(InstanceLive live)
    {
        // Nobody probes yet, so nobody knows.
        _ = live;
        return "unknown";
    }

    /// <summary>Wire name of the circuit's state.</summary>
    public static string CircuitOf(InstanceLive live) => live.OpenedByHandAt is null ? "closed" : "open";

    /// <summary>Services, instances, and those of them that are healthy, without what is leaving.</summary>
    public static (int Services, int Instances, int Healthy) Count(RegistrySnapshot snapshot, LiveTable lives)
    {
        var (services, instances, healthy) = (0, 0, 0);
        foreach (var service in snapshot.Services.Values)
        {
            if (service.Leaving)
                continue;
            services++;
            foreach (var instance in service.Instances)
            {
                if (instance.Leaving)
                    continue;
                instances++;
                if (HealthOf(lives.Read(instance.Epoch)) == "healthy")
                    healthy++;
            }
        }

        return (services, instances, healthy);
    }
}

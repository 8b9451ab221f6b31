using Alicia.Proxy.Circuit;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;

namespace Alicia.Proxy.Bus;

/// <summary>What the bus says of instances beyond what the registry knows: health, circuit, and how many are well.</summary>
internal static class InstanceStanding
{
    /// <summary>Wire name of the circuit's state; closed for an instance that has left.</summary>
    public static string CircuitOf(GateTable gates, long epoch) => CircuitNames.Of(gates.TryGet(epoch, out var gate) ? gate.Read().State : CircuitState.Closed);

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
                if (lives.TryGet(instance.Epoch, out var live) && live.Health == HealthStatus.Healthy)
                    healthy++;
            }
        }

        return (services, instances, healthy);
    }
}

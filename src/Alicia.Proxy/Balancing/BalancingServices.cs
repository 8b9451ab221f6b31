using System.Collections.Frozen;
using Yarp.ReverseProxy.LoadBalancing;

namespace Alicia.Proxy.Balancing;

/// <summary>The policies by their wire names.</summary>
internal sealed class PolicyCatalog(IEnumerable<BalancingPolicy> policies)
{
    private readonly FrozenDictionary<string, BalancingPolicy> _byName = policies.ToFrozenDictionary(p => p.Name, StringComparer.Ordinal);

    public BalancingPolicy this[string name] => _byName[name];
}

internal static class BalancingServices
{
    /// <summary>Adds the balancing policies, each also as the YARP policy of its name.</summary>
    public static IServiceCollection AddBalancing(this IServiceCollection services)
    {
        foreach (var policy in (BalancingPolicy[])[new RoundRobin(), new LeastConnections(), new WeightedRoundRobin(), new WeightedRandom(Random.Shared)])
            services.AddSingleton(policy).AddSingleton<ILoadBalancingPolicy>(policy);
        return services.AddSingleton<PolicyCatalog>();
    }
}

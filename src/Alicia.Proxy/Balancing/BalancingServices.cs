using System.Collections.Frozen;
using Alicia.Proxy.Registry.Settings;
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
    public static IServiceCollection AddBalancing(this IServiceCollection services, TimeProvider time)
    {
        foreach (var policy in All(Random.Shared, time))
            services.AddSingleton(policy).AddSingleton<ILoadBalancingPolicy>(policy);
        return services.AddSingleton<PolicyCatalog>();
    }

    /// <summary>Each algorithm once; <see cref="SettingKeys.Algorithm"/> lists their names.</summary>
    /// <param name="random">Chance; safe under concurrency if the policies are used so.</param>
    /// <param name="time">Clock of those that measure.</param>
    public static BalancingPolicy[] All(Random random, TimeProvider time) =>
    [
        new RoundRobin(), new LeastConnections(), new WeightedRoundRobin(), new WeightedRandom(random), new PowerOfTwoChoices(random), new PeakEwma(random, time), new ConsistentHash(),
    ];
}

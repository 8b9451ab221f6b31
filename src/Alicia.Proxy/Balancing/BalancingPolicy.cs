using Alicia.Proxy.Circuit;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry.Settings;
using Yarp.ReverseProxy.LoadBalancing;
using Yarp.ReverseProxy.Model;

namespace Alicia.Proxy.Balancing;

/// <summary>
/// Picks an instance for a request. A policy decides whose turn it is and nothing else: whether the instance has a free slot is admission's business, which
/// asks again when it has none.
/// </summary>
internal abstract class BalancingPolicy : ILoadBalancingPolicy
{
    /// <summary>Name on the wire and in configuration.</summary>
    public abstract string Name { get; }

    /// <summary>True when picks look at the request's key.</summary>
    public virtual bool UsesKey => false;

    /// <summary>
    /// Works out beforehand what picks from this pool need. Called on the control path, before the pool takes requests, and again when settings change; a schedule over many odd
    /// weights takes milliseconds, which no request should wait for.
    /// </summary>
    public virtual void Prepare(Pool pool, ServiceSettings settings)
    {
    }

    /// <summary>Index of the picked member. Called concurrently; must not allocate or block.</summary>
    /// <param name="pool">Never empty.</param>
    /// <param name="key">What the request is told from others by, as <see cref="UpstreamState.KeyOf"/> has it; 0 for a request without.</param>
    public abstract int Pick(Pool pool, ulong key);

    /// <inheritdoc/>
    DestinationState? ILoadBalancingPolicy.PickDestination(HttpContext context, ClusterState cluster, IReadOnlyList<DestinationState> availableDestinations)
    {
        if (availableDestinations.Count == 0)
            return null;
        // A list that somebody else narrowed carries no state; a pool made of it takes its order from the instances, so a rotation still goes on.
        var pool = availableDestinations as Pool ?? Narrowed(context.RequestServices.GetRequiredService<LiveTable>(), availableDestinations);
        return pool[Pick(pool, 0)];
    }

    private static Pool Narrowed(LiveTable lives, IReadOnlyList<DestinationState> destinations) =>
        new(from destination in destinations
            let live = lives.GetOrAdd(DestinationIds.EpochOf(destination.DestinationId))
            select new PoolMember(live, UpstreamEndpoint.None, destination, InstanceGate.Detached(live)));
}

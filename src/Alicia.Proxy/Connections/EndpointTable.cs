using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using Alicia.Proxy.Registry;

namespace Alicia.Proxy.Connections;

/// <summary>Finds the endpoint of an epoch, and the address that a made-up authority stands for. Control path and connection set-up only.</summary>
internal sealed class EndpointTable
{
    /// <summary>
    /// How many endpoints are kept after they were forgotten. A request may hold one that it picked just before it left; it gets its connection all the same,
    /// as if it had come a moment earlier.
    /// </summary>
    private const int KeptForLatecomers = 256;

    private readonly ConcurrentDictionary<long, UpstreamEndpoint> _endpoints = new();
    private readonly ConcurrentQueue<long> _forgotten = new();

    /// <summary>Called with an endpoint that has left, for those who keep connections to it. Set before the first registration.</summary>
    public Action<UpstreamEndpoint>? Forgotten { get; set; }

    /// <summary>Endpoints that were not forgotten.</summary>
    public int Count => _endpoints.Count - _forgotten.Count;

    public UpstreamEndpoint GetOrAdd(Instance instance, TimeSpan connectTimeout)
    {
        var endpoint = _endpoints.GetOrAdd(instance.Epoch,
            static (_, i) => new UpstreamEndpoint(i.Epoch, i.InstanceId, i.Scheme, i.Host, i.Port), instance);
        endpoint.Protocol = instance.Protocol;
        endpoint.ConnectTimeout = connectTimeout;
        return endpoint;
    }

    public bool TryGet(long epoch, [NotNullWhen(true)] out UpstreamEndpoint? endpoint) => _endpoints.TryGetValue(epoch, out endpoint);

    /// <summary>The address behind the host part of a slot's prefix, such as <c>42-0.upstream</c>.</summary>
    public bool TryFind(string name, [NotNullWhen(true)] out AddressSlot? slot)
    {
        slot = null;
        var dash = name.IndexOf('-', StringComparison.Ordinal);
        if (dash <= 0 || !long.TryParse(name.AsSpan(0, dash), out var epoch) || !_endpoints.TryGetValue(epoch, out var endpoint))
            return false;
        foreach (var candidate in endpoint.Slots)
        {
            if (candidate.Name == name)
                slot = candidate;
        }

        // An address that just left the name's set may still be asked for by a request that picked it a moment ago; any other will do.
        slot ??= endpoint.NextSlot();
        return slot is not null;
    }

    /// <summary>Has requests to instances of this TLS profile go over connections that are opened from now on.</summary>
    public void RenewConnections(string profile)
    {
        foreach (var endpoint in _endpoints.Values)
        {
            if (endpoint.IsTls && endpoint.TlsProfile == profile)
                endpoint.RenewConnections();
        }
    }

    /// <summary>The epoch has left and nothing is in flight to it; it is found a little longer.</summary>
    public void Forget(long epoch)
    {
        if (!_endpoints.TryGetValue(epoch, out var endpoint))
            return;
        Forgotten?.Invoke(endpoint);
        _forgotten.Enqueue(epoch);
        while (_forgotten.Count > KeptForLatecomers && _forgotten.TryDequeue(out var oldest))
            _endpoints.TryRemove(oldest, out _);
    }
}

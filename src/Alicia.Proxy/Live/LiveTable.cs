using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;

namespace Alicia.Proxy.Live;

/// <summary>Finds the live state of an instance by epoch and of a service by name. Control path; requests hold the objects themselves.</summary>
internal sealed class LiveTable
{
    private readonly ConcurrentDictionary<long, InstanceLive> _instances = new();
    private readonly ConcurrentDictionary<string, ServiceLive> _services = new(StringComparer.Ordinal);

    public InstanceLive GetOrAdd(long epoch) => _instances.GetOrAdd(epoch, static e => new InstanceLive(e));

    public bool TryGet(long epoch, [NotNullWhen(true)] out InstanceLive? live) => _instances.TryGetValue(epoch, out live);

    public ServiceLive GetOrAdd(string service) => _services.GetOrAdd(service, static name => new ServiceLive(name));

    public bool TryGet(string service, [NotNullWhen(true)] out ServiceLive? live) => _services.TryGetValue(service, out live);

    /// <summary>Every service that has live state, gone ones included until <see cref="Forget(string)"/>.</summary>
    public IEnumerable<ServiceLive> Services => _services.Values;

    public void Forget(long epoch) => _instances.TryRemove(epoch, out _);

    public void Forget(string service) => _services.TryRemove(service, out _);
}

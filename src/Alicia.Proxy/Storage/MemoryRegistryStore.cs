using Alicia.Proxy.Registry;

namespace Alicia.Proxy.Storage;

/// <summary>The store of a throw-away run: what is committed can be loaded again, and is gone with the process.</summary>
internal sealed class MemoryRegistryStore : IRegistryStore
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, StoredService> _services = new(StringComparer.Ordinal);
    private readonly Dictionary<(string Service, string Id), Instance> _instances = [];
    private long _revision;

    /// <inheritdoc/>
    public string Name => "memory";

    /// <inheritdoc/>
    public Task<StoredRegistry> LoadAsync(CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        lock (_lock)
        {
            return Task.FromResult(new StoredRegistry(
                _revision, [.. _services.Values], [.. _instances.Values.OrderBy(instance => instance.Epoch)]));
        }
    }

    /// <inheritdoc/>
    public Task<bool> TryCommitAsync(long expectedRevision, long newRevision, IReadOnlyList<StoreChange> changes, CancellationToken cancellation)
    {
        StoreCommit.Check(expectedRevision, newRevision, changes);
        cancellation.ThrowIfCancellationRequested();
        lock (_lock)
        {
            if (_revision != expectedRevision)
                return Task.FromResult(false);
            foreach (var change in changes)
                Apply_NeedsLock(change);
            _revision = newRevision;
            return Task.FromResult(true);
        }
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private void Apply_NeedsLock(StoreChange change)
    {
        switch (change)
        {
            case StoreChange.PutService { Service: var service }:
                _services[service.Name] = service;
                break;
            case StoreChange.DeleteService { Name: var name }:
                _services.Remove(name);
                foreach (var key in _instances.Keys.Where(key => key.Service == name).ToList())
                    _instances.Remove(key);
                break;
            case StoreChange.PutInstance { Instance: var instance }:
                _instances[(instance.ServiceName, instance.InstanceId)] = instance;
                break;
            case StoreChange.DeleteInstance { ServiceName: var service, InstanceId: var id }:
                _instances.Remove((service, id));
                break;
            default:
                throw new ArgumentException($"{change.GetType().Name} is not a change that this store knows", nameof(change));
        }
    }
}

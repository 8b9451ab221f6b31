using System.Collections.Immutable;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Registry;

/// <summary>
/// Where the registry outlives the process: load everything, then commit changes one revision after another. A store that several proxies share can
/// stand behind it, which is why a commit names the revision it builds on.
/// </summary>
internal interface IRegistryStore : IAsyncDisposable
{
    /// <summary>Short name for logs and <c>GET /health</c>: <c>sqlite</c> or <c>memory</c>.</summary>
    string Name { get; }

    /// <summary>Opens the store and reads all of it. Called before anything else.</summary>
    /// <exception cref="RegistryStoreException">The store is damaged, was written by a newer version, or cannot be opened; it is left untouched.</exception>
    Task<StoredRegistry> LoadAsync(CancellationToken cancellation);

    /// <summary>
    /// Commits the changes as one transaction, durable when the task completes, if the store is still at <paramref name="expectedRevision"/>.
    /// </summary>
    /// <returns>False when somebody else has moved the store on; nothing was written, and the caller loads again.</returns>
    /// <exception cref="RegistryStoreException">The write failed (disk full, file gone, locked); nothing was written.</exception>
    Task<bool> TryCommitAsync(long expectedRevision, long newRevision, IReadOnlyList<StoreChange> changes, CancellationToken cancellation);
}

/// <summary>A store that cannot be used, in words for an operator: what, where, and what to do.</summary>
internal sealed class RegistryStoreException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>What a store holds: the revision of the last commit, services without their instances, and instances.</summary>
internal sealed record StoredRegistry(long Revision, IReadOnlyList<StoredService> Services, IReadOnlyList<Instance> Instances);

/// <summary>The stored part of a service: what the REST API set.</summary>
internal sealed record StoredService(string Name, long Revision, SettingOverrides Settings, ImmutableArray<DeclaredRoute> Routes);

/// <summary>One change of a commit.</summary>
internal abstract record StoreChange
{
    /// <summary>Writes a service's own row, replacing the one that is there.</summary>
    internal sealed record PutService(StoredService Service) : StoreChange;

    /// <summary>Deletes a service's row and the rows of all its instances.</summary>
    internal sealed record DeleteService(string Name) : StoreChange;

    /// <summary>Writes an instance's row, replacing the one with the same service and id.</summary>
    internal sealed record PutInstance(Instance Instance) : StoreChange;

    internal sealed record DeleteInstance(string ServiceName, string InstanceId) : StoreChange;
}

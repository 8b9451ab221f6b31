using Alicia.Proxy.Registry;
using Alicia.Proxy.Storage;

namespace Alicia.Proxy.UnitTests.Registry;

/// <summary>A memory store that fails when told to, waits when told to, and that another writer can move on.</summary>
internal sealed class FlakyStore : IRegistryStore
{
    private readonly MemoryRegistryStore _inner = new();

    public string Name => "flaky";

    /// <summary>While set, commits fail with this text.</summary>
    public string? Fault { get; set; }

    /// <summary>Runs before each commit reaches the store; another writer's chance.</summary>
    public Func<MemoryRegistryStore, Task>? BeforeCommit { get; set; }

    /// <summary>Commits that were tried: expected and new revision, number of changes.</summary>
    public List<(long Expected, long New, int Changes)> Commits { get; } = [];

    public Task<StoredRegistry> LoadAsync(CancellationToken cancellation) => _inner.LoadAsync(cancellation);

    public async Task<bool> TryCommitAsync(long expectedRevision, long newRevision, IReadOnlyList<StoreChange> changes, CancellationToken cancellation)
    {
        Commits.Add((expectedRevision, newRevision, changes.Count));
        if (BeforeCommit is { } before)
            await before(_inner);
        return Fault is null ? await _inner.TryCommitAsync(expectedRevision, newRevision, changes, cancellation) : throw new RegistryStoreException(Fault);
    }

    public ValueTask DisposeAsync() => _inner.DisposeAsync();

    /// <summary>Commits as another process would: from whatever the store holds.</summary>
    public static async Task ByAnotherWriterAsync(MemoryRegistryStore store, params StoreChange[] changes)
    {
        var revision = (await store.LoadAsync(default)).Revision;
        (await store.TryCommitAsync(revision, revision + 1, changes, default)).Should().BeTrue();
    }
}

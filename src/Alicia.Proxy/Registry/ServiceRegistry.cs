using System.Threading.Channels;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Registry;

/// <summary>
/// The registry: one immutable snapshot for everybody to read, and the one writer that makes the next. Changes are applied one after the other; those that
/// wait are committed to the store in one transaction, and only then become visible and are answered.
/// </summary>
internal sealed partial class ServiceRegistry(IRegistryStore store, TimeProvider time, ILogger<ServiceRegistry> logger) : IAsyncDisposable
{
    /// <summary>Changes that one commit takes along; bounds how long the first of them waits for the others.</summary>
    private const int MaxBatch = 256;

    private readonly Channel<IPending> _pending = Channel.CreateBounded<IPending>(new BoundedChannelOptions(4096) { SingleReader = true });
    private readonly CancellationTokenSource _stopping = new();

    /// <summary>Rows of changes that are in force but that the store would not take; the writer's own.</summary>
    private readonly List<StoreChange> _unstored = [];
    private RegistrySnapshot _snapshot = RegistrySnapshot.Empty;
    private Task _writer = Task.CompletedTask;
    private long _storedRevision;
    private long _storeFailures;
    private volatile bool _storeFailing;

    /// <summary>The current snapshot. Never blocks.</summary>
    public RegistrySnapshot Snapshot => Volatile.Read(ref _snapshot);

    /// <summary>Raised by the writer after each swap, with the snapshots before and after it, in order. Whoever listens must neither block nor throw.</summary>
    public event Action<RegistrySnapshot, RegistrySnapshot>? Published;

    /// <summary>Name of the store behind the registry.</summary>
    public string StoreName => store.Name;

    /// <summary>True while the last commit failed: changes are refused, forwarding goes on.</summary>
    public bool StoreFailing => _storeFailing;

    /// <summary>Commits that failed since start.</summary>
    public long StoreFailures => Volatile.Read(ref _storeFailures);

    /// <summary>Reads the store and starts the writer.</summary>
    /// <exception cref="RegistryStoreException">The store cannot be used.</exception>
    public async Task LoadAsync(CancellationToken cancellation)
    {
        var stored = await store.LoadAsync(cancellation);
        _storedRevision = stored.Revision;
        Swap(FromStore(stored, stored.Revision, RegistryRules.BeforeConfiguration, []));
        LogLoaded(logger, store.Name, Snapshot.Revision, Snapshot.Services.Count, Snapshot.Services.Values.Sum(s => s.Instances.Length));
        _writer = Task.Run(RunAsync, CancellationToken.None);
    }

    /// <summary>Queues a change and waits until it is durable and in the snapshot, or refused.</summary>
    public async Task<ChangeResult<T>> SubmitAsync<T>(IRegistryChange<T> change, CancellationToken cancellation)
    {
        var pending = new Pending<T>(change);
        await _pending.Writer.WriteAsync(pending, cancellation);
        return await pending.Completion.Task.WaitAsync(cancellation);
    }

    public async ValueTask DisposeAsync()
    {
        _pending.Writer.TryComplete();
        try
        {
            // What was accepted is finished first; a store that hangs must not hold the process.
            await _writer.WaitAsync(TimeSpan.FromSeconds(5), time);
        }
        catch (TimeoutException)
        {
            await _stopping.CancelAsync();
        }

        await store.DisposeAsync();
        _stopping.Dispose();
    }

    private async Task RunAsync()
    {
        var batch = new List<IPending>(MaxBatch);
        try
        {
            while (await _pending.Reader.WaitToReadAsync(_stopping.Token))
            {
                batch.Clear();
                while (batch.Count < MaxBatch && _pending.Reader.TryRead(out var pending))
                    batch.Add(pending);
                try
                {
                    await ApplyAsync(batch);
                }
                catch (Exception e) when (!_stopping.IsCancellationRequested)
                {
                    // A bug. The callers of this batch are told, and the registry lives on as it was before them.
                    LogBatchFailed(logger, e);
                    foreach (var pending in batch)
                        pending.Fail(e);
                }
            }
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            // Disposal gave up on the store.
        }
        finally
        {
            var gone = new Rejection(RejectionKind.StoreUnavailable, "The proxy is stopping.");
            foreach (var pending in batch)
                pending.Refuse(gone, Snapshot.Revision);
            while (_pending.Reader.TryRead(out var pending))
                pending.Refuse(gone, Snapshot.Revision);
        }
    }

    private async Task ApplyAsync(List<IPending> batch)
    {
        var draft = Draft(batch, Snapshot);
        if (draft.MustCommit)
        {
            try
            {
                var expected = _storedRevision;
                // Somebody else moved the store on: take their state as the base and apply the same changes to it. Twice in a row means a second
                // writer that never rests, which is a deployment fault; the callers are told.
                for (var attempt = 0; draft.MustCommit && !await store.TryCommitAsync(expected, draft.Snapshot.Revision, [.. _unstored, .. draft.Changes], _stopping.Token); attempt++)
                {
                    if (attempt == 2)
                        throw new RegistryStoreException("another process keeps writing to the registry's store");
                    LogConflict(logger, expected);
                    var (current, stored) = (Snapshot, await store.LoadAsync(_stopping.Token));
                    expected = stored.Revision;
                    // Beyond the revision in force too: it is another snapshot, and who follows revisions must see that.
                    draft = Draft(batch, FromStore(stored, Math.Max(stored.Revision, current.Revision + 1), current.Rules, current.Services.Values));
                }

                // After a takeover there may be nothing left to write: the other writer had done the same.
                _storedRevision = draft.MustCommit ? draft.Snapshot.Revision : expected;
                if (draft.MustCommit)
                    _unstored.Clear();
                if (_storeFailing)
                    LogStoreRecovered(logger, StoreFailures);
                _storeFailing = false;
            }
            catch (RegistryStoreException e)
            {
                Interlocked.Increment(ref _storeFailures);
                if (!_storeFailing)
                    LogStoreFailed(logger, e);
                _storeFailing = true;
                var refusal = new Rejection(RejectionKind.StoreUnavailable, $"The registry cannot be written, nothing was changed: {e.Message}");
                RefuseStored(batch, refusal);
                return;
            }
        }

        Adopt(draft);
        foreach (var pending in batch)
            pending.Complete();
    }

    /// <summary>Refuses what needs the store and lets through what does not, such as the end of a departure, which nobody would submit again.</summary>
    private void RefuseStored(List<IPending> batch, Rejection refusal)
    {
        foreach (var pending in batch)
        {
            var draft = pending.Apply(new RegistryDraft(Snapshot, time.GetUtcNow()));
            if (draft.MustCommit && !draft.MayWaitForStore)
            {
                pending.Refuse(refusal, Snapshot.Revision);
                continue;
            }

            _unstored.AddRange(draft.Changes);
            Adopt(draft);
            pending.Complete();
        }
    }

    private void Adopt(RegistryDraft draft)
    {
        if (draft.Snapshot.Revision != Snapshot.Revision)
            Swap(draft.Snapshot);
    }

    /// <summary>Applies a batch to a base. A refused change leaves no trace: each works on a draft of its own that is kept only on success.</summary>
    private RegistryDraft Draft(List<IPending> batch, RegistrySnapshot basis)
    {
        var draft = new RegistryDraft(basis, time.GetUtcNow());
        foreach (var pending in batch)
            draft = pending.Apply(draft);
        return draft;
    }

    private void Swap(RegistrySnapshot snapshot)
    {
        var before = Snapshot;
        Volatile.Write(ref _snapshot, snapshot);
        Published?.Invoke(before, snapshot);
    }

    /// <summary>Merges what the store holds with what only this process knows: configuration's layer and instances that are leaving.</summary>
    private static RegistrySnapshot FromStore(StoredRegistry stored, long revision, RegistryRules rules, IEnumerable<Service> known)
    {
        var services = new Dictionary<string, Service>(StringComparer.Ordinal);
        foreach (var service in known)
        {
            var own = service.Instances.RemoveAll(i => i.Source != RegistrationSource.Config && !i.Leaving);
            if (service.InConfig || !own.IsEmpty)
                services[service.Name] = service with { Stored = false, Leaving = !service.InConfig, ApiSettings = SettingOverrides.Empty, ApiRoutes = [], Instances = own };
        }

        foreach (var row in stored.Services)
        {
            var service = services.GetValueOrDefault(row.Name) ?? new Service { Name = row.Name };
            services[row.Name] = service with { Stored = true, Leaving = false, Revision = row.Revision, ApiSettings = row.Settings, ApiRoutes = row.Routes };
        }

        foreach (var group in stored.Instances.GroupBy(i => i.ServiceName, StringComparer.Ordinal))
        {
            var service = services.GetValueOrDefault(group.Key) ?? new Service { Name = group.Key, Stored = true };
            var ids = group.Select(i => i.InstanceId).ToHashSet(StringComparer.Ordinal);
            services[group.Key] = service with { Instances = service.Instances.RemoveAll(i => ids.Contains(i.InstanceId)).AddRange(group.OrderBy(i => i.Epoch)) };
        }

        return RegistrySnapshot.Of(revision, rules, services.Values.Select(s => s with
        {
            Settings = ServiceSettings.Resolve(rules.Defaults, s.ApiSettings, s.ConfigSettings),
        }));
    }

    [LoggerMessage(LogLevel.Information, "Registry loaded from {Store} at revision {Revision}: {Services} services, {Instances} instances")]
    private static partial void LogLoaded(ILogger logger, string store, long revision, int services, int instances);

    [LoggerMessage(LogLevel.Error, "The registry's store cannot be written; changes are refused until it can, forwarding goes on")]
    private static partial void LogStoreFailed(ILogger logger, Exception error);

    [LoggerMessage(LogLevel.Information, "The registry's store can be written again, after {Failures} failed commits since start")]
    private static partial void LogStoreRecovered(ILogger logger, long failures);

    [LoggerMessage(LogLevel.Warning, "The registry's store was changed by another process after revision {Revision}; its state is taken over")]
    private static partial void LogConflict(ILogger logger, long revision);

    [LoggerMessage(LogLevel.Critical, "Changes of the registry failed inside the proxy; nothing was changed")]
    private static partial void LogBatchFailed(ILogger logger, Exception error);
}

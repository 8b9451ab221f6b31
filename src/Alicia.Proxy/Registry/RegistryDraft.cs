using Alicia.Proxy.Registry.Settings;
using Alicia.Proxy.Registry.Validation;

namespace Alicia.Proxy.Registry;

/// <summary>
/// The snapshot that the writer is working on and the rows that go to the store with it. A change reads and replaces records here; nothing is
/// visible to anybody until the writer has committed and swapped.
/// </summary>
internal sealed class RegistryDraft(RegistrySnapshot snapshot, DateTimeOffset now)
{
    private readonly List<StoreChange> _changes = [];

    private RegistryDraft(RegistryDraft other)
        : this(other.Snapshot, other.Now)
    {
        _changes.AddRange(other._changes);
        MustCommit = other.MustCommit;
        MayWaitForStore = other.MayWaitForStore;
    }

    public RegistrySnapshot Snapshot { get; private set; } = snapshot;

    public DateTimeOffset Now { get; } = now;

    public IReadOnlyList<StoreChange> Changes => _changes;

    /// <summary>The revision of the change being made; unique, so it also serves as the epoch of an instance that the change creates.</summary>
    public long NextRevision => Snapshot.Revision + 1;

    /// <summary>A copy to work on, so that a refused change leaves this one as it was.</summary>
    public RegistryDraft Fork() => new(this);

    public Service? Find(string service) => Snapshot.TryGet(service, out var found) ? found : null;

    /// <summary>Puts a service in place, its settings resolved from all layers.</summary>
    public void Put(Service service)
    {
        // The same object as long as the layers are: who compares settings often, such as the monitor with every registration, sees at once that nothing changed.
        var settings = Find(service.Name) is { } before && ReferenceEquals(before.ApiSettings, service.ApiSettings) && ReferenceEquals(before.ConfigSettings, service.ConfigSettings)
            && ReferenceEquals(before.Settings, service.Settings)
            ? service.Settings
            : ServiceSettings.Resolve(Snapshot.Rules.Defaults, service.ApiSettings, service.ConfigSettings);
        Snapshot = Snapshot.With(NextRevision, service with { Settings = settings });
    }

    public void Remove(string service) => Snapshot = Snapshot.Without(NextRevision, service);

    /// <summary>
    /// True when the revision itself must reach the store. The end of a departure need not: the row went when it began, and a full disk must not keep it.
    /// </summary>
    public bool MustCommit { get; private set; }

    /// <summary>
    /// True when the change takes effect even if the store cannot be written now; its rows then go with the next commit. So it is at start: whoever has what was stored can serve, and a disk
    /// that is full is no reason not to.
    /// </summary>
    public bool MayWaitForStore { get; private set; }

    /// <summary>Replaces services and rules as a whole; for a change of configuration.</summary>
    /// <param name="snapshot">All of them.</param>
    /// <param name="mayWaitForStore">What <see cref="MayWaitForStore"/> is to be.</param>
    public void Replace(RegistrySnapshot snapshot, bool mayWaitForStore)
    {
        Snapshot = snapshot;
        MustCommit = true;
        MayWaitForStore = mayWaitForStore;
    }

    /// <summary>Adds a row change to the commit.</summary>
    public void Store(StoreChange change)
    {
        _changes.Add(change);
        MustCommit = true;
    }

    /// <summary>Adds the row of a service's REST-set part to the commit.</summary>
    public void StoreService(Service service) =>
        Store(new StoreChange.PutService(new StoredService(service.Name, service.Revision, service.ApiSettings, service.ApiRoutes)));

    /// <summary>
    /// A new, empty service; refused when its name would take requests from another service's declared route or the other way round.
    /// </summary>
    public Service? TryCreate(string name, out Rejection? rejection)
    {
        var service = new Service { Name = name, Revision = NextRevision, Stored = true };
        rejection = RouteCollisions.Find(Snapshot, service) is { } collision ? new Rejection(RejectionKind.Conflict, collision) : null;
        return rejection is null ? service : null;
    }
}

/// <summary>
/// A change of the registry: reads and edits the draft, and returns either a value or a refusal. Pure but for the draft: no I/O, no clock of its
/// own, so that it can be tested without a store and run again after a conflict.
/// </summary>
internal interface IRegistryChange<T>
{
    /// <returns>The value for the caller, or a refusal; after a refusal the draft is thrown away.</returns>
    (T? Value, Rejection? Rejection) Apply(RegistryDraft draft);
}

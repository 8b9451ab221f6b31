using System.Diagnostics.CodeAnalysis;

namespace Alicia.Proxy.Registry;

/// <summary>
/// Everything the registry knows at one revision. Immutable: readers take the current one and never wait; the one writer swaps in the next.
/// </summary>
internal sealed class RegistrySnapshot
{
    public static readonly RegistrySnapshot Empty = new(0, RegistryRules.Default, new Dictionary<string, Service>(StringComparer.Ordinal));

    private readonly Dictionary<string, Service> _services;

    private RegistrySnapshot(long revision, RegistryRules rules, Dictionary<string, Service> services)
    {
        Revision = revision;
        Rules = rules;
        _services = services;
    }

    /// <summary>Rises with every accepted change; unique within a process. A restart goes on from the last revision that was stored.</summary>
    public long Revision { get; }

    /// <summary>What configuration says about every service.</summary>
    public RegistryRules Rules { get; }

    public IReadOnlyDictionary<string, Service> Services => _services;

    public bool TryGet(string name, [NotNullWhen(true)] out Service? service) => _services.TryGetValue(name, out service);

    /// <summary>The next snapshot, with one service put in or replaced.</summary>
    public RegistrySnapshot With(long revision, Service service) =>
        new(revision, Rules, new Dictionary<string, Service>(_services, StringComparer.Ordinal) { [service.Name] = service });

    /// <summary>The next snapshot, without one service.</summary>
    public RegistrySnapshot Without(long revision, string name)
    {
        var services = new Dictionary<string, Service>(_services, StringComparer.Ordinal);
        services.Remove(name);
        return new RegistrySnapshot(revision, Rules, services);
    }

    /// <summary>A snapshot of exactly these services under these rules.</summary>
    public static RegistrySnapshot Of(long revision, RegistryRules rules, IEnumerable<Service> services) =>
        new(revision, rules, services.ToDictionary(s => s.Name, StringComparer.Ordinal));
}

using System.Collections.Immutable;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Registry;

/// <summary>A match that sends requests to a service besides the built-in ones (host under the domain, first path segment).</summary>
/// <param name="Hosts">Hosts in lower case, exact or <c>*.</c> wildcards; empty for any host.</param>
/// <param name="Path">Path template: literal segments, <c>{name}</c> segments, and at most one final <c>{**name}</c>; null for any path.</param>
/// <param name="StripPrefix">Literal beginning of <paramref name="Path"/> that the instance does not see, or null.</param>
internal sealed record DeclaredRoute(ImmutableArray<string> Hosts, string? Path, string? StripPrefix)
{
    public bool Equals(DeclaredRoute? other) =>
        other is not null && Path == other.Path && StripPrefix == other.StripPrefix && Hosts.AsSpan().SequenceEqual(other.Hosts.AsSpan());

    public override int GetHashCode() => HashCode.Combine(Path, StripPrefix, Hosts.Length);

    public override string ToString() => string.Join(',', Hosts) + (Path ?? "/{**any}");
}

/// <summary>
/// One service with its instances, immutable. Settings come in layers, each kept apart so that a reload or a PATCH touches only its own.
/// </summary>
internal sealed record Service
{
    public required string Name { get; init; }

    /// <summary>What the REST API set.</summary>
    public SettingOverrides ApiSettings { get; init; } = SettingOverrides.Empty;

    /// <summary>What <c>Services:{name}</c> in configuration sets; read-only over REST.</summary>
    public SettingOverrides ConfigSettings { get; init; } = SettingOverrides.Empty;

    /// <summary>All layers, resolved.</summary>
    public ServiceSettings Settings { get; init; } = ServiceSettings.BuiltIn;

    /// <summary>Routes that the REST API set.</summary>
    public ImmutableArray<DeclaredRoute> ApiRoutes { get; init; } = [];

    /// <summary>Routes that configuration sets, or null when it names none; they replace the API's.</summary>
    public ImmutableArray<DeclaredRoute>? ConfigRoutes { get; init; }

    /// <summary>True when configuration declares the service: it cannot be deleted over REST.</summary>
    public bool InConfig { get; init; }

    /// <summary>True when the store holds the service: it was registered, or somebody set something over REST.</summary>
    public bool Stored { get; init; }

    /// <summary>Deleted: no request is routed here, instances are draining, and the service leaves with the last of them.</summary>
    public bool Leaving { get; init; }

    /// <summary>Registry revision at which settings or routes last changed; the ETag. Registrations do not move it.</summary>
    public long Revision { get; init; }

    /// <summary>In order of registration; at most one per id.</summary>
    public ImmutableArray<Instance> Instances { get; init; } = [];

    /// <summary>The routes that count.</summary>
    public ImmutableArray<DeclaredRoute> Routes => Leaving ? [] : ConfigRoutes ?? ApiRoutes;

    public Instance? Find(string instanceId)
    {
        foreach (var instance in Instances)
        {
            if (string.Equals(instance.InstanceId, instanceId, StringComparison.Ordinal))
                return instance;
        }

        return null;
    }

    /// <summary>Cap that applies to an instance of this service.</summary>
    public int MaxConnectionsOf(Instance instance) => instance.MaxConnections ?? Settings.Get(SettingKeys.MaxConnections);

    /// <summary>True when an instance of this service, with what its own registration says of probes, is probed.</summary>
    public bool Probes(SettingOverrides own, RegistryRules rules) =>
        ServiceSettings.Resolve(rules.Defaults, ApiSettings, ConfigSettings, own).Get(SettingKeys.HealthCheckEnabled);

    /// <summary>Lease that applies to an instance of this service in seconds, or null for none. Configuration's instances have none.</summary>
    public int? TtlSecondsOf(Instance instance) => instance.Source == RegistrationSource.Config
        ? null
        : instance.TtlSeconds ?? (Settings.Get(SettingKeys.Ttl) is { } ttl ? (int)ttl.TotalSeconds : null);
}

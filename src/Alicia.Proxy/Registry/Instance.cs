using System.Collections.Immutable;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Registry;

/// <summary>Who put an instance or a service into the registry.</summary>
internal enum RegistrationSource
{
    Api,
    Mqtt,
    Config,
}

/// <summary>Whether an instance takes new requests.</summary>
internal enum InstanceState
{
    /// <summary>Registered, and has not passed a probe yet: takes nothing.</summary>
    Pending,

    /// <summary>In rotation.</summary>
    Active,

    /// <summary>Takes nothing new; what is in flight finishes.</summary>
    Draining,
}

/// <summary>Why an instance leaves the registry.</summary>
internal enum DepartureReason
{
    /// <summary>It, or somebody on its behalf, said so; or its service or configuration went.</summary>
    Deregistered,

    /// <summary>Nobody renewed its lease.</summary>
    LeaseExpired,

    /// <summary>It was unhealthy for longer than <c>Registry:RemoveAfter</c>.</summary>
    Unhealthy,

    /// <summary>The bus reported its end, and a probe confirmed it.</summary>
    ReportedGone,
}

/// <summary>How departures are written in events and logs.</summary>
internal static class DepartureReasons
{
    public static string Of(DepartureReason reason) => reason switch
    {
        DepartureReason.Deregistered => "deregistered",
        DepartureReason.LeaseExpired => "lease_expired",
        DepartureReason.Unhealthy => "unhealthy",
        DepartureReason.ReportedGone => "reported_gone",
        _ => throw new ArgumentOutOfRangeException(nameof(reason), reason, null),
    };
}

/// <summary>How requests are sent to an instance.</summary>
internal enum UpstreamProtocol
{
    Http1,

    /// <summary>HTTP/2 over TLS.</summary>
    Http2,

    /// <summary>HTTP/2 in clear text, with prior knowledge.</summary>
    H2c,
}

/// <summary>
/// One registered instance, immutable; a change makes a new record with the same <see cref="Epoch"/>, another address makes a new epoch.
/// </summary>
internal sealed record Instance
{
    /// <summary>Unique for the life of the registry. Health, counters and circuits belong to the epoch, not to the id.</summary>
    public required long Epoch { get; init; }

    public required string ServiceName { get; init; }

    public required string InstanceId { get; init; }

    /// <summary>DNS name in lower case, or an IP literal in canonical form and without brackets.</summary>
    public required string Host { get; init; }

    public required int Port { get; init; }

    /// <summary><c>http</c> or <c>https</c>.</summary>
    public required string Scheme { get; init; }

    public UpstreamProtocol Protocol { get; init; }

    /// <summary>Weight that the registration gave, 1–1000.</summary>
    public int RegisteredWeight { get; init; } = 1;

    /// <summary>Weight that an operator set; it outlives registrations until it is taken back. Null when there is none.</summary>
    public int? OperatorWeight { get; init; }

    /// <summary>Cap that the registration or an operator gave, or null for the service's.</summary>
    public int? MaxConnections { get; init; }

    /// <summary>0–100, default 0: instances of a higher number take requests only while none of a lower is usable.</summary>
    public int Priority { get; init; }

    /// <summary>Lease that the registration asked for in seconds, or null for the service's.</summary>
    public int? TtlSeconds { get; init; }

    /// <summary>Probe settings of this instance alone (keys of <see cref="SettingKeys.HealthCheck"/>).</summary>
    public SettingOverrides HealthCheck { get; init; } = SettingOverrides.Empty;

    public ImmutableSortedDictionary<string, string> Metadata { get; init; } = ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal);

    public required DateTimeOffset RegisteredAt { get; init; }

    public required RegistrationSource Source { get; init; }

    /// <summary>An operator took the instance out of rotation; registrations do not bring it back, an operator does.</summary>
    public bool OperatorDrain { get; init; }

    /// <summary>
    /// Has passed its first probe, or is not probed. Kept over restarts: an instance that served before serves again at once, a newcomer that did not proves itself first.
    /// </summary>
    public bool Admitted { get; init; }

    /// <summary>
    /// Removed: takes nothing new, is no longer stored, and leaves the registry when nothing is in flight or the drain timeout is over.
    /// </summary>
    public bool Leaving { get; init; }

    /// <summary>Why it is leaving.</summary>
    public DepartureReason DepartureReason { get; init; }

    /// <summary>The weight that counts.</summary>
    public int Weight => OperatorWeight ?? RegisteredWeight;

    /// <summary>True when requests may go there, as far as the registry knows.</summary>
    public bool InRotation => State == InstanceState.Active;

    public InstanceState State => OperatorDrain || Leaving ? InstanceState.Draining : Admitted ? InstanceState.Active : InstanceState.Pending;

    /// <summary>Same place: scheme, host and port. An instance that moves becomes a new epoch.</summary>
    public bool SameAddress(string scheme, string host, int port) =>
        Port == port && string.Equals(Host, host, StringComparison.Ordinal) && string.Equals(Scheme, scheme, StringComparison.Ordinal);
}

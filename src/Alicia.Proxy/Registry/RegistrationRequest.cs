using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Registry;

/// <summary>What a registration says, from REST, the bus or configuration, before it is validated. Null: the field was left out.</summary>
internal sealed record RegistrationRequest
{
    public string? InstanceId { get; init; }

    public string? Host { get; init; }

    public int? Port { get; init; }

    public string? Scheme { get; init; }

    public string? Protocol { get; init; }

    public int? Weight { get; init; }

    public int? MaxConnections { get; init; }

    public int? TtlSeconds { get; init; }

    public int? Priority { get; init; }

    public SettingOverrides? HealthCheck { get; init; }

    public IReadOnlyDictionary<string, string>? Metadata { get; init; }
}

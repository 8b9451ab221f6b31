using Alicia.Proxy.Circuit;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Validation;

namespace Alicia.Proxy.Api;

/// <summary>An instance as the API shows it.</summary>
internal sealed record InstanceDocument
{
    public required string InstanceId { get; init; }

    public required string ServiceName { get; init; }

    public required string Host { get; init; }

    public required int Port { get; init; }

    public required string Scheme { get; init; }

    public required string Protocol { get; init; }

    public required int Weight { get; init; }

    public required int MaxConnections { get; init; }

    /// <summary>Instances of a higher number are backups of those of a lower.</summary>
    public required int Priority { get; init; }

    public required IReadOnlyDictionary<string, string> Metadata { get; init; }

    public required DateTimeOffset RegisteredAt { get; init; }

    public required string Source { get; init; }

    public required string State { get; init; }

    public required string HealthStatus { get; init; }

    public required DateTimeOffset? LastHealthCheck { get; init; }

    /// <summary>Moving average of the time to the response head in seconds; null before the first response.</summary>
    public required double? ResponseTime { get; init; }

    /// <summary>Share of weight and cap that a new or recovered instance gets while it warms up, between 0 and 1; null when it gets all.</summary>
    public required double? Warming { get; init; }

    public required int ActiveConnections { get; init; }

    public required long TotalRequests { get; init; }

    public required long FailedRequests { get; init; }

    public required CircuitDocument Circuit { get; init; }

    public required LeaseDocument? Lease { get; init; }

    public static InstanceDocument Of(Service service, Instance instance, LiveTable lives, GateTable gates)
    {
        lives.TryGet(instance.Epoch, out var live);
        var responseTime = live?.ResponseTime ?? double.NaN;
        return new InstanceDocument
        {
            InstanceId = instance.InstanceId,
            ServiceName = instance.ServiceName,
            Host = instance.Host,
            Port = instance.Port,
            Scheme = instance.Scheme,
            Protocol = InstanceRules.WireName(instance.Protocol),
            Weight = instance.Weight,
            MaxConnections = service.MaxConnectionsOf(instance),
            Priority = instance.Priority,
            Metadata = instance.Metadata,
            RegisteredAt = instance.RegisteredAt,
            Source = Wire.Name(instance.Source),
            State = Wire.Name(instance.State),
            HealthStatus = HealthNames.Of(live?.Health ?? Live.HealthStatus.Unknown),
            LastHealthCheck = live?.LastProbe?.At,
            ResponseTime = double.IsNaN(responseTime) ? null : responseTime,
            Warming = live?.WarmShare,
            ActiveConnections = live?.InFlight ?? 0,
            TotalRequests = live?.TotalRequests ?? 0,
            FailedRequests = live?.FailedRequests ?? 0,
            Circuit = CircuitDocument.Of(gates.TryGet(instance.Epoch, out var gate) ? gate.Read() : default),
            Lease = LeaseOf(service, instance, live),
        };
    }

    private static LeaseDocument? LeaseOf(Service service, Instance instance, InstanceLive? live)
    {
        if (service.TtlSecondsOf(instance) is not { } ttl)
            return null;
        var renewed = live is { LeaseRenewedAt: > 0 } ? new DateTimeOffset(live.LeaseRenewedAt, TimeSpan.Zero) : instance.RegisteredAt;
        return new LeaseDocument(ttl, renewed.AddSeconds(ttl));
    }
}

/// <summary>State of an instance's circuit. Times are null while it is closed.</summary>
internal sealed record CircuitDocument(string State, int ConsecutiveFailures, string? Reason, DateTimeOffset? OpenedAt, DateTimeOffset? RetryAt)
{
    public static CircuitDocument Of(GateReading gate) => new(
        CircuitNames.Of(gate.State), gate.ConsecutiveFailures, gate.Reason is { } reason ? CircuitNames.Of(reason) : null, gate.OpenedAt, gate.RetryAt);
}

/// <summary>A registration's lease and when it runs out if nobody renews it.</summary>
internal sealed record LeaseDocument(int TtlSeconds, DateTimeOffset ExpiresAt);

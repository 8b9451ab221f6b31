namespace Alicia.Proxy.Events;

/// <summary>What kind of thing happened.</summary>
internal enum EventKind
{
    /// <summary>A service is known from now on.</summary>
    ServiceAdded,

    /// <summary>Settings or routes of a service changed.</summary>
    ServiceChanged,

    /// <summary>A service is gone.</summary>
    ServiceRemoved,

    /// <summary>A new epoch of an instance: it was registered, came back, or moved.</summary>
    InstanceRegistered,

    /// <summary>Weight, cap, metadata or the like of an instance changed.</summary>
    InstanceChanged,

    /// <summary>An instance's state moved: pending, active, draining. <see cref="Happening.Previous"/> and <see cref="Happening.Current"/> are states.</summary>
    InstanceStateChanged,

    /// <summary>An instance left the registry.</summary>
    InstanceRemoved,

    /// <summary>The probes' verdict on an instance moved: unknown, healthy, unhealthy.</summary>
    HealthChanged,

    /// <summary>An instance's circuit moved: closed, open, half_open.</summary>
    CircuitChanged,
}

/// <summary>One thing that happened to a service or an instance.</summary>
/// <param name="Id">Rises by one with every event of this process.</param>
/// <param name="At">When.</param>
/// <param name="Kind">What.</param>
/// <param name="Service">Name of the service.</param>
/// <param name="Happening">The rest of what is known of it.</param>
internal sealed record ProxyEvent(long Id, DateTimeOffset At, EventKind Kind, string Service, Happening Happening);

/// <summary>Details of an event. What does not apply is left out.</summary>
internal readonly record struct Happening
{
    /// <summary>The instance, or null for an event of the service.</summary>
    public string? InstanceId { get; init; }

    /// <summary>The instance's epoch, or 0.</summary>
    public long Epoch { get; init; }

    /// <summary>Wire name of what it was before.</summary>
    public string? Previous { get; init; }

    /// <summary>Wire name of what it is now.</summary>
    public string? Current { get; init; }

    /// <summary>Wire name of the cause, such as <c>probe_failed</c> or <c>operator</c>.</summary>
    public string? Reason { get; init; }
}

namespace Alicia.Proxy.Live;

/// <summary>What the probes of an instance say of it.</summary>
internal enum HealthStatus
{
    /// <summary>No probe has decided yet.</summary>
    Unknown,

    Healthy,

    Unhealthy,
}

namespace Alicia.Proxy.Live;

/// <summary>The probes' verdict on an instance.</summary>
internal enum HealthStatus
{
    /// <summary>No verdict yet, or not probed.</summary>
    Unknown,

    Healthy,

    Unhealthy,
}

/// <summary>How verdicts are written in documents, events and metrics.</summary>
internal static class HealthNames
{
    public static string Of(HealthStatus status) => status switch
    {
        HealthStatus.Unknown => "unknown",
        HealthStatus.Healthy => "healthy",
        HealthStatus.Unhealthy => "unhealthy",
        _ => throw new ArgumentOutOfRangeException(nameof(status), status, null),
    };
}

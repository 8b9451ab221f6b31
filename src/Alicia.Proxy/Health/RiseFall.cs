using Alicia.Proxy.Live;

namespace Alicia.Proxy.Health;

/// <summary>
/// Turns the probes of one instance into a verdict that does not flap: one lost probe takes nobody out, one lucky one brings nobody back. Pure: no clock, no I/O. For one
/// caller at a time.
/// </summary>
/// <remarks>
/// <code>
/// Unknown   ── one passed ─────────────► Healthy
/// Unknown   ── fall failed in a row ───► Unhealthy
/// Healthy   ── fall failed in a row ───► Unhealthy
/// Unhealthy ── rise passed in a row ───► Healthy
/// Unknown, Healthy ── FailAtOnce ──────► Unhealthy
/// </code>
/// </remarks>
internal sealed class RiseFall
{
    /// <summary>Results in a row that speak against <see cref="Status"/>.</summary>
    private int _against;

    public HealthStatus Status { get; private set; }

    /// <summary>True while a change is building up, or an instance that nobody knows has failed: the next probe should come soon.</summary>
    public bool BetweenStates => _against > 0;

    /// <summary>Takes one probe's result.</summary>
    /// <param name="passed">Whether the probe passed.</param>
    /// <param name="rise">Passed probes in a row that make an unhealthy instance healthy, at least 1. May differ from call to call, as may <paramref name="fall"/>.</param>
    /// <param name="fall">Failed probes in a row that make an instance unhealthy, at least 1.</param>
    /// <returns>The new status if it moved, or null.</returns>
    public HealthStatus? Observe(bool passed, int rise, int fall)
    {
        var (contrary, needed, next) = Status switch
        {
            HealthStatus.Unhealthy => (passed, rise, HealthStatus.Healthy),
            HealthStatus.Unknown when passed => (true, 1, HealthStatus.Healthy),
            _ => (!passed, fall, HealthStatus.Unhealthy),
        };
        _against = contrary ? _against + 1 : 0;
        return _against >= needed ? MoveTo(next) : null;
    }

    /// <summary>Unhealthy without waiting for more failures: a request was refused, and so was the probe that asked whether it was chance.</summary>
    /// <returns>The new status if it moved, or null.</returns>
    public HealthStatus? FailAtOnce()
    {
        if (Status != HealthStatus.Unhealthy)
            return MoveTo(HealthStatus.Unhealthy);
        _against = 0;
        return null;
    }

    private HealthStatus MoveTo(HealthStatus next)
    {
        _against = 0;
        Status = next;
        return next;
    }
}

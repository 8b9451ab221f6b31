namespace Alicia.Proxy.Circuit;

/// <summary>Who may pass an instance's gate now.</summary>
internal enum GateStanding
{
    /// <summary>Every request, within the cap.</summary>
    Usable,

    /// <summary>One request at a time, to see whether the instance works again.</summary>
    Trial,

    /// <summary>Nobody.</summary>
    Shut,
}

/// <summary>What a gate says of itself, read at one moment.</summary>
/// <param name="State">The circuit.</param>
/// <param name="ConsecutiveFailures">Failed attempts in a row.</param>
/// <param name="Reason">Why the circuit is not closed; null when it is.</param>
/// <param name="OpenedAt">When it opened; null when closed.</param>
/// <param name="RetryAt">When time alone lets a trial through; null when it does not.</param>
/// <param name="RetryIn">How long until then; negative when it is past. Null as <paramref name="RetryAt"/>.</param>
/// <param name="Held">Times that it would have opened but for the service's limit on ejections.</param>
/// <param name="Suspected">Whether new requests are held back until a probe has answered.</param>
internal readonly record struct GateReading(
    CircuitState State, int ConsecutiveFailures, CircuitReason? Reason, DateTimeOffset? OpenedAt, DateTimeOffset? RetryAt, TimeSpan? RetryIn, long Held, bool Suspected);

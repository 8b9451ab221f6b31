namespace Alicia.Proxy.Circuit;

/// <summary>Whether an instance's circuit lets requests through.</summary>
internal enum CircuitState
{
    /// <summary>Every request may go there.</summary>
    Closed,

    /// <summary>None may.</summary>
    Open,

    /// <summary>One at a time may, as a trial.</summary>
    HalfOpen,
}

/// <summary>Why a circuit moved. One word serves the log line, the event, the metric's label and the instance's document.</summary>
internal enum CircuitReason
{
    /// <summary>Opened: the last failure of the row was a connection that did not come about.</summary>
    ConnectErrors,

    /// <summary>Opened: the last failure of the row was a timeout.</summary>
    Timeouts,

    /// <summary>Opened: the last failure of the row was a reset before the response's head.</summary>
    Resets,

    /// <summary>Opened: the last failure of the row was an answer that is not HTTP.</summary>
    ProtocolErrors,

    /// <summary>Opened: the last failure of the row was a failure status.</summary>
    FailureStatuses,

    /// <summary>Opened: the last failure of the row was <c>grpc-status: 14</c>.</summary>
    GrpcUnavailable,

    /// <summary>Opened: the instance failed far more often than its peers.</summary>
    SuccessRate,

    /// <summary>Opened: the instance answered far slower than its peers.</summary>
    Latency,

    /// <summary>Opened: the probes call the instance unhealthy.</summary>
    ProbesFailed,

    /// <summary>Half-open: the probes succeed again.</summary>
    ProbesPassed,

    /// <summary>Half-open: the circuit was open for as long as it had to be.</summary>
    RecoveryTimeOver,

    /// <summary>Opened again: a trial failed, in whatever way.</summary>
    TrialFailed,

    /// <summary>Closed: enough trials in a row succeeded.</summary>
    TrialsSucceeded,

    /// <summary>Opened or closed by hand.</summary>
    Operator,
}

/// <summary>A circuit has moved; the two states are never the same.</summary>
internal readonly record struct CircuitTransition(CircuitState From, CircuitState To, CircuitReason Reason);

namespace Alicia.Proxy.Circuit;

/// <summary>How the states and reasons of a circuit are called outside of the process: documents, events, log fields and metric labels.</summary>
internal static class CircuitNames
{
    // A name that is missing shall stop the build (CS8509), which a default arm would hide. CS8524 only asks for an arm for numbers that are
    // no value of the enum; those throw.
#pragma warning disable CS8524
    public static string Of(CircuitState state) => state switch
    {
        CircuitState.Closed => "closed",
        CircuitState.Open => "open",
        CircuitState.HalfOpen => "half_open",
    };

    public static string Of(CircuitReason reason) => reason switch
    {
        CircuitReason.ConnectErrors => "connect_errors",
        CircuitReason.Timeouts => "timeouts",
        CircuitReason.Resets => "resets",
        CircuitReason.ProtocolErrors => "protocol_errors",
        CircuitReason.FailureStatuses => "failure_statuses",
        CircuitReason.GrpcUnavailable => "grpc_unavailable",
        CircuitReason.SuccessRate => "success_rate",
        CircuitReason.Latency => "latency",
        CircuitReason.ProbesFailed => "probes_failed",
        CircuitReason.ProbesPassed => "probes_passed",
        CircuitReason.RecoveryTimeOver => "recovery_time_over",
        CircuitReason.TrialFailed => "trial_failed",
        CircuitReason.TrialsSucceeded => "trials_succeeded",
        CircuitReason.Operator => "operator",
    };
#pragma warning restore CS8524
}

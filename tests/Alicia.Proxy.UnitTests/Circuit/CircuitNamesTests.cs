using Alicia.Proxy.Circuit;

namespace Alicia.Proxy.UnitTests.Circuit;

/// <summary>Users match on these words; a change of one is a break of the interface.</summary>
public sealed class CircuitNamesTests
{
    [Fact]
    public void Every_state_has_its_name() =>
        Enum.GetValues<CircuitState>().Select(s => (s, CircuitNames.Of(s))).Should().Equal(
            (CircuitState.Closed, "closed"),
            (CircuitState.Open, "open"),
            (CircuitState.HalfOpen, "half_open"));

    [Fact]
    public void Every_reason_has_its_name() =>
        Enum.GetValues<CircuitReason>().Select(r => (r, CircuitNames.Of(r))).Should().Equal(
            (CircuitReason.ConnectErrors, "connect_errors"),
            (CircuitReason.Timeouts, "timeouts"),
            (CircuitReason.Resets, "resets"),
            (CircuitReason.ProtocolErrors, "protocol_errors"),
            (CircuitReason.FailureStatuses, "failure_statuses"),
            (CircuitReason.GrpcUnavailable, "grpc_unavailable"),
            (CircuitReason.SuccessRate, "success_rate"),
            (CircuitReason.Latency, "latency"),
            (CircuitReason.ProbesFailed, "probes_failed"),
            (CircuitReason.ProbesPassed, "probes_passed"),
            (CircuitReason.RecoveryTimeOver, "recovery_time_over"),
            (CircuitReason.TrialFailed, "trial_failed"),
            (CircuitReason.TrialsSucceeded, "trials_succeeded"),
            (CircuitReason.Operator, "operator"));

    [Fact]
    public void What_is_no_value_has_no_name()
    {
        var state = () => CircuitNames.Of((CircuitState)99);
        var reason = () => CircuitNames.Of((CircuitReason)99);
        state.Should().Throw<InvalidOperationException>();
        reason.Should().Throw<InvalidOperationException>();
    }
}

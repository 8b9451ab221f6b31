using Alicia.Proxy.Circuit;
using static Alicia.Proxy.UnitTests.Circuit.Circuits;

namespace Alicia.Proxy.UnitTests.Circuit;

public sealed class ClosedCircuitTests
{
    public static TheoryData<string, string> OpeningFailures => new()
    {
        { nameof(AttemptFailure.Connect), nameof(CircuitReason.ConnectErrors) },
        { nameof(AttemptFailure.Timeout), nameof(CircuitReason.Timeouts) },
        { nameof(AttemptFailure.Reset), nameof(CircuitReason.Resets) },
        { nameof(AttemptFailure.Protocol), nameof(CircuitReason.ProtocolErrors) },
        { nameof(AttemptFailure.Status), nameof(CircuitReason.FailureStatuses) },
        { nameof(AttemptFailure.Grpc), nameof(CircuitReason.GrpcUnavailable) },
    };

    [Fact]
    public void A_new_circuit_is_closed_and_has_nothing_to_tell()
    {
        var machine = Closed();
        machine.Should().BeEquivalentTo(new
        {
            State = CircuitState.Closed,
            ConsecutiveFailures = 0,
            Reason = (CircuitReason?)null,
            OpenedAt = (DateTimeOffset?)null,
            RetryAt = (DateTimeOffset?)null,
            Held = 0L,
        });
    }

    [Theory]
    [MemberData(nameof(OpeningFailures))]
    public void It_opens_at_the_threshold_and_not_before_with_the_last_failure_as_its_reason(string last, string expected)
    {
        var reason = Enum.Parse<CircuitReason>(expected);
        var machine = Closed(failures: 3);
        machine.Request(AttemptFailure.Connect, At(1)).Should().BeNull();
        machine.Request(AttemptFailure.Status, At(2)).Should().BeNull();
        machine.ConsecutiveFailures.Should().Be(2);
        machine.Request(Enum.Parse<AttemptFailure>(last), At(3)).Should().Be(new CircuitTransition(CircuitState.Closed, CircuitState.Open, reason));

        machine.State.Should().Be(CircuitState.Open);
        machine.Reason.Should().Be(reason);
        machine.OpenedAt.Should().Be(At(3));
        machine.RetryAt.Should().Be(At(13));
        machine.ConsecutiveFailures.Should().Be(3);
    }

    [Fact]
    public void Every_kind_of_failure_is_in_the_table() =>
        OpeningFailures.AsEnumerable().Select(row => (string)row[0]).Should().BeEquivalentTo(Enum.GetNames<AttemptFailure>());

    [Fact]
    public void A_threshold_of_one_opens_at_the_first_failure() =>
        Closed(failures: 1).Request(AttemptFailure.Timeout, At(0)).Should().NotBeNull();

    [Fact]
    public void A_success_between_them_begins_the_count_anew()
    {
        var machine = Closed(failures: 3);
        machine.Request(AttemptFailure.Reset, At(0));
        machine.Request(AttemptFailure.Reset, At(1));
        machine.Succeeded(trial: false, At(2)).Should().BeNull();
        machine.ConsecutiveFailures.Should().Be(0);
        machine.Request(AttemptFailure.Reset, At(3)).Should().BeNull();
        machine.Request(AttemptFailure.Reset, At(4)).Should().BeNull();
        machine.Request(AttemptFailure.Reset, At(5)).Should().NotBeNull();
    }

    [Fact]
    public void Good_probes_and_the_end_of_probing_do_not_reset_failures_of_requests()
    {
        var machine = Closed(failures: 3);
        machine.Request(AttemptFailure.Status, At(0));
        machine.Request(AttemptFailure.Status, At(0));
        machine.ProbesPassed(At(1)).Should().BeNull();
        machine.ProbesEnded(At(1)).Should().BeNull();
        machine.Tick(At(1000)).Should().BeNull();
        machine.ConsecutiveFailures.Should().Be(2);
        machine.Request(AttemptFailure.Status, At(2)).Should().NotBeNull();
    }

    [Fact]
    public void One_that_may_not_open_stays_closed_is_counted_and_asks_again_at_every_failure()
    {
        var machine = Closed(failures: 2);
        machine.Failed(AttemptFailure.Connect, trial: false, mayOpen: false, At(0)).Should().BeNull();
        machine.Held.Should().Be(0, "the threshold is not reached, so nothing was held");
        machine.Failed(AttemptFailure.Connect, trial: false, mayOpen: false, At(1)).Should().BeNull();
        machine.Failed(AttemptFailure.Connect, trial: false, mayOpen: false, At(2)).Should().BeNull();
        machine.State.Should().Be(CircuitState.Closed);
        machine.Reason.Should().BeNull();
        machine.Held.Should().Be(2);

        machine.Failed(AttemptFailure.Timeout, trial: false, mayOpen: true, At(3))
            .Should().Be(new CircuitTransition(CircuitState.Closed, CircuitState.Open, CircuitReason.Timeouts));
        machine.Held.Should().Be(2);
        machine.ConsecutiveFailures.Should().Be(4);
    }

    [Fact]
    public void What_was_held_is_forgiven_by_a_success()
    {
        var machine = Closed(failures: 2);
        machine.Failed(AttemptFailure.Connect, trial: false, mayOpen: false, At(0));
        machine.Failed(AttemptFailure.Connect, trial: false, mayOpen: false, At(0));
        machine.Succeeded(trial: false, At(1));
        machine.Request(AttemptFailure.Connect, At(2)).Should().BeNull();
        machine.Held.Should().Be(1, "it is a count of what happened");
    }

    [Fact]
    public void A_trial_that_ends_after_the_circuit_was_closed_changes_nothing()
    {
        var machine = Closed(failures: 2);
        machine.Request(AttemptFailure.Connect, At(0));
        machine.Trial(AttemptFailure.Connect, At(1)).Should().BeNull();
        machine.ConsecutiveFailures.Should().Be(1);
        machine.Succeeded(trial: true, At(2)).Should().BeNull();
        machine.ConsecutiveFailures.Should().Be(1);
    }

    [Fact]
    public void Failing_probes_open_it_whatever_the_threshold()
    {
        var machine = Closed(failures: 10_000);
        machine.ProbesFailed(At(5)).Should().Be(new CircuitTransition(CircuitState.Closed, CircuitState.Open, CircuitReason.ProbesFailed));
        machine.Reason.Should().Be(CircuitReason.ProbesFailed);
        machine.OpenedAt.Should().Be(At(5));
        machine.RetryAt.Should().BeNull("the probes say when");
        machine.ConsecutiveFailures.Should().Be(0);
    }

    [Fact]
    public void A_threshold_that_sinks_below_the_count_counts_from_the_next_failure_on()
    {
        var machine = Closed(failures: 5);
        for (var i = 0; i < 4; i++)
            machine.Request(AttemptFailure.Connect, At(i));
        machine.Settings = machine.Settings with { FailureThreshold = 2 };
        machine.Tick(At(5)).Should().BeNull();
        machine.State.Should().Be(CircuitState.Closed);
        machine.Request(AttemptFailure.Connect, At(6)).Should().NotBeNull();
    }
}

using Alicia.Proxy.Circuit;
using static Alicia.Proxy.UnitTests.Circuit.Circuits;

namespace Alicia.Proxy.UnitTests.Circuit;

public sealed class HalfOpenCircuitTests
{
    [Fact]
    public void It_closes_when_as_many_trials_in_a_row_as_asked_for_have_succeeded()
    {
        var machine = HalfOpen();
        machine.Succeeded(trial: true, At(11)).Should().BeNull();
        machine.State.Should().Be(CircuitState.HalfOpen);
        machine.ConsecutiveFailures.Should().Be(0);
        machine.Succeeded(trial: true, At(12)).Should().Be(new CircuitTransition(CircuitState.HalfOpen, CircuitState.Closed, CircuitReason.TrialsSucceeded));
        machine.Reason.Should().BeNull();
        machine.OpenedAt.Should().BeNull();
        machine.RetryAt.Should().BeNull();
    }

    [Fact]
    public void A_success_threshold_of_one_closes_at_the_first_trial()
    {
        var machine = HalfOpen();
        machine.Settings = machine.Settings with { SuccessThreshold = 1 };
        machine.Succeeded(trial: true, At(11)).Should().NotBeNull();
    }

    [Fact]
    public void Results_of_requests_that_are_no_trials_change_nothing()
    {
        var machine = HalfOpen();
        for (var i = 0; i < 10; i++)
        {
            machine.Succeeded(trial: false, At(11)).Should().BeNull();
            machine.Request(AttemptFailure.Connect, At(11)).Should().BeNull();
        }

        machine.State.Should().Be(CircuitState.HalfOpen);
        machine.ConsecutiveFailures.Should().Be(3);
        machine.Held.Should().Be(0);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void One_failed_trial_opens_it_again_without_asking_for_leave(bool mayOpen)
    {
        var machine = HalfOpen();
        machine.Failed(AttemptFailure.Timeout, trial: true, mayOpen, At(11))
            .Should().Be(new CircuitTransition(CircuitState.HalfOpen, CircuitState.Open, CircuitReason.TrialFailed));
        machine.Reason.Should().Be(CircuitReason.TrialFailed);
        machine.OpenedAt.Should().Be(At(11));
        machine.RetryAt.Should().Be(At(31), "the second trip in a row lasts twice as long");
        machine.ConsecutiveFailures.Should().Be(4);
        machine.Held.Should().Be(0);
    }

    [Theory]
    [InlineData(nameof(AttemptFailure.Connect), true)]
    [InlineData(nameof(AttemptFailure.Timeout), true)]
    [InlineData(nameof(AttemptFailure.Reset), true)]
    [InlineData(nameof(AttemptFailure.Protocol), true)]
    [InlineData(nameof(AttemptFailure.Status), false)]
    [InlineData(nameof(AttemptFailure.Grpc), false)]
    public void How_the_trial_failed_decides_whether_good_probes_may_half_open_it(string failure, bool probesMay)
    {
        foreach (var machine in new[] { HalfOpen(), OpenedByProbes() })
        {
            machine.ProbesPassed(At(10));
            machine.State.Should().Be(CircuitState.HalfOpen);
            machine.Trial(Enum.Parse<AttemptFailure>(failure), At(11)).Should().NotBeNull();
            (machine.ProbesPassed(At(12)) is not null).Should().Be(probesMay);
        }
    }

    [Fact]
    public void Successes_before_a_failed_trial_do_not_count_after_it()
    {
        var machine = HalfOpen();
        machine.Succeeded(trial: true, At(11));
        machine.Trial(AttemptFailure.Status, At(12));
        machine.ConsecutiveFailures.Should().Be(1);
        machine.Tick(At(32)).Should().NotBeNull();
        machine.Succeeded(trial: true, At(33)).Should().BeNull();
        machine.Succeeded(trial: true, At(34)).Should().NotBeNull();
    }

    [Fact]
    public void Failing_probes_open_it_again()
    {
        var machine = HalfOpen();
        machine.ProbesFailed(At(12)).Should().Be(new CircuitTransition(CircuitState.HalfOpen, CircuitState.Open, CircuitReason.ProbesFailed));
        machine.Reason.Should().Be(CircuitReason.ProbesFailed);
        machine.OpenedAt.Should().Be(At(12));
        machine.RetryAt.Should().BeNull();
        machine.ProbesPassed(At(13)).Should().NotBeNull("it is the probes that opened it now");
    }

    [Fact]
    public void Good_probes_the_end_of_probing_and_time_change_nothing()
    {
        var machine = HalfOpen();
        machine.Succeeded(trial: true, At(11));
        machine.ProbesPassed(At(12)).Should().BeNull();
        machine.ProbesEnded(At(13)).Should().BeNull();
        machine.Tick(At(100_000)).Should().BeNull();
        machine.State.Should().Be(CircuitState.HalfOpen);
        machine.Succeeded(trial: true, At(14)).Should().NotBeNull("the first trial still counts");
    }

    [Fact]
    public void Once_closed_the_next_opening_is_a_first_one_and_needs_all_its_failures()
    {
        var machine = HalfOpen();
        machine.Trial(AttemptFailure.Connect, At(10));
        machine.Tick(At(30));
        machine.Succeeded(trial: true, At(31));
        machine.Succeeded(trial: true, At(32));
        machine.Request(AttemptFailure.Connect, At(33)).Should().BeNull();
        machine.Request(AttemptFailure.Connect, At(34)).Should().BeNull();
        machine.Request(AttemptFailure.Connect, At(35)).Should().NotBeNull();
        machine.RetryAt.Should().Be(At(45));
    }
}

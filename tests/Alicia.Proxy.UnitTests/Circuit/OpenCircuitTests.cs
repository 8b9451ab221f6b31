using Alicia.Proxy.Circuit;
using static Alicia.Proxy.UnitTests.Circuit.Circuits;

namespace Alicia.Proxy.UnitTests.Circuit;

public sealed class OpenCircuitTests
{
    private static readonly CircuitTransition Released = new(CircuitState.Open, CircuitState.HalfOpen, CircuitReason.ProbesPassed);
    private static readonly CircuitTransition Recovered = new(CircuitState.Open, CircuitState.HalfOpen, CircuitReason.RecoveryTimeOver);

    private static readonly string[] Transport =
        [nameof(AttemptFailure.Connect), nameof(AttemptFailure.Timeout), nameof(AttemptFailure.Reset), nameof(AttemptFailure.Protocol)];

    private static readonly string[] Answers = [nameof(AttemptFailure.Status), nameof(AttemptFailure.Grpc)];

    public static TheoryData<string> TransportFailures => [.. Transport];

    public static TheoryData<string> BadAnswers => [.. Answers];

    [Theory]
    [InlineData("SuccessRate")]
    [InlineData("Latency")]
    public void What_a_comparison_with_its_peers_opened_waits_its_time_whatever_probes_say(string reason)
    {
        var machine = Closed();
        machine.Ejected(Enum.Parse<CircuitReason>(reason), mayOpen: true, At(0)).Should().Be(new CircuitTransition(CircuitState.Closed, CircuitState.Open, Enum.Parse<CircuitReason>(reason)));
        machine.ProbesPassed(At(1)).Should().BeNull("they passed all along");
        machine.Ejected(CircuitReason.Latency, mayOpen: true, At(2)).Should().BeNull("it is out already");
        machine.RetryAt.Should().Be(At(10));
        machine.Tick(At(10)).Should().Be(Recovered);
        machine.Ejected(CircuitReason.Latency, mayOpen: true, At(11)).Should().BeNull("trials decide now");
    }

    [Fact]
    public void A_comparison_that_may_not_open_it_is_counted_as_held()
    {
        var machine = Closed();
        machine.Ejected(CircuitReason.Latency, mayOpen: false, At(0)).Should().BeNull();
        (machine.State, machine.Held).Should().Be((CircuitState.Closed, 1));
    }

    [Fact]
    public void Time_alone_half_opens_it_exactly_at_its_time_and_not_a_tick_before()
    {
        var machine = OpenedBy(AttemptFailure.Connect);
        machine.Tick(At(10).AddTicks(-1)).Should().BeNull();
        machine.State.Should().Be(CircuitState.Open);
        machine.Tick(At(10)).Should().Be(Recovered);
        machine.State.Should().Be(CircuitState.HalfOpen);
        machine.Tick(At(11)).Should().BeNull("it is half-open already");
    }

    [Fact]
    public void Half_open_it_still_tells_why_and_when_it_was_opened()
    {
        var machine = HalfOpen();
        machine.Reason.Should().Be(CircuitReason.FailureStatuses);
        machine.OpenedAt.Should().Be(At(0));
        machine.RetryAt.Should().BeNull();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Results_that_come_in_late_change_nothing(bool trial)
    {
        var machine = OpenedBy(AttemptFailure.Connect);
        machine.Succeeded(trial, At(1)).Should().BeNull();
        machine.Failed(AttemptFailure.Status, trial, mayOpen: true, At(2)).Should().BeNull();
        machine.Failed(AttemptFailure.Status, trial, mayOpen: false, At(2)).Should().BeNull();
        machine.Reason.Should().Be(CircuitReason.ConnectErrors);
        machine.OpenedAt.Should().Be(At(0));
        machine.RetryAt.Should().Be(At(10));
        machine.ConsecutiveFailures.Should().Be(3);
        machine.Held.Should().Be(0);
        machine.ProbesPassed(At(3)).Should().Be(Released, "a late bad answer did not make it one that waits");
    }

    [Theory]
    [MemberData(nameof(TransportFailures))]
    public void Good_probes_half_open_at_once_what_transport_errors_opened(string failure) =>
        OpenedBy(Enum.Parse<AttemptFailure>(failure)).ProbesPassed(At(0)).Should().Be(Released);

    [Theory]
    [MemberData(nameof(BadAnswers))]
    public void What_bad_answers_opened_waits_its_time_whatever_the_probes_say(string failure)
    {
        var machine = OpenedBy(Enum.Parse<AttemptFailure>(failure));
        machine.ProbesPassed(At(9.999)).Should().BeNull();
        machine.RetryAt.Should().Be(At(10));
        machine.Tick(At(10)).Should().Be(Recovered);
    }

    [Fact]
    public void Transport_errors_and_bad_answers_are_all_there_is() =>
        Transport.Concat(Answers).Should().BeEquivalentTo(Enum.GetNames<AttemptFailure>());

    [Fact]
    public void What_probes_opened_waits_for_the_probes_and_not_for_the_time()
    {
        var machine = OpenedByProbes();
        machine.Tick(At(100_000)).Should().BeNull();
        machine.ProbesPassed(At(100_001)).Should().Be(Released);
    }

    [Theory]
    [InlineData(nameof(AttemptFailure.Connect), nameof(CircuitReason.ConnectErrors))]
    [InlineData(nameof(AttemptFailure.Status), nameof(CircuitReason.FailureStatuses))]
    public void Probes_that_begin_to_fail_hold_it_open_beyond_its_time_and_it_keeps_its_reason(string failure, string reason)
    {
        var machine = OpenedBy(Enum.Parse<AttemptFailure>(failure));
        machine.ProbesFailed(At(5)).Should().BeNull();
        machine.Reason.Should().Be(Enum.Parse<CircuitReason>(reason));
        machine.OpenedAt.Should().Be(At(0));
        machine.RetryAt.Should().BeNull();
        machine.Tick(At(10)).Should().BeNull();
        machine.Tick(At(1000)).Should().BeNull();
    }

    [Fact]
    public void After_failing_probes_have_passed_bad_answers_wait_for_the_rest_of_their_time()
    {
        var machine = OpenedBy(AttemptFailure.Status);
        machine.ProbesFailed(At(2));
        machine.ProbesPassed(At(4)).Should().BeNull();
        machine.RetryAt.Should().Be(At(10));
        machine.Tick(At(9)).Should().BeNull();
        machine.Tick(At(10)).Should().Be(Recovered);
    }

    [Theory]
    [InlineData(10)]
    [InlineData(50)]
    public void Bad_answers_whose_time_is_over_are_half_open_as_soon_as_the_probes_pass(double seconds)
    {
        var machine = OpenedBy(AttemptFailure.Grpc);
        machine.ProbesFailed(At(2));
        machine.ProbesPassed(At(seconds)).Should().Be(Recovered);
    }

    [Fact]
    public void Failing_probes_are_no_further_trip()
    {
        var machine = OpenedBy(AttemptFailure.Connect);
        machine.ProbesFailed(At(1));
        machine.ProbesPassed(At(2)).Should().Be(Released);
        machine.Trial(AttemptFailure.Connect, At(3));
        machine.RetryAt.Should().Be(At(23), "it is the second trip");
    }

    [Fact]
    public void What_probes_opened_waits_a_whole_recovery_time_once_it_is_no_longer_probed()
    {
        var machine = OpenedByProbes();
        machine.ProbesEnded(At(100)).Should().BeNull();
        machine.RetryAt.Should().Be(At(110));
        machine.Reason.Should().Be(CircuitReason.ProbesFailed);
        machine.ProbesEnded(At(105)).Should().BeNull();
        machine.RetryAt.Should().Be(At(110), "hearing it twice does not prolong it");
        machine.Tick(At(109)).Should().BeNull();
        machine.Tick(At(110)).Should().Be(Recovered);
    }

    [Fact]
    public void Probes_that_fail_again_after_they_had_ended_hold_it_open_again()
    {
        var machine = OpenedByProbes();
        machine.ProbesEnded(At(100));
        machine.ProbesFailed(At(104)).Should().BeNull();
        machine.Tick(At(110)).Should().BeNull();
        machine.ProbesEnded(At(200)).Should().BeNull();
        machine.RetryAt.Should().Be(At(210));
        machine.ProbesPassed(At(201)).Should().Be(Released);
    }

    [Theory]
    [InlineData(nameof(AttemptFailure.Connect))]
    [InlineData(nameof(AttemptFailure.Status))]
    public void What_requests_opened_gets_its_own_time_back_once_it_is_no_longer_probed(string failure)
    {
        var machine = OpenedBy(Enum.Parse<AttemptFailure>(failure));
        machine.ProbesFailed(At(2));
        machine.ProbesEnded(At(4)).Should().BeNull();
        machine.RetryAt.Should().Be(At(10));

        machine.ProbesFailed(At(5));
        machine.ProbesEnded(At(12)).Should().Be(Recovered, "its own time is over");
    }

    [Fact]
    public void A_recovery_time_that_runs_keeps_its_end_when_the_setting_changes()
    {
        var machine = OpenedBy(AttemptFailure.Connect);
        machine.Settings = machine.Settings with { RecoveryTimeout = TimeSpan.FromSeconds(1) };
        machine.RetryAt.Should().Be(At(10));
        machine.Tick(At(10)).Should().Be(Recovered);
        machine.Trial(AttemptFailure.Connect, At(10));
        machine.RetryAt.Should().Be(At(12));
    }
}

using Alicia.Proxy.Circuit;
using static Alicia.Proxy.UnitTests.Circuit.Circuits;

namespace Alicia.Proxy.UnitTests.Circuit;

public sealed class CircuitByHandTests
{
    private static readonly Dictionary<string, Func<CircuitMachine>> Machines = new()
    {
        ["closed"] = () => Closed(),
        ["opened by requests"] = () => OpenedBy(AttemptFailure.Connect),
        ["opened by bad answers"] = () => OpenedBy(AttemptFailure.Status),
        ["opened by probes"] = OpenedByProbes,
        ["half-open"] = HalfOpen,
    };

    public static TheoryData<string> All => [.. Machines.Keys];

    [Theory]
    [MemberData(nameof(All))]
    public void Opened_by_hand_it_stays_open_whatever_comes(string state)
    {
        var machine = Machines[state]();
        var from = machine.State;
        var moved = machine.OpenByHand(At(20));
        moved.Should().Be(from == CircuitState.Open ? null : new CircuitTransition(from, CircuitState.Open, CircuitReason.Operator));

        for (var seconds = 21; seconds < 2000; seconds += 100)
        {
            machine.Tick(At(seconds)).Should().BeNull();
            machine.ProbesPassed(At(seconds)).Should().BeNull();
            machine.ProbesFailed(At(seconds)).Should().BeNull();
            machine.ProbesPassed(At(seconds)).Should().BeNull();
            machine.ProbesFailed(At(seconds)).Should().BeNull();
            machine.ProbesEnded(At(seconds)).Should().BeNull();
            machine.Succeeded(trial: true, At(seconds)).Should().BeNull();
            machine.Succeeded(trial: false, At(seconds)).Should().BeNull();
            machine.Trial(AttemptFailure.Connect, At(seconds)).Should().BeNull();
            machine.Request(AttemptFailure.Connect, At(seconds)).Should().BeNull();
            machine.OpenByHand(At(seconds)).Should().BeNull();
        }

        machine.State.Should().Be(CircuitState.Open);
        machine.Reason.Should().Be(CircuitReason.Operator);
        machine.OpenedAt.Should().Be(At(20), "that is when the operator opened it");
        machine.RetryAt.Should().BeNull();
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Closed_by_hand_it_forgets_the_past(string state)
    {
        var machine = Machines[state]();
        var from = machine.State;
        machine.CloseByHand(At(20)).Should().Be(from == CircuitState.Closed ? null : new CircuitTransition(from, CircuitState.Closed, CircuitReason.Operator));
        machine.Reason.Should().BeNull();
        machine.OpenedAt.Should().BeNull();
        machine.RetryAt.Should().BeNull();
        machine.ConsecutiveFailures.Should().Be(0);

        machine.Request(AttemptFailure.Connect, At(21)).Should().BeNull();
        machine.Request(AttemptFailure.Connect, At(22)).Should().BeNull();
        machine.Request(AttemptFailure.Connect, At(23)).Should().NotBeNull();
        machine.RetryAt.Should().Be(At(33), "it is the first trip, and probes that failed before stand in no one's way");
    }

    [Fact]
    public void Closing_a_closed_one_by_hand_forgives_the_failures_so_far()
    {
        var machine = Closed();
        machine.Request(AttemptFailure.Connect, At(0));
        machine.Request(AttemptFailure.Connect, At(1));
        machine.CloseByHand(At(2)).Should().BeNull();
        machine.Request(AttemptFailure.Connect, At(3)).Should().BeNull();
        machine.ConsecutiveFailures.Should().Be(1);
    }

    [Fact]
    public void Closing_what_was_opened_by_hand_forgets_probes_that_failed_meanwhile()
    {
        var machine = Closed(failures: 1);
        machine.OpenByHand(At(0));
        machine.ProbesFailed(At(1));
        machine.CloseByHand(At(2)).Should().Be(new CircuitTransition(CircuitState.Open, CircuitState.Closed, CircuitReason.Operator));
        machine.Request(AttemptFailure.Connect, At(3));
        machine.RetryAt.Should().Be(At(13));
    }

    [Fact]
    public void The_count_of_openings_that_were_held_outlives_the_operator()
    {
        var machine = Closed(failures: 1);
        machine.Failed(AttemptFailure.Connect, trial: false, mayOpen: false, At(0));
        machine.CloseByHand(At(1));
        machine.Held.Should().Be(1);
    }
}

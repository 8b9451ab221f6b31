using Alicia.Proxy.Circuit;

namespace Alicia.Proxy.UnitTests.Circuit;

/// <summary>Short words for the tests of the circuit: a machine in a given state, and times that read as seconds after noon.</summary>
internal static class Circuits
{
    public static readonly TimeSpan Recovery = TimeSpan.FromSeconds(10);

    private static readonly DateTimeOffset Noon = new(2030, 1, 2, 12, 0, 0, TimeSpan.Zero);

    public static DateTimeOffset At(double seconds) => Noon.AddSeconds(seconds);

    public static CircuitMachine Closed(int failures = 3, int successes = 2, TimeSpan? recovery = null) =>
        new(new CircuitSettings(failures, recovery ?? Recovery, successes));

    /// <summary>Opened at noon by requests that failed like that.</summary>
    public static CircuitMachine OpenedBy(AttemptFailure failure)
    {
        var machine = Closed();
        for (var i = 0; i < 3; i++)
            machine.Request(failure, At(0));
        machine.State.Should().Be(CircuitState.Open);
        return machine;
    }

    /// <summary>Opened at noon by the probes.</summary>
    public static CircuitMachine OpenedByProbes()
    {
        var machine = Closed();
        machine.ProbesFailed(At(0)).Should().NotBeNull();
        return machine;
    }

    /// <summary>Opened at noon by failure statuses, half-open ten seconds later.</summary>
    public static CircuitMachine HalfOpen()
    {
        var machine = OpenedBy(AttemptFailure.Status);
        machine.Tick(At(10)).Should().NotBeNull();
        return machine;
    }

    public static CircuitTransition? Request(this CircuitMachine machine, AttemptFailure failure, DateTimeOffset now) =>
        machine.Failed(failure, trial: false, mayOpen: true, now);

    public static CircuitTransition? Trial(this CircuitMachine machine, AttemptFailure failure, DateTimeOffset now) =>
        machine.Failed(failure, trial: true, mayOpen: false, now);
}

using Alicia.Proxy.Circuit;
using Alicia.Proxy.Live;

namespace Alicia.Proxy.UnitTests.Circuit;

/// <summary>Round robin brings two failing instances to their threshold at the same moment; what one may do because of the other holds all the same.</summary>
public sealed class SimultaneousOpeningTests
{
    private const int Threshold = 5;

    [Theory]
    [InlineData(500, 100)]
    [InlineData(503, 50)]
    public void Of_two_that_reach_their_threshold_together_one_stays_in(int status, int maxEjectionPercent)
    {
        var time = new Meeting();
        var siblings = new ServiceGates();
        InstanceGate[] gates = [Gate(1, siblings, time), Gate(2, siblings, time)];
        siblings.Use(gates, maxEjectionPercent);
        foreach (var gate in gates)
        {
            for (var i = 1; i < Threshold; i++)
                gate.Failed(AttemptFailure.Status, 503, 0);
        }

        // The first gate has looked at the other when it asks for the time. There the other fails too: to its end if nothing keeps it, else until it has to wait.
        var other = new Thread(() => gates[1].Failed(AttemptFailure.Status, status, 0));
        time.Asked = () =>
        {
            other.Start();
            SpinWait.SpinUntil(() => !other.IsAlive || (other.ThreadState & ThreadState.WaitSleepJoin) != 0, TimeSpan.FromSeconds(20)).Should().BeTrue();
        };
        gates[0].Failed(AttemptFailure.Status, status, 0);
        other.Join(TimeSpan.FromSeconds(20)).Should().BeTrue();

        gates.Select(g => g.CircuitOut).Should().Equal(true, false);
    }

    private static InstanceGate Gate(long epoch, ServiceGates siblings, TimeProvider time) =>
        new("s", $"i{epoch}", new InstanceLive(epoch), new CircuitSettings(Threshold, TimeSpan.FromHours(1), 3), GateSurroundings.None, time) { Siblings = siblings };

    /// <summary>A clock that does something the next time that it is asked.</summary>
    private sealed class Meeting : TimeProvider
    {
        public Action? Asked { get; set; }

        public override long GetTimestamp()
        {
            var asked = Asked;
            Asked = null;
            asked?.Invoke();
            return base.GetTimestamp();
        }
    }
}

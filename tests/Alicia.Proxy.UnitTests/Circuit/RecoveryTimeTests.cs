using Alicia.Proxy.Circuit;
using static Alicia.Proxy.UnitTests.Circuit.Circuits;

namespace Alicia.Proxy.UnitTests.Circuit;

public sealed class RecoveryTimeTests
{
    [Theory]
    [InlineData(60, new double[] { 60, 120, 240, 300, 300, 300 })]
    [InlineData(0.1, new[] { 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 300, 300 })]
    [InlineData(75, new double[] { 75, 150, 300, 300 })]
    [InlineData(300, new double[] { 300, 300 })]
    [InlineData(301, new double[] { 301, 301, 301 })]
    [InlineData(3600, new double[] { 3600, 3600, 3600 })]
    public void Every_trip_in_a_row_lasts_twice_as_long_up_to_five_minutes_or_the_timeout_itself(double timeout, double[] expected)
    {
        var machine = Closed(failures: 1, recovery: TimeSpan.FromSeconds(timeout));
        var now = At(0);
        machine.Request(AttemptFailure.Status, now);
        foreach (var seconds in expected)
        {
            (machine.RetryAt - now).Should().Be(TimeSpan.FromSeconds(seconds));
            now = machine.RetryAt!.Value;
            machine.Tick(now).Should().NotBeNull();
            machine.Trial(AttemptFailure.Status, now).Should().NotBeNull();
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(60 * TimeSpan.TicksPerSecond)]
    [InlineData(TimeSpan.TicksPerHour)]
    public void Ten_thousand_trips_in_a_row_overflow_nothing(long timeoutTicks)
    {
        var machine = Closed(failures: 1, recovery: TimeSpan.FromTicks(timeoutTicks));
        var cap = TimeSpan.FromTicks(Math.Max(timeoutTicks, TimeSpan.FromMinutes(5).Ticks));
        var now = At(0);
        var last = TimeSpan.Zero;
        machine.Request(AttemptFailure.Connect, now);
        for (var trip = 1; trip <= 10_000; trip++)
        {
            var time = machine.RetryAt!.Value - now;
            time.Should().BeGreaterThanOrEqualTo(last).And.BeLessThanOrEqualTo(cap);
            last = time;
            machine.ProbesPassed(now).Should().NotBeNull();
            machine.Trial(AttemptFailure.Connect, now).Should().NotBeNull();
        }

        last.Should().Be(cap);
    }

    [Fact]
    public void An_instance_that_flaps_under_its_probes_waits_longer_each_time_probes_open_it_half_open()
    {
        var machine = Closed();
        machine.ProbesFailed(At(0));
        machine.ProbesEnded(At(1));
        machine.RetryAt.Should().Be(At(11), "the first trip");

        machine.ProbesPassed(At(2));
        machine.ProbesFailed(At(3));
        machine.ProbesEnded(At(4));
        machine.RetryAt.Should().Be(At(24), "the second, out of half-open");

        machine.ProbesPassed(At(5));
        machine.Trial(AttemptFailure.Connect, At(6));
        machine.RetryAt.Should().Be(At(46), "the third, by a trial");
    }

    [Fact]
    public void Probes_that_open_a_closed_circuit_again_begin_with_the_shortest_time()
    {
        var machine = HalfOpen();
        machine.Trial(AttemptFailure.Status, At(11));
        machine.CloseByHand(At(12));
        machine.ProbesFailed(At(13));
        machine.ProbesEnded(At(14));
        machine.RetryAt.Should().Be(At(24));
    }
}

using Alicia.Proxy.Circuit;
using Alicia.Proxy.Events;
using Alicia.Proxy.Live;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace Alicia.Proxy.UnitTests.Circuit;

public sealed class InstanceGateTests
{
    private static readonly CircuitSettings Settings = new(3, TimeSpan.FromSeconds(10), 2);

    private readonly FakeTimeProvider _time = new(DateTimeOffset.UnixEpoch.AddYears(50));
    private readonly EventLog _events;
    private readonly GateSurroundings _surroundings;
    private readonly ServiceGates _siblings = new();
    private readonly InstanceGate _gate;
    private readonly InstanceGate _other;
    private readonly List<string> _rearranged = [];
    private readonly List<long> _doubted = [];

    public InstanceGateTests()
    {
        _events = new EventLog(_time);
        _surroundings = new GateSurroundings(_events, NullLogger<GateSurroundings>.Instance)
        {
            RotationChanged = _rearranged.Add,
            ProbeWanted = (gate, _) => _doubted.Add(gate.Live.Epoch),
        };
        (_gate, _other) = (Gate(1), Gate(2));
        _siblings.Use([_gate, _other], 100);
    }

    [Fact]
    public void Failures_in_a_row_open_the_circuit_and_shut_the_slots_at_once()
    {
        Fail(_gate, 2);
        _gate.Succeeded(0);
        Fail(_gate, 2);
        (_gate.Standing, _gate.Live.Slots).Should().Be((GateStanding.Usable, 5), "a success in between starts the count again");

        Fail(_gate, 1);

        (_gate.Standing, _gate.Live.Slots, _gate.CircuitOut).Should().Be((GateStanding.Shut, 0, true));
        _gate.Live.TryReserve().Should().BeFalse();
        _gate.Read().Should().BeEquivalentTo(new
        {
            State = CircuitState.Open,
            ConsecutiveFailures = 3,
            Reason = CircuitReason.Resets,
            OpenedAt = _time.GetUtcNow(),
            RetryAt = _time.GetUtcNow().AddSeconds(10),
        });
        _rearranged.Should().Equal("tts");
    }

    [Fact]
    public void After_its_time_exactly_one_request_at_a_time_is_let_through_whatever_else_is_in_flight()
    {
        _gate.Live.TryReserve().Should().BeTrue("a request from before hangs");
        Open();
        _time.Advance(TimeSpan.FromSeconds(10.1));
        (_gate.Standing, _gate.Live.Slots).Should().Be((GateStanding.Trial, 0));

        var permits = Enumerable.Range(0, 100).Select(_ => _gate.TryTrial(out var permit) ? permit : 0).ToArray();

        permits.Where(p => p != 0).Should().ContainSingle();
        _gate.Live.InFlight.Should().Be(2);
        _gate.EndTrial(permits[0]);
        _gate.Live.Release();
        _gate.TryTrial(out var next).Should().BeTrue();
        next.Should().NotBe(permits[0]);
    }

    [Fact]
    public async Task One_of_many_that_ask_at_the_same_time_gets_the_trial()
    {
        Open();
        _time.Advance(TimeSpan.FromSeconds(11));
        using var together = new Barrier(8);
        var won = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Factory.StartNew(() =>
        {
            together.SignalAndWait();
            return Enumerable.Range(0, 1000).Count(_ => _gate.TryTrial(out var _));
        }, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)));

        won.Sum().Should().Be(1);
        _gate.Live.InFlight.Should().Be(1);
    }

    [Fact]
    public void Trials_that_succeed_close_it_and_one_that_fails_opens_it_for_longer()
    {
        Open();
        _time.Advance(TimeSpan.FromSeconds(11));
        Trial(permit => _gate.Failed(AttemptFailure.Timeout, 0, permit));
        (_gate.Standing, _gate.Read().RetryAt).Should().Be((GateStanding.Shut, _time.GetUtcNow().AddSeconds(20)));

        _time.Advance(TimeSpan.FromSeconds(21));
        Trial(_gate.Succeeded);
        _gate.Standing.Should().Be(GateStanding.Trial);
        Trial(_gate.Succeeded);

        (_gate.Standing, _gate.Live.Slots, _gate.Read().State).Should().Be((GateStanding.Usable, 5, CircuitState.Closed));
        Changes().Should().Equal("closed>open resets", "open>half_open recovery_time_over", "half_open>open trial_failed", "open>half_open recovery_time_over",
            "half_open>closed trials_succeeded");
    }

    [Fact]
    public void A_permit_expires_and_what_its_trial_comes_to_then_counts_no_more()
    {
        Open();
        _time.Advance(TimeSpan.FromSeconds(11));
        _gate.TryTrial(out var stuck).Should().BeTrue();
        _gate.TryTrial(out _).Should().BeFalse();

        _time.Advance(TimeSpan.FromSeconds(10));
        _gate.TryTrial(out var fresh).Should().BeTrue();
        _gate.Failed(AttemptFailure.Timeout, 0, stuck);
        _gate.Standing.Should().Be(GateStanding.Trial);
        _gate.EndTrial(stuck);
        _gate.TryTrial(out _).Should().BeFalse("the fresh trial still runs");
        _gate.Succeeded(fresh);
        _gate.EndTrial(fresh);
        _gate.TryTrial(out _).Should().BeTrue();
    }

    [Fact]
    public void A_trial_finds_no_slot_once_the_instance_has_left()
    {
        Open();
        _time.Advance(TimeSpan.FromSeconds(11));
        _gate.Live.MaxConnections = 0;
        _gate.TryTrial(out _).Should().BeFalse();
        _gate.Live.InFlight.Should().Be(0);
    }

    [Fact]
    public void Results_of_requests_that_began_before_the_circuit_moved_change_nothing()
    {
        Open();
        _gate.Succeeded(0);
        Fail(_gate, 10);
        _time.Advance(TimeSpan.FromSeconds(11));
        Fail(_gate, 10);
        _gate.Succeeded(0);
        (_gate.Standing, _gate.Read().ConsecutiveFailures).Should().Be((GateStanding.Trial, 3));
    }

    [Fact]
    public void A_500_of_the_only_usable_instance_does_not_count_and_a_503_does()
    {
        _other.OpenByHand();
        for (var i = 0; i < 10; i++)
            _gate.Failed(AttemptFailure.Status, 500, 0);
        (_gate.Standing, _gate.Read().ConsecutiveFailures).Should().Be((GateStanding.Usable, 0));

        for (var i = 0; i < 3; i++)
            _gate.Failed(AttemptFailure.Status, 503, 0);
        (_gate.Standing, _gate.Read().Reason).Should().Be((GateStanding.Shut, CircuitReason.FailureStatuses));

        _time.Advance(TimeSpan.FromSeconds(11));
        Trial(permit => _gate.Failed(AttemptFailure.Status, 500, permit));
        Trial(permit => _gate.Failed(AttemptFailure.Status, 500, permit));
        _gate.Standing.Should().Be(GateStanding.Usable, "on trial, an instance that answers is alive");
    }

    [Fact]
    public void The_share_that_may_be_out_bounds_what_requests_can_open_but_nothing_brings_a_dead_one_traffic()
    {
        _siblings.Use([_gate, _other], 50);
        Open();
        Fail(_other, 5);
        (_other.Standing, _other.Read().State, _other.Read().Held).Should().Be((GateStanding.Usable, CircuitState.Closed, 3));
        _surroundings.Held.Should().Be(3);

        _other.Judge(HealthStatus.Unhealthy);
        (_other.Standing, _other.Live.Slots, _other.Read().State).Should().Be((GateStanding.Shut, 0, CircuitState.Closed));
        _other.Judge(HealthStatus.Healthy);
        _other.Standing.Should().Be(GateStanding.Usable);
    }

    [Fact]
    public void Failing_probes_open_it_and_good_ones_let_it_be_tried()
    {
        _gate.Judge(HealthStatus.Unhealthy);
        (_gate.Standing, _gate.Read().State, _gate.Read().Reason, _gate.Read().RetryAt).Should().Be((GateStanding.Shut, CircuitState.Open, CircuitReason.ProbesFailed, null));
        _time.Advance(TimeSpan.FromHours(1));
        _gate.Standing.Should().Be(GateStanding.Shut, "time does not heal what probes find dead");

        _gate.ProbePassed(2);
        _gate.ProbeFailed();
        _gate.ProbePassed(2);
        _gate.Standing.Should().Be(GateStanding.Shut);
        _gate.Judge(HealthStatus.Healthy);
        _gate.ProbePassed(2);
        _gate.Standing.Should().Be(GateStanding.Trial);
    }

    [Fact]
    public void Good_probes_reset_no_failures_of_requests()
    {
        Fail(_gate, 2);
        for (var i = 0; i < 10; i++)
            _gate.ProbePassed(1);
        Fail(_gate, 1);
        _gate.Standing.Should().Be(GateStanding.Shut);
    }

    [Fact]
    public void A_suspected_instance_gets_nothing_until_a_probe_passes()
    {
        _gate.Suspect();
        (_gate.Standing, _gate.Live.Slots, _gate.Read().Suspected, _gate.Read().State).Should().Be((GateStanding.Shut, 0, true, CircuitState.Closed));
        _gate.ProbeFailed();
        _gate.Standing.Should().Be(GateStanding.Shut);
        _gate.ProbePassed(2);
        (_gate.Standing, _gate.Live.Slots).Should().Be((GateStanding.Usable, 5));
    }

    [Fact]
    public void Opened_by_hand_it_stays_open_until_closed_by_hand()
    {
        _gate.OpenByHand();
        _time.Advance(TimeSpan.FromDays(1));
        _gate.Judge(HealthStatus.Healthy);
        _gate.ProbePassed(1);
        (_gate.Standing, _gate.Read().Reason, _gate.Read().RetryAt).Should().Be((GateStanding.Shut, CircuitReason.Operator, null));

        _gate.CloseByHand();
        _gate.Standing.Should().Be(GateStanding.Usable);
    }

    [Fact]
    public void Closed_by_hand_an_unhealthy_instance_still_gets_nothing()
    {
        _gate.Judge(HealthStatus.Unhealthy);
        _gate.CloseByHand();
        (_gate.Standing, _gate.Live.Slots, _gate.Read().State).Should().Be((GateStanding.Shut, 0, CircuitState.Closed));
        _gate.Judge(HealthStatus.Healthy);
        _gate.Standing.Should().Be(GateStanding.Usable);
    }

    [Fact]
    public void What_is_no_longer_probed_is_judged_by_its_requests_alone()
    {
        _gate.Judge(HealthStatus.Unhealthy);
        _gate.ProbesEnded();
        _gate.Read().RetryAt.Should().Be(_time.GetUtcNow().AddSeconds(10));
        _time.Advance(TimeSpan.FromSeconds(11));
        _gate.Standing.Should().Be(GateStanding.Trial);
    }

    [Fact]
    public void Refused_and_reset_requests_ask_for_a_probe_and_others_do_not()
    {
        _gate.Failed(AttemptFailure.Connect, 0, 0);
        _gate.Failed(AttemptFailure.Reset, 0, 0);
        _doubted.Should().Equal(1, 1);
        _gate.Succeeded(0);
        _gate.Failed(AttemptFailure.Timeout, 0, 0);
        _gate.Failed(AttemptFailure.Status, 503, 0);
        _doubted.Should().Equal(1, 1);
        _gate.BrokeOff();
        _doubted.Should().Equal(1, 1, 1);
        _gate.Failed(AttemptFailure.Timeout, 0, 0);
        (_gate.Standing, _doubted.Count).Should().Be((GateStanding.Shut, 4), "whether a probe hangs too decides how it goes on");
    }

    [Fact]
    public void A_clock_that_jumps_moves_no_retry()
    {
        var time = new JumpingTime();
        var gate = new InstanceGate("tts", "a", new InstanceLive(9) { MaxConnections = 5 }, Settings, _surroundings, time);
        time.Offset = TimeSpan.FromDays(-1);
        Fail(gate, 3);
        gate.Read().RetryIn.Should().Be(TimeSpan.FromSeconds(10));
        time.Offset = TimeSpan.FromDays(-400);
        time.Advance(TimeSpan.FromSeconds(10.1));
        gate.Standing.Should().Be(GateStanding.Trial);
    }

    [Fact]
    public void A_retired_gate_has_no_timer_left()
    {
        Open();
        _gate.Retire();
        _time.Advance(TimeSpan.FromHours(1));
        _gate.Standing.Should().Be(GateStanding.Shut);
    }

    private InstanceGate Gate(long epoch) => new("tts", $"tts-{epoch}", new InstanceLive(epoch) { MaxConnections = 5 }, Settings, _surroundings, _time) { Siblings = _siblings };

    private static void Fail(InstanceGate gate, int times)
    {
        for (var i = 0; i < times; i++)
            gate.Failed(AttemptFailure.Reset, 0, 0);
    }

    private void Open() => Fail(_gate, 3);

    private void Trial(Action<int> outcome)
    {
        _gate.TryTrial(out var permit).Should().BeTrue();
        outcome(permit);
        _gate.EndTrial(permit);
        _gate.Live.Release();
    }

    private IEnumerable<string> Changes()
    {
        using var follower = _events.Follow(0);
        while (follower.Events.TryRead(out var happened))
        {
            happened.Kind.Should().Be(EventKind.CircuitChanged);
            yield return $"{happened.Happening.Previous}>{happened.Happening.Current} {happened.Happening.Reason}";
        }
    }
}

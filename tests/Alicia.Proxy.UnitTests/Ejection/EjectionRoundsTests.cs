using Alicia.Proxy.Balancing;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Ejection;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Settings;
using Alicia.Proxy.Routing;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Yarp.ReverseProxy.Model;

namespace Alicia.Proxy.UnitTests.Ejection;

public sealed class EjectionRoundsTests
{
    private readonly FakeTimeProvider _time = new(DateTimeOffset.UnixEpoch.AddYears(50));
    private readonly Upstream _upstream = new("tts", new ServiceLive("tts"));
    private readonly RoutingTable _table;
    private readonly EjectionRounds _rounds;
    private readonly PoolMember[] _members;

    public EjectionRoundsTests()
    {
        _table = new RoutingTable(RegistryRules.Default, [_upstream]);
        _rounds = new EjectionRounds(() => _table, _time, NullLogger<EjectionRounds>.Instance);
        _members = [.. Enumerable.Range(1, 6).Select(Member)];
        _upstream.Gates.Use([.. _members.Select(m => m.Gate)], 100);
        Use(SettingOverrides.Empty.With(SettingKeys.EjectionSuccessRate, true).With(SettingKeys.EjectionLatency, true));
        _rounds.Round();
    }

    [Fact]
    public void An_instance_that_fails_far_more_than_its_peers_trips_after_one_interval()
    {
        Serve(failing: 3);
        _time.Advance(TimeSpan.FromSeconds(9));
        _rounds.Round();
        Out().Should().BeEmpty("the interval is not over");

        _time.Advance(TimeSpan.FromSeconds(1));
        _rounds.Round();

        Out().Should().Equal(3);
        _members[2].Gate.Read().Reason.Should().Be(CircuitReason.SuccessRate);
    }

    [Fact]
    public void An_instance_that_is_far_slower_than_its_peers_trips()
    {
        Serve(slow: 5);
        Interval();
        Out().Should().Equal(5);
        _members[4].Gate.Read().Reason.Should().Be(CircuitReason.Latency);
    }

    [Fact]
    public void Only_what_happened_within_the_interval_counts()
    {
        Serve(failing: 3, requests: 90);
        Interval();
        Out().Should().BeEmpty("90 requests are below the minimum");
        Serve(failing: 3, requests: 90);
        Interval();
        Out().Should().BeEmpty("and they do not add up over intervals");
        Serve(failing: 3);
        Interval();
        Out().Should().Equal(3);
    }

    [Fact]
    public void Requests_that_callers_broke_off_say_nothing()
    {
        Serve();
        for (var i = 0; i < 500; i++)
            _members[2].Live.Ended.Count(CodeClass.None, RequestOutcome.Aborted);
        Interval();
        Out().Should().BeEmpty();
    }

    [Fact]
    public void Switched_off_nobody_is_judged_and_switched_on_again_it_begins_anew()
    {
        Use(SettingOverrides.Empty);
        Serve(failing: 3);
        Interval();
        Out().Should().BeEmpty();
        Use(SettingOverrides.Empty.With(SettingKeys.EjectionSuccessRate, true));
        _rounds.Round();
        Interval();
        Out().Should().BeEmpty("what was before does not count");
    }

    [Fact]
    public void Each_of_the_two_is_switched_on_by_itself()
    {
        Use(SettingOverrides.Empty.With(SettingKeys.EjectionLatency, true));
        Serve(failing: 3);
        Interval();
        Out().Should().BeEmpty();
    }

    [Fact]
    public void The_share_that_may_be_out_is_kept_and_what_is_held_back_is_counted()
    {
        _upstream.Gates.Use([.. _members.Select(m => m.Gate)], 10);
        Serve(failing: 3);
        Interval();
        Out().Should().BeEmpty("one of six is more than 10 %");
        _members[2].Gate.Read().Held.Should().Be(1);
    }

    [Fact]
    public void The_only_usable_instance_stays()
    {
        foreach (var member in _members[1..])
            member.Gate.OpenByHand();
        _members[0].Gate.Eject(CircuitReason.Latency).Should().BeFalse();
        _members[1].Gate.CloseByHand();
        _members[0].Gate.Eject(CircuitReason.Latency).Should().BeTrue();
    }

    [Fact]
    public void After_its_time_it_is_tried_and_comes_back_by_good_trials()
    {
        Serve(failing: 3);
        Interval();
        var gate = _members[2].Gate;
        gate.ProbePassed(1);
        gate.Standing.Should().Be(GateStanding.Shut, "its probes passed all along");
        _time.Advance(TimeSpan.FromMinutes(1) + TimeSpan.FromSeconds(1));
        gate.Standing.Should().Be(GateStanding.Trial);
        for (var i = 0; i < 3; i++)
        {
            gate.TryTrial(out var permit).Should().BeTrue();
            gate.Succeeded(permit);
            gate.EndTrial(permit);
            gate.Live.Release();
        }

        gate.Standing.Should().Be(GateStanding.Usable);
    }

    private void Interval()
    {
        _time.Advance(TimeSpan.FromSeconds(10));
        _rounds.Round();
    }

    private void Serve(int failing = 0, int slow = 0, int requests = 200)
    {
        foreach (var member in _members)
        {
            for (var i = 0; i < requests; i++)
            {
                member.Live.RecordResponseTime(member.Live.Epoch == slow ? 0.5 : 0.01);
                var failed = member.Live.Epoch == failing && i % 2 == 0;
                member.Live.Ended.Count(failed ? CodeClass.ServerError : CodeClass.Successful, failed ? RequestOutcome.Failure : RequestOutcome.Success);
            }
        }
    }

    private long[] Out() => [.. _members.Where(m => m.Gate.CircuitOut).Select(m => m.Live.Epoch)];

    private void Use(SettingOverrides settings) => _upstream.State = new UpstreamState(new Pool(_members), new RoundRobin(), ServiceSettings.Resolve(settings));

    private PoolMember Member(int epoch)
    {
        var live = new InstanceLive(epoch) { MaxConnections = 10 };
        var gate = new InstanceGate("tts", "instance-" + epoch, live, new CircuitSettings(5, TimeSpan.FromMinutes(1), 3), GateSurroundings.None, _time) { Siblings = _upstream.Gates };
        return new PoolMember(live, UpstreamEndpoint.None, new DestinationState(DestinationIds.Of(epoch)), gate);
    }
}

using Alicia.Proxy.Admission;
using Alicia.Proxy.Balancing;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry.Settings;
using Yarp.ReverseProxy.Model;

namespace Alicia.Proxy.UnitTests.Admission;

/// <summary>Who is refused was refused for a reason.</summary>
public sealed class InstanceAdmissionTests
{
    [Theory]
    [InlineData(2, 2)]
    [InlineData(64, 2)]
    [InlineData(64, 8)]
    public void With_as_many_slots_as_callers_nobody_is_refused(int slots, int callers)
    {
        var state = State(slots);
        // All but one slot per caller are taken for good, so that free ones have to be looked for.
        for (var i = 0; i < slots - callers; i++)
            InstanceAdmission.TryAdmit(state, out _).Should().Be(AdmissionResult.Admitted);
        var refused = 0;

        Parallel.For(0, callers, new ParallelOptions { MaxDegreeOfParallelism = callers }, _ =>
        {
            for (var i = 0; i < 100_000; i++)
            {
                if (InstanceAdmission.TryAdmit(state, out var member) == AdmissionResult.Admitted)
                    member.Live.Release();
                else
                    Interlocked.Increment(ref refused);
            }
        });

        refused.Should().Be(0);
    }

    [Fact]
    public void All_full_and_none_in_rotation_are_told_apart()
    {
        var state = State(2);
        InstanceAdmission.TryAdmit(state, out var first).Should().Be(AdmissionResult.Admitted);
        InstanceAdmission.TryAdmit(state, out var second).Should().Be(AdmissionResult.Admitted);
        second.Should().NotBe(first);

        InstanceAdmission.TryAdmit(state, out _).Should().Be(AdmissionResult.AllFull);
        first.Live.MaxConnections = second.Live.MaxConnections = 0;
        InstanceAdmission.TryAdmit(state, out _).Should().Be(AdmissionResult.NoInstance);
        InstanceAdmission.TryAdmit(State(0), out _).Should().Be(AdmissionResult.NoInstance);
    }

    [Fact]
    public void A_request_that_a_change_overtakes_goes_by_the_new_state()
    {
        var fresh = State(1);
        var closed = new PoolMember(new InstanceLive(99) { MaxConnections = 1 }, UpstreamEndpoint.None, new DestinationState("99"));
        var upstream = new Upstream("tts", new ServiceLive("tts"));
        // Between the request's look at the state and its slot, the instance is replaced by another.
        upstream.State = new UpstreamState(new Pool([closed]), new Overtaken(() =>
        {
            upstream.State = fresh;
            closed.Live.MaxConnections = 0;
        }), ServiceSettings.BuiltIn);

        InstanceAdmission.TryAdmit(upstream, out var state, out var member).Should().Be(AdmissionResult.Admitted);

        state.Should().BeSameAs(fresh);
        member.Should().BeSameAs(fresh.Pool.Members[0]);
    }

    private sealed class Overtaken(Action change) : BalancingPolicy
    {
        public override string Name => "overtaken";

        public override int Pick(Pool pool)
        {
            change();
            return 0;
        }
    }

    private static UpstreamState State(int instances) => new(
        new Pool(Enumerable.Range(1, instances).Select(epoch => new PoolMember(
            new InstanceLive(epoch) { MaxConnections = 1 }, UpstreamEndpoint.None, new DestinationState($"{epoch}")))),
        new RoundRobin(), ServiceSettings.BuiltIn);
}

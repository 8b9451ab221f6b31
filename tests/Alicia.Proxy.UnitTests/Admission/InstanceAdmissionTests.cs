using Alicia.Proxy.Admission;
using Alicia.Proxy.Balancing;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry.Settings;
using static Alicia.Proxy.UnitTests.Balancing.Pools;

namespace Alicia.Proxy.UnitTests.Admission;

public sealed class InstanceAdmissionTests
{
    public static TheoryData<string> Policies => [.. ((ChoiceCodec)SettingKeys.Algorithm.Codec).Choices];

    [Theory]
    [MemberData(nameof(Policies))]
    public void Under_many_threads_no_instance_ever_has_more_in_flight_than_its_cap(string policy)
    {
        PoolMember[] members = [Member(1, cap: 1), Member(2, weight: 3, cap: 2), Member(3, cap: 3)];
        var state = State(policy, members);
        var inFlight = new int[4];
        var most = new int[4];
        var (admitted, full) = (0, 0);
        Together(12, _ =>
        {
            for (var i = 0; i < 4000; i++)
            {
                if (InstanceAdmission.TryAdmit(state, null, out var member, out _) != AdmissionResult.Admitted)
                {
                    Interlocked.Increment(ref full);
                    continue;
                }

                Interlocked.Increment(ref admitted);
                Raise(ref most[member.Live.Epoch], Interlocked.Increment(ref inFlight[member.Live.Epoch]));
                Thread.Yield();
                Interlocked.Decrement(ref inFlight[member.Live.Epoch]);
                member.Live.Release();
            }
        });

        most[1].Should().BeLessThanOrEqualTo(1);
        most[2].Should().BeLessThanOrEqualTo(2);
        most[3].Should().BeLessThanOrEqualTo(3);
        (admitted + full).Should().Be(48_000);
        members.Should().OnlyContain(m => m.Live.InFlight == 0);
    }

    [Theory]
    [MemberData(nameof(Policies))]
    public void As_many_requests_are_admitted_as_there_are_slots_and_not_one_more(string policy)
    {
        PoolMember[] members = [.. Enumerable.Range(1, 20).Select(i => Member(i, weight: i, cap: i % 4))];
        var slots = members.Sum(m => m.Live.MaxConnections);
        var state = State(policy, members);
        for (var i = 0; i < slots; i++)
            InstanceAdmission.TryAdmit(state, null, out _, out _).Should().Be(AdmissionResult.Admitted, "{0} of {1} slots are taken", i, slots);

        InstanceAdmission.TryAdmit(state, null, out _, out _).Should().Be(AdmissionResult.AllFull);
        members.Should().OnlyContain(m => m.Live.InFlight == m.Live.MaxConnections);
    }

    [Theory]
    [MemberData(nameof(Policies))]
    public void Full_instances_are_skipped_in_favour_of_the_one_that_has_room(string policy)
    {
        PoolMember[] members = [.. Enumerable.Range(1, 10).Select(i => Member(i, cap: 1))];
        foreach (var member in members.Where(m => m.Live.Epoch != 7))
            member.Live.TryReserve();

        var state = State(policy, members);
        for (var i = 0; i < 20; i++)
        {
            InstanceAdmission.TryAdmit(state, null, out var picked, out _).Should().Be(AdmissionResult.Admitted);
            picked.Live.Epoch.Should().Be(7);
            picked.Live.Release();
        }
    }

    [Fact]
    public void A_service_with_one_instance_has_its_cap_kept_too()
    {
        var state = State("round_robin", Member(1, cap: 2));
        InstanceAdmission.TryAdmit(state, null, out _, out _).Should().Be(AdmissionResult.Admitted);
        InstanceAdmission.TryAdmit(state, null, out var member, out _).Should().Be(AdmissionResult.Admitted);
        InstanceAdmission.TryAdmit(state, null, out _, out _).Should().Be(AdmissionResult.AllFull);

        member.Live.Release();
        InstanceAdmission.TryAdmit(state, null, out _, out _).Should().Be(AdmissionResult.Admitted);
    }

    [Fact]
    public void Without_an_instance_that_is_what_is_said() =>
        InstanceAdmission.TryAdmit(UpstreamState.Initial, null, out _, out _).Should().Be(AdmissionResult.NoInstance);

    [Fact]
    public void A_cap_lowered_under_requests_in_flight_admits_again_only_below_the_new_one()
    {
        var member = Member(1, cap: 5);
        var state = State("least_connections", member);
        for (var i = 0; i < 5; i++)
            InstanceAdmission.TryAdmit(state, null, out _, out _).Should().Be(AdmissionResult.Admitted);

        member.Live.MaxConnections = 2;
        for (var left = 4; left >= 2; left--)
        {
            member.Live.Release();
            member.Live.InFlight.Should().Be(left);
            InstanceAdmission.TryAdmit(state, null, out _, out _).Should().Be(AdmissionResult.AllFull);
        }

        member.Live.Release();
        InstanceAdmission.TryAdmit(state, null, out _, out _).Should().Be(AdmissionResult.Admitted);
        member.Live.InFlight.Should().Be(2);
    }

    [Theory]
    [MemberData(nameof(Policies))]
    public void An_instance_that_leaves_gets_nothing_from_a_pool_that_still_has_it(string policy)
    {
        PoolMember[] members = [Member(1, cap: 10), Member(2, cap: 0), Member(3, cap: 10)];
        var state = State(policy, members);
        for (var i = 0; i < 20; i++)
            InstanceAdmission.TryAdmit(state, null, out _, out _).Should().Be(AdmissionResult.Admitted);

        members[1].Live.InFlight.Should().Be(0);
        InstanceAdmission.TryAdmit(state, null, out _, out _).Should().Be(AdmissionResult.AllFull);
    }

    [Theory]
    [InlineData(2, 2)]
    [InlineData(64, 2)]
    [InlineData(64, 8)]
    public void With_as_many_slots_as_callers_nobody_is_refused(int slots, int callers)
    {
        var state = State("round_robin", [.. Enumerable.Range(1, slots).Select(i => Member(i, cap: 1))]);
        // All but one slot per caller are taken for good, so that free ones have to be looked for.
        for (var i = 0; i < slots - callers; i++)
            InstanceAdmission.TryAdmit(state, null, out _, out _).Should().Be(AdmissionResult.Admitted);
        var refused = 0;

        Parallel.For(0, callers, new ParallelOptions { MaxDegreeOfParallelism = callers }, _ =>
        {
            for (var i = 0; i < 100_000; i++)
            {
                if (InstanceAdmission.TryAdmit(state, null, out var member, out _) == AdmissionResult.Admitted)
                    member.Live.Release();
                else
                    Interlocked.Increment(ref refused);
            }
        });

        refused.Should().Be(0);
    }

    [Fact]
    public void A_request_that_a_change_overtakes_goes_by_the_new_state()
    {
        var fresh = State("round_robin", Member(1, cap: 1));
        var closed = Member(99, cap: 1);
        var upstream = new Upstream("tts", new ServiceLive("tts"));
        // Between the request's look at the state and its slot, the instance is replaced by another.
        upstream.State = new UpstreamState(new Pool([closed]), new Overtaken(() =>
        {
            upstream.State = fresh;
            closed.Live.MaxConnections = 0;
        }), ServiceSettings.BuiltIn);

        InstanceAdmission.TryAdmit(upstream, null, null, out var state, out var member, out _).Should().Be(AdmissionResult.Admitted);

        state.Should().BeSameAs(fresh);
        member.Should().BeSameAs(fresh.Rotation[0]);
    }

    [Fact]
    public void When_the_warm_instances_are_shut_the_small_cap_of_one_that_warms_up_refuses_nobody()
    {
        PoolMember[] members = [Member(1, cap: 3), Member(2, cap: 10)];
        members[1].Live.Warm(1, InstanceLive.FullWarmth);
        var state = State("round_robin", members);
        for (var i = 0; i < 4; i++)
            InstanceAdmission.TryAdmit(state, null, out _, out _).Should().Be(AdmissionResult.Admitted);
        InstanceAdmission.TryAdmit(state, null, out _, out _).Should().Be(AdmissionResult.AllFull, "three and one are all there is while the warm one stands");

        members[0].Gate.OpenByHand();
        for (var i = 1; i < 10; i++)
            InstanceAdmission.TryAdmit(state, null, out _, out _).Should().Be(AdmissionResult.Admitted, "request {0} of ten", i + 1);
        InstanceAdmission.TryAdmit(state, null, out _, out _).Should().Be(AdmissionResult.AllFull);
        members[1].Live.InFlight.Should().Be(10);

        members[1].Gate.OpenByHand();
        InstanceAdmission.TryAdmit(state, null, out _, out _).Should().Be(AdmissionResult.NoInstance);
    }

    private sealed class Overtaken(Action change) : BalancingPolicy
    {
        public override string Name => "overtaken";

        public override int Pick(Pool pool, ulong key)
        {
            change();
            return 0;
        }
    }

    private static void Raise(ref int most, int seen)
    {
        for (var known = Volatile.Read(ref most); seen > known;)
        {
            var before = Interlocked.CompareExchange(ref most, seen, known);
            if (before == known)
                return;
            known = before;
        }
    }

    private static UpstreamState State(string policy, params PoolMember[] members)
    {
        var chosen = BalancingServices.All(Random.Shared, TimeProvider.System).Single(p => p.Name == policy);
        return new UpstreamState(new Pool(members), chosen, ServiceSettings.BuiltIn);
    }
}

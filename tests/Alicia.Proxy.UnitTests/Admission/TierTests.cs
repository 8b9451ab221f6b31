using Alicia.Proxy.Admission;
using Alicia.Proxy.Balancing;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Registry.Settings;
using static Alicia.Proxy.UnitTests.Balancing.Pools;

namespace Alicia.Proxy.UnitTests.Admission;

/// <summary>Backups and trials, as admission sees them.</summary>
public sealed class TierTests
{
    [Fact]
    public void A_backup_gets_nothing_while_an_instance_before_it_is_usable_though_full()
    {
        var (first, backup) = (Member(1, cap: 1), Member(2));
        var state = State(new Tier(new Pool([first]), []), new Tier(new Pool([backup]), []));

        InstanceAdmission.TryAdmit(state, null, out var member, out _).Should().Be(AdmissionResult.Admitted);
        member.Should().BeSameAs(first);
        InstanceAdmission.TryAdmit(state, null, out _, out _).Should().Be(AdmissionResult.AllFull);
        InstanceAdmission.Preview(state, null, out _).Should().Be(AdmissionResult.AllFull);
    }

    [Fact]
    public void A_backup_stands_in_the_moment_that_the_last_before_it_is_shut()
    {
        var (first, backup) = (Member(1), Member(2));
        var state = State(new Tier(new Pool([first]), []), new Tier(new Pool([backup]), []));
        // The rotation has not been rebuilt yet: the slots alone say so.
        first.Gate.OpenByHand();

        InstanceAdmission.TryAdmit(state, null, out var member, out var permit).Should().Be(AdmissionResult.Admitted);
        (member, permit).Should().Be((backup, 0));
        InstanceAdmission.Preview(state, null, out member).Should().Be(AdmissionResult.Admitted);
        member.Should().BeSameAs(backup);

        first.Gate.CloseByHand();
        InstanceAdmission.TryAdmit(state, null, out member, out _);
        member.Should().BeSameAs(first);
    }

    [Fact]
    public void A_trial_takes_one_request_and_the_others_go_on_to_who_is_usable()
    {
        var (onTrial, usable) = (HalfOpen(1), Member(2));
        var state = State(new Tier(new Pool([usable]), [onTrial]));

        InstanceAdmission.TryAdmit(state, null, out var member, out var permit).Should().Be(AdmissionResult.Admitted);
        member.Should().BeSameAs(onTrial);
        permit.Should().NotBe(0);
        for (var i = 0; i < 10; i++)
        {
            InstanceAdmission.TryAdmit(state, null, out member, out permit).Should().Be(AdmissionResult.Admitted);
            (member, permit).Should().Be((usable, 0));
        }
    }

    [Fact]
    public void With_nothing_but_a_trial_that_runs_there_is_no_instance()
    {
        var state = State(new Tier(Pool.Empty, [HalfOpen(1)]));
        InstanceAdmission.TryAdmit(state, null, out _, out _).Should().Be(AdmissionResult.Admitted);
        InstanceAdmission.TryAdmit(state, null, out _, out var permit).Should().Be(AdmissionResult.NoInstance);
        permit.Should().Be(0);
        InstanceAdmission.Preview(state, null, out _).Should().Be(AdmissionResult.NoInstance, "who connects by himself makes no trial");
    }

    private static PoolMember HalfOpen(long epoch)
    {
        var member = Member(epoch);
        member.Gate.Use(new CircuitSettings(1, TimeSpan.FromDays(1), 3));
        member.Gate.Failed(AttemptFailure.Connect, 0, 0);
        member.Gate.ProbePassed(1);
        member.Gate.Standing.Should().Be(GateStanding.Trial);
        return member;
    }

    private static UpstreamState State(params Tier[] tiers) => new(tiers, [], new RoundRobin(), ServiceSettings.BuiltIn);
}

using Alicia.Proxy.Admission;
using Alicia.Proxy.Balancing;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Registry.Settings;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Time.Testing;
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

    [Theory]
    [InlineData("GET", false, 0L, true)]
    [InlineData("POST", false, 0L, false)]
    [InlineData("POST", true, 0L, true)]
    [InlineData("PUT", false, 65536L, true)]
    [InlineData("PUT", false, 65537L, false)]
    public void A_trial_prefers_a_request_that_can_go_elsewhere(string method, bool key, long length, bool preferred)
    {
        var time = new FakeTimeProvider();
        var (onTrial, usable) = (HalfOpen(1, time), Member(2));
        var state = State(new Tier(new Pool([usable]), [onTrial]));
        var request = Request(method, key, length);

        Admitted(state, request).Should().BeSameAs(preferred ? onTrial : usable);

        if (preferred)
            return;
        time.Advance(InstanceGate.TrialPatience);
        Admitted(state, request).Should().BeSameAs(onTrial, "none that could has come for a while");
        onTrial.Gate.EndTrial(1);
        Admitted(state, request).Should().BeSameAs(usable, "the next trial waits anew");
    }

    [Fact]
    public void Where_no_request_could_go_elsewhere_the_next_is_the_trial()
    {
        var post = Request("POST", key: false, length: 0);
        var alone = HalfOpen(1, new FakeTimeProvider());
        Admitted(State(new Tier(Pool.Empty, [alone])), post).Should().BeSameAs(alone, "there is no other instance");

        var onTrial = HalfOpen(2, new FakeTimeProvider());
        var off = ServiceSettings.Resolve(SettingOverrides.Empty.With(SettingKeys.RetryAttempts, 0));
        Admitted(new UpstreamState([new Tier(new Pool([Member(3)]), [onTrial])], [], new RoundRobin(), off), post).Should().BeSameAs(onTrial, "retries are off");
    }

    private static PoolMember Admitted(UpstreamState state, HttpContext request)
    {
        InstanceAdmission.TryAdmit(state, request, out var member, out _).Should().Be(AdmissionResult.Admitted);
        return member;
    }

    private static DefaultHttpContext Request(string method, bool key, long length)
    {
        var context = new DefaultHttpContext();
        context.Request.Method = method;
        context.Request.ContentLength = length;
        if (key)
            context.Request.Headers["Idempotency-Key"] = "1";
        return context;
    }

    private static PoolMember HalfOpen(long epoch, TimeProvider? time = null)
    {
        var member = Member(epoch);
        if (time is not null)
            member = member with { Gate = new InstanceGate("s", "i", member.Live, new CircuitSettings(1, TimeSpan.FromDays(1), 3), GateSurroundings.None, time) };
        member.Gate.Use(new CircuitSettings(1, TimeSpan.FromDays(1), 3));
        member.Gate.Failed(AttemptFailure.Connect, 0, 0);
        member.Gate.ProbePassed(1);
        member.Gate.Standing.Should().Be(GateStanding.Trial);
        return member;
    }

    private static UpstreamState State(params Tier[] tiers) => new(tiers, [], new RoundRobin(), ServiceSettings.BuiltIn);
}

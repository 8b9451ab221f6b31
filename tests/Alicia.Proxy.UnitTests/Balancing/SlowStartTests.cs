using Alicia.Proxy.Balancing;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Live;
using Microsoft.Extensions.Time.Testing;
using static Alicia.Proxy.UnitTests.Balancing.Pools;

namespace Alicia.Proxy.UnitTests.Balancing;

public sealed class SlowStartTests : IDisposable
{
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(100);

    private readonly FakeTimeProvider _time = new(DateTimeOffset.UnixEpoch.AddYears(50));
    private readonly SlowStart _slow;
    private readonly List<PoolMember> _members = [];
    private TimeSpan? _window = Window;
    private int _steps;

    public SlowStartTests() => _slow = new SlowStart(_time, () =>
    {
        _steps++;
        Arrange();
    });

    public void Dispose() => _slow.Dispose();

    [Theory]
    [InlineData(0, 1)]
    [InlineData(9.9, 1)]
    [InlineData(10, 3)]
    [InlineData(55, 11)]
    [InlineData(99.9, 19)]
    [InlineData(100, 20)]
    [InlineData(1000, 20)]
    public void Warmth_rises_in_ten_steps_around_a_straight_line(double seconds, int twentieths) =>
        SlowStart.WarmthAt(TimeSpan.FromSeconds(seconds), Window).Should().Be(twentieths);

    [Fact]
    public void A_newcomer_beside_others_rises_in_ten_steps_and_then_nothing_ticks_any_more()
    {
        Have(1, 2);
        Arrange(starting: true);
        Have(3);
        Arrange();

        var shares = new List<double?>();
        for (var tenth = 0; tenth < 10; tenth++)
        {
            shares.Add(Live(3).WarmShare);
            Live(3).Slots.Should().Be((int)Math.Round(100 * Live(3).WarmShare!.Value));
            (Live(1).WarmShare, Live(1).Slots).Should().Be((null, 100));
            _time.Advance(TimeSpan.FromSeconds(10.01));
        }

        shares.Should().Equal(0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95);
        (Live(3).WarmShare, Live(3).Slots, Live(3).WarmingSince).Should().Be((null, 100, 0L));
        _steps.Should().Be(10, "nothing is worked out between two steps");
        _time.Advance(TimeSpan.FromHours(1));
        _steps.Should().Be(10);
    }

    [Fact]
    public void What_the_proxy_finds_at_its_start_is_warm()
    {
        Have(1, 2, 3);
        Arrange(starting: true);
        _members.Should().OnlyContain(m => m.Live.WarmShare == null && m.Live.Slots == 100);
    }

    [Fact]
    public void The_first_instance_of_a_service_gets_everything()
    {
        Have(1);
        Arrange();
        (Live(1).WarmShare, Live(1).Slots).Should().Be((null, 100));
    }

    [Fact]
    public void Instances_that_come_together_share_alike_and_nobody_is_held_back()
    {
        Have(1, 2, 3);
        Arrange();
        for (var i = 0; i < 12; i++)
        {
            _members.Should().OnlyContain(m => m.Live.WarmShare == null && m.Live.Slots == 100);
            _time.Advance(TimeSpan.FromSeconds(10));
        }
    }

    [Fact]
    public void One_that_comes_later_counts_relative_to_those_that_warm_up_too()
    {
        Have(1);
        Arrange();
        _time.Advance(TimeSpan.FromSeconds(51));
        Have(2);
        Arrange();
        (Live(1).WarmShare, Live(1).Slots).Should().Be((null, 100));
        Live(2).WarmShare.Should().BeApproximately(1 / 11.0, 1e-9);
        Live(2).Slots.Should().Be(10, "a hundred by 1/11, rounded up");
    }

    [Fact]
    public void When_the_warm_ones_go_the_one_that_is_left_gets_everything_at_once()
    {
        Have(1);
        Arrange(starting: true);
        Have(2);
        Arrange();
        Live(2).Slots.Should().Be(5);
        _members.RemoveAt(0);
        Arrange();
        (Live(2).WarmShare, Live(2).Slots).Should().Be((null, 100));
    }

    [Fact]
    public void One_that_recovers_begins_again_and_one_that_was_only_suspected_does_not()
    {
        Have(1, 2, 3);
        Arrange(starting: true);
        Gate(2).OpenByHand();
        Gate(3).Suspect();
        Arrange();
        Gate(2).CloseByHand();
        Gate(3).Trust();
        Arrange();

        Live(2).WarmShare.Should().Be(0.05);
        (Live(3).WarmShare, Live(3).Slots).Should().Be((null, 100));
    }

    [Fact]
    public void A_cap_of_one_stays_one()
    {
        Have(1);
        Arrange(starting: true);
        Have(2);
        Live(2).MaxConnections = 1;
        Arrange();
        Live(2).Slots.Should().Be(1);
    }

    [Fact]
    public void Switched_off_everything_is_warm_at_once()
    {
        Have(1);
        Arrange(starting: true);
        Have(2);
        Arrange();
        Live(2).WarmShare.Should().NotBeNull();
        _window = null;
        Arrange();
        (Live(2).WarmShare, Live(2).Slots).Should().Be((null, 100));
        _time.Advance(Window * 2);
        _steps.Should().Be(0);
    }

    [Fact]
    public void Backups_are_compared_with_backups()
    {
        Have(1);
        Arrange(starting: true);
        _members.Add(Member(2, cap: 100) with { Priority = 1 });
        Arrange();
        (Live(2).WarmShare, Live(2).Slots).Should().Be((null, 100), "alone among backups it takes over all of their traffic");
    }

    /// <summary>
    /// 200 histories of 300 steps, seeds 1 to 200: instances come, trip, recover, get other caps, time passes, requests come and go. At no moment are there more slots than cap
    /// and warmth allow, shut means none, and when all is quiet for a window everybody has the full cap.
    /// </summary>
    [Fact]
    public void Whatever_happens_the_cap_is_kept_and_comes_back_in_full()
    {
        for (var seed = 1; seed <= 200; seed++)
        {
            var random = new Random(seed);
            _members.Clear();
            Have(1, 2);
            Arrange(starting: true);
            for (var step = 0; step < 300; step++)
            {
                var member = _members[random.Next(_members.Count)];
                switch (random.Next(9))
                {
                    case 0 when _members.Count < 8:
                        Have(1000 + step);
                        break;
                    case 1:
                        member.Gate.OpenByHand();
                        break;
                    case 2:
                        member.Gate.CloseByHand();
                        break;
                    case 3:
                        member.Gate.Suspect();
                        break;
                    case 4:
                        member.Gate.Trust();
                        break;
                    case 5:
                        member.Live.MaxConnections = random.Next(1, 50);
                        break;
                    case 6:
                        _time.Advance(TimeSpan.FromSeconds(random.Next(1, 40)));
                        break;
                    default:
                        while (member.Live.TryReserve())
                            member.Live.InFlight.Should().BeLessThanOrEqualTo(Allowed(member.Live));
                        while (member.Live.InFlight > 0)
                            member.Live.Release();
                        break;
                }

                Arrange();
                foreach (var m in _members)
                {
                    var shut = m.Gate.Standing != GateStanding.Usable;
                    m.Live.Slots.Should().Be(shut ? 0 : Allowed(m.Live), "seed {0}, step {1}", seed, step);
                }
            }

            foreach (var member in _members)
            {
                member.Gate.CloseByHand();
                member.Gate.Trust();
            }

            Arrange();
            for (var i = 0; i < 12; i++)
                _time.Advance(Window / 10);
            _members.Should().OnlyContain(m => m.Live.Slots == m.Live.MaxConnections && m.Live.WarmShare == null, "seed {0}", seed);
        }

        static int Allowed(InstanceLive live) => Math.Max(1, (int)Math.Ceiling(Math.Round(live.MaxConnections * (live.WarmShare ?? 1), 6)));
    }

    private void Have(params long[] epochs) => _members.AddRange(epochs.Select(e => Member(e, cap: 100)));

    private void Arrange() => Arrange(starting: false);

    private void Arrange(bool starting) => _slow.Arrange(
        [.. _members.GroupBy(m => m.Priority).OrderBy(g => g.Key).Select(g => g.Where(m => m.Gate.Standing == GateStanding.Usable).ToArray())], _window, starting);

    private InstanceLive Live(long epoch) => _members.Single(m => m.Live.Epoch == epoch).Live;

    private InstanceGate Gate(long epoch) => _members.Single(m => m.Live.Epoch == epoch).Gate;
}

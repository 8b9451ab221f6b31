using Alicia.Proxy.Health;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using Alicia.Proxy.UnitTests.Registry;
using static Alicia.Proxy.UnitTests.Registry.Drafts;

namespace Alicia.Proxy.UnitTests.Health;

public sealed class LeaseBookTests
{
    private static readonly TimeSpan Ttl = TimeSpan.FromSeconds(30);

    private readonly Drafts _registry = new();
    private readonly LiveTable _lives = new();
    private readonly LeaseBook _book = new();
    private readonly JumpingTime _time = new();

    [Fact]
    public void A_lease_that_is_renewed_in_time_never_runs_out_and_one_that_is_not_does_at_its_end()
    {
        var (kept, lost) = (Lease("kept"), Lease("lost"));
        for (var i = 0; i < 29; i++)
        {
            Pass(1);
            Renew(kept);
            Expired().Should().BeEmpty();
        }

        Pass(1);
        Renew(kept);
        Expired().Should().Equal("lost");
        _book.Held.Should().Be(0);
        lost.Epoch.Should().BePositive();
    }

    [Fact]
    public void Without_a_ttl_nothing_runs_out()
    {
        _lives.GetOrAdd(_registry.Do(Register("tts", "forever")).Instance.Epoch).RenewLease(_time);
        Pass(86400 * 365);
        Expired().Should().BeEmpty();
    }

    [Fact]
    public void Of_fewer_than_twenty_all_may_go_at_once()
    {
        foreach (var i in Enumerable.Range(0, 19))
            Lease($"i{i}");
        Pass(30);
        Expired().Should().HaveCount(19);
    }

    [Theory]
    [InlineData(20, 3)]
    [InlineData(100, 15)]
    public void Of_many_only_a_few_go_and_the_rest_are_held_until_heartbeats_come_back(int leases, int gone)
    {
        var all = Enumerable.Range(0, leases).Select(i => Lease($"i{i:000}")).ToArray();
        Pass(30);
        var first = Expired();
        first.Should().HaveCount(gone);
        _book.Held.Should().Be(leases - gone);

        for (var i = 0; i < 600; i++)
        {
            Pass(1);
            Expired().Should().BeEmpty("held is held, not thinned out minute by minute");
        }

        foreach (var instance in all.Where(i => !first.Contains(i.InstanceId)))
            Renew(instance);
        Expired().Should().BeEmpty();
        _book.Held.Should().Be(0);
    }

    [Fact]
    public void A_trickle_goes_as_it_comes()
    {
        foreach (var i in Enumerable.Range(0, 40))
        {
            Lease($"i{i:00}");
            Pass(0.1);
        }

        // Forty leases, six a minute: one ends every half minute here.
        var others = _registry.Service("tts").Instances.ToList();
        var seen = 0;
        for (var i = 0; i < 200 && others.Count > 30; i++)
        {
            Pass(29);
            foreach (var instance in others.Skip(1))
                Renew(instance);
            Pass(2);
            foreach (var gone in Expired())
            {
                others.RemoveAll(o => o.InstanceId == gone);
                seen++;
            }
        }

        seen.Should().Be(10);
        _book.Held.Should().Be(0);
    }

    [Fact]
    public void A_held_instance_whose_last_probe_failed_goes_all_the_same()
    {
        var all = Enumerable.Range(0, 40).Select(i => Lease($"i{i:00}")).ToArray();
        Pass(30);
        Expired().Should().HaveCount(6);
        _lives.GetOrAdd(all[^1].Epoch).LastProbe = (_time.GetUtcNow(), false);
        _lives.GetOrAdd(all[^2].Epoch).LastProbe = (_time.GetUtcNow(), true);

        Expired().Should().Equal(all[^1].InstanceId);
    }

    [Fact]
    public void A_clock_that_jumps_ends_no_lease()
    {
        Lease("a");
        _time.Offset = TimeSpan.FromDays(4000);
        Expired().Should().BeEmpty();
        Pass(31);
        Expired().Should().Equal("a");
    }

    [Fact]
    public void What_the_store_did_not_take_is_no_loss_and_is_asked_for_again()
    {
        foreach (var i in Enumerable.Range(0, 20))
            Lease($"i{i:00}");
        _lives.GetOrAdd(_registry.Instance("tts", "i00").Epoch).RenewLease(_time);
        var late = Lease("late");
        Pass(29);
        foreach (var instance in _registry.Service("tts").Instances.Where(i => i != late))
            Renew(instance);
        Pass(1);
        for (var i = 0; i < 10; i++)
        {
            _book.Expire(_registry.Snapshot, _lives, _time).Should().ContainSingle().Which.InstanceId.Should().Be("late");
            _book.Held.Should().Be(0);
        }
    }

    private Instance Lease(string id)
    {
        var instance = _registry.Do(Register("tts", Request(id) with { TtlSeconds = (int)Ttl.TotalSeconds })).Instance;
        Renew(instance);
        return instance;
    }

    private void Renew(Instance instance) => _lives.GetOrAdd(instance.Epoch).RenewLease(_time);

    private void Pass(double seconds) => _time.Advance(TimeSpan.FromSeconds(seconds));

    /// <summary>Asks once, and takes those that are to go out of the registry, as the rounds do.</summary>
    private List<string> Expired()
    {
        var gone = _book.Expire(_registry.Snapshot, _lives, _time).Select(i => i.InstanceId).ToList();
        foreach (var id in gone)
        {
            _registry.Do(new Alicia.Proxy.Registry.Changes.RemoveInstance("tts", id, DepartureReason.LeaseExpired));
            _book.Gone(_time);
        }

        return gone;
    }
}

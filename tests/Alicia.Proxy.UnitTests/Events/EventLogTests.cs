using Alicia.Proxy.Events;
using Microsoft.Extensions.Time.Testing;

namespace Alicia.Proxy.UnitTests.Events;

public sealed class EventLogTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly EventLog _log;

    public EventLogTests() => _log = new EventLog(_time);

    [Fact]
    public void A_follower_gets_what_comes_and_nothing_from_before()
    {
        Publish(2);
        using var follower = _log.Follow();
        var last = _log.LastId;

        _log.Publish(EventKind.InstanceStateChanged, "tts", new Happening { InstanceId = "a", Epoch = 7, Previous = "active", Current = "draining", Reason = "operator" });

        follower.Gap.Should().BeFalse();
        follower.From.Should().Be(last);
        Taken(follower).Should().Equal(new ProxyEvent(last + 1, _time.GetUtcNow(), EventKind.InstanceStateChanged, "tts",
            new Happening { InstanceId = "a", Epoch = 7, Previous = "active", Current = "draining", Reason = "operator" }));
    }

    [Fact]
    public void Who_resumes_gets_exactly_what_it_has_missed()
    {
        Publish(3);
        var seen = _log.LastId;
        Publish(5);

        using var follower = _log.Follow(seen);
        Publish(1);

        follower.Gap.Should().BeFalse();
        Taken(follower).Select(e => e.Id).Should().Equal(Ids(seen + 1, 6));
    }

    [Fact]
    public void Who_has_seen_the_latest_has_missed_nothing()
    {
        Publish(3);
        using var follower = _log.Follow(_log.LastId);

        follower.Gap.Should().BeFalse();
        Taken(follower).Should().BeEmpty();
    }

    [Fact]
    public void Before_the_first_event_there_is_a_place_to_resume_from()
    {
        var start = _log.LastId;
        Publish(2);

        using var follower = _log.Follow(start);

        follower.Gap.Should().BeFalse();
        Taken(follower).Select(e => e.Id).Should().Equal(start + 1, start + 2);
    }

    [Fact]
    public void The_history_keeps_so_many_events_and_who_wants_older_ones_has_a_gap()
    {
        var start = _log.LastId;
        Publish(EventLog.HistoryLength + 10);

        using var whole = _log.Follow(start + 10);
        whole.Gap.Should().BeFalse("the last event that is gone was the last that it had seen");
        Taken(whole).Select(e => e.Id).Should().Equal(Ids(start + 11, EventLog.HistoryLength));

        using var late = _log.Follow(start + 9);
        late.Gap.Should().BeTrue();
        late.From.Should().Be(start + 10);
        Taken(late).Select(e => e.Id).Should().Equal(Ids(start + 11, EventLog.HistoryLength));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void An_id_from_before_a_restart_is_a_gap_whether_or_not_something_has_happened_since(bool since)
    {
        Publish(3);
        var seen = _log.LastId;
        _time.Advance(TimeSpan.FromMilliseconds(1));
        var restarted = new EventLog(_time);
        if (since)
            restarted.Publish(EventKind.ServiceAdded, "tts");

        using var follower = restarted.Follow(seen);

        follower.Gap.Should().BeTrue();
        Taken(follower).Should().HaveCount(since ? 1 : 0);
    }

    [Fact]
    public void An_id_from_before_a_restart_is_a_gap_also_when_the_clock_was_set_back_in_between()
    {
        _time.Advance(TimeSpan.FromDays(1));
        var before = new EventLog(_time);

        using var follower = _log.Follow(before.LastId);

        follower.Gap.Should().BeTrue();
        follower.From.Should().Be(_log.LastId);
    }

    [Fact]
    public void A_follower_that_does_not_take_its_events_is_cut_off_and_the_others_get_everything()
    {
        using var slow = _log.Follow();
        using var quick = _log.Follow();
        var start = _log.LastId;
        var taken = new List<long>();
        for (var i = 0; i < EventLog.QueueLength; i++)
        {
            Publish(1);
            taken.AddRange(Taken(quick).Select(e => e.Id));
        }

        slow.CutOff.IsCancellationRequested.Should().BeFalse("its queue is just full");
        Publish(10);
        taken.AddRange(Taken(quick).Select(e => e.Id));

        slow.CutOff.IsCancellationRequested.Should().BeTrue();
        (_log.CutOff, _log.Followers).Should().Be((1, 1));
        Taken(slow).Should().HaveCount(EventLog.QueueLength);
        slow.Events.Completion.IsCompletedSuccessfully.Should().BeTrue();
        quick.CutOff.IsCancellationRequested.Should().BeFalse();
        taken.Should().Equal(Ids(start + 1, EventLog.QueueLength + 10));
    }

    [Fact]
    public void A_follower_is_given_up_once()
    {
        using var follower = _log.Follow();

        follower.GiveUp();
        follower.GiveUp();

        (_log.CutOff, _log.Followers).Should().Be((1, 0));
        follower.CutOff.IsCancellationRequested.Should().BeTrue();
    }

    [Fact]
    public void Who_leaves_is_gone_and_was_not_cut_off()
    {
        var followers = Enumerable.Range(0, 50).Select(_ => _log.Follow()).ToArray();
        _log.Followers.Should().Be(50);

        foreach (var follower in followers)
        {
            follower.Dispose();
            follower.Dispose();
        }

        Publish(1);
        (_log.CutOff, _log.Followers).Should().Be((0, 0));
        followers.Should().OnlyContain(f => f.Events.Completion.IsCompleted && !f.CutOff.IsCancellationRequested);
    }

    [Fact]
    public async Task Ids_are_in_order_and_without_gaps_for_everyone_while_many_publish_and_come_and_go()
    {
        const int Publishers = 4;
        const int Each = 250;
        var start = _log.LastId;
        using var whole = _log.Follow();
        using var go = new Barrier(Publishers + 2);
        Task[] publishing = [.. Enumerable.Range(0, Publishers).Select(_ => Task.Run(() =>
        {
            go.SignalAndWait();
            Publish(Each);
        }))];
        // Each visit resumes where the last one ended, and takes whatever is there.
        Task<List<long>>[] visiting = [.. Enumerable.Range(0, 2).Select(_ => Task.Run(() =>
        {
            go.SignalAndWait();
            var seen = new List<long>();
            for (var visits = 0; visits < 1_000_000 && seen.Count < Publishers * Each; visits++)
            {
                using var follower = _log.Follow(start + seen.Count);
                follower.Gap.Should().BeFalse();
                seen.AddRange(Taken(follower).Select(e => e.Id));
            }

            return seen;
        }))];

        await Task.WhenAll([.. publishing, .. visiting]);

        foreach (var visitor in visiting)
            (await visitor).Should().Equal(Ids(start + 1, Publishers * Each));
        Taken(whole).Select(e => e.Id).Should().Equal(Ids(start + 1, Publishers * Each));
        _log.Followers.Should().Be(1);
    }

    private static IEnumerable<long> Ids(long first, int count) => Enumerable.Range(0, count).Select(i => first + i);

    private static List<ProxyEvent> Taken(EventLog.Follower follower)
    {
        var events = new List<ProxyEvent>();
        while (follower.Events.TryRead(out var happened))
            events.Add(happened);
        return events;
    }

    private void Publish(int count)
    {
        for (var i = 0; i < count; i++)
            _log.Publish(EventKind.ServiceChanged, "tts");
    }
}

using System.Collections.Concurrent;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Changes;
using Alicia.Proxy.Registry.Settings;
using Microsoft.Extensions.Logging.Abstractions;
using static Alicia.Proxy.UnitTests.Registry.Drafts;
using static Alicia.Proxy.UnitTests.Storage.StoredSamples;

namespace Alicia.Proxy.UnitTests.Registry;

public sealed class ServiceRegistryTests : IAsyncLifetime
{
    private readonly FlakyStore _store = new();
    private readonly ConcurrentQueue<long> _published = new();
    private ServiceRegistry _registry = null!;

    public async Task InitializeAsync()
    {
        _registry = new ServiceRegistry(_store, TimeProvider.System, NullLogger<ServiceRegistry>.Instance);
        _registry.Published += (_, after) => _published.Enqueue(after.Revision);
        await _registry.LoadAsync(default);
    }

    public async Task DisposeAsync() => await _registry.DisposeAsync();

    [Fact]
    public async Task A_change_is_in_the_store_and_in_the_snapshot_when_its_answer_comes()
    {
        var result = await SubmitAsync(Register("tts"));

        result.Accepted.Should().BeTrue();
        (await _store.LoadAsync(default)).Instances.Should().ContainSingle();
        _registry.Snapshot.Revision.Should().Be(result.Revision);
        _registry.Snapshot.Services["tts"].Find("a").Should().Be(result.Value!.Instance);
    }

    [Fact]
    public async Task Revisions_are_unique_and_rise_and_so_do_epochs()
    {
        var results = await Task.WhenAll(Enumerable.Range(0, 500).Select(i => Task.Run(() => SubmitAsync(Register($"s{i % 7}", $"i{i}")))));

        results.Select(r => r.Revision).Should().OnlyHaveUniqueItems();
        results.Select(r => r.Value!.Instance.Epoch).Should().OnlyHaveUniqueItems();
        _registry.Snapshot.Revision.Should().Be(500);
        _registry.Snapshot.Services.Values.Sum(s => s.Instances.Length).Should().Be(500);
        _published.Should().BeInAscendingOrder().And.OnlyHaveUniqueItems();
        _store.Commits.Count.Should().BeLessThanOrEqualTo(500);
    }

    [Fact]
    public async Task A_refused_change_in_a_batch_leaves_no_trace_and_its_neighbours_are_applied()
    {
        var (good, bad, after) = await InOneBatchAsync(Register("tts", "a"), Register("Bad Name", "b"), Register("stt", "c"));

        bad.Rejection!.Kind.Should().Be(RejectionKind.Invalid);
        (good.Accepted, after.Accepted).Should().Be((true, true));
        _registry.Snapshot.Services.Keys.Should().BeEquivalentTo("tts", "stt", "first");
        (await _store.LoadAsync(default)).Services.Select(s => s.Name).Should().BeEquivalentTo("tts", "stt", "first");
        after.Revision.Should().Be(good.Revision + 1);
    }

    [Fact]
    public async Task A_change_that_throws_harms_its_own_caller_only()
    {
        await _registry.Invoking(r => r.SubmitAsync(new Throwing(), default)).Should().ThrowAsync<InvalidOperationException>();
        (await SubmitAsync(Register("tts"))).Accepted.Should().BeTrue();
    }

    [Fact]
    public async Task While_the_store_fails_changes_are_refused_nothing_is_visible_and_afterwards_all_goes_on()
    {
        await SubmitAsync(Register("tts"));
        var snapshot = _registry.Snapshot;
        _store.Fault = "the disk is full";

        var refused = await SubmitAsync(Register("tts", "b"));

        refused.Rejection!.Kind.Should().Be(RejectionKind.StoreUnavailable);
        refused.Rejection.Detail.Should().Contain("the disk is full");
        _registry.Snapshot.Should().BeSameAs(snapshot);
        (_registry.StoreFailing, _registry.StoreFailures).Should().Be((true, 1));
        (await SubmitAsync(Register("TTS"))).Rejection!.Kind.Should().Be(RejectionKind.Invalid, "a fault of the caller's own is still told");
        (await SubmitAsync(Register("tts"))).Accepted.Should().BeTrue("it changes nothing and so needs no store");

        _store.Fault = null;
        (await SubmitAsync(Register("tts", "b"))).Revision.Should().Be(snapshot.Revision + 1);
        _registry.StoreFailing.Should().BeFalse();
    }

    /// <summary>The configuration of a start takes an id over, which deletes a row; a reload has nothing to make up for, it is asked again.</summary>
    [Fact]
    public async Task A_start_serves_what_was_stored_though_the_store_cannot_be_written_and_its_rows_go_with_the_next_commit()
    {
        await SubmitAsync(Register("tts"));
        await using var registry = new ServiceRegistry(_store, TimeProvider.System, NullLogger<ServiceRegistry>.Instance);
        await registry.LoadAsync(default);
        _store.Fault = "the disk is full";

        var started = await registry.SubmitAsync(Configure(Static("tts", Request("a"))), default);

        started.Accepted.Should().BeTrue();
        registry.Snapshot.Services["tts"].Find("a")!.Source.Should().Be(RegistrationSource.Config);
        registry.StoreFailing.Should().BeTrue();
        (await registry.SubmitAsync(Register("stt"), default)).Rejection!.Kind.Should().Be(RejectionKind.StoreUnavailable);
        (await registry.SubmitAsync(Configure(), default)).Rejection!.Kind.Should().Be(RejectionKind.StoreUnavailable);
        (await _store.LoadAsync(default)).Instances.Should().ContainSingle();

        _store.Fault = null;
        (await registry.SubmitAsync(Register("stt"), default)).Accepted.Should().BeTrue();
        (await registry.SubmitAsync(Register("stt", "b"), default)).Accepted.Should().BeTrue();
        (await _store.LoadAsync(default)).Instances.Select(i => (i.ServiceName, i.InstanceId)).Should().Equal(("stt", "a"), ("stt", "b"));
        registry.StoreFailing.Should().BeFalse();
    }

    [Fact]
    public async Task The_end_of_a_departure_is_not_lost_with_the_batch_that_the_store_refused()
    {
        var epoch = (await SubmitAsync(Register("tts"))).Value!.Instance.Epoch;
        await SubmitAsync(new RemoveInstance("tts", "a"));
        _store.Fault = "the disk is full";

        var (refused, finished, _) = await InOneBatchAsync<Registered, bool, Registered>(Register("stt"), new FinishDeparture("tts", epoch), Register("TTS"));

        refused.Rejection!.Kind.Should().Be(RejectionKind.StoreUnavailable);
        (finished.Accepted, finished.Value).Should().Be((true, true));
        _registry.Snapshot.Services["tts"].Instances.Should().BeEmpty();
        _registry.Snapshot.Services.Should().NotContainKey("stt");
        _store.Fault = null;
        (await SubmitAsync(Register("stt"))).Accepted.Should().BeTrue();
    }

    [Fact]
    public async Task What_another_writer_stored_is_taken_over_and_the_change_applied_to_it()
    {
        await SubmitAsync(Register("tts"));
        await SubmitAsync(Configure(Static("own", Request("static"))));
        OtherWriterOnce(Put(Service("theirs", 50)), Put(Plain("theirs", "x", epoch: 50)));

        var result = await SubmitAsync(Register("tts", "b"));

        result.Accepted.Should().BeTrue();
        _registry.Snapshot.Services.Keys.Should().BeEquivalentTo("tts", "own", "theirs");
        _registry.Snapshot.Services["tts"].Instances.Select(i => i.InstanceId).Should().Equal("a", "b");
        _registry.Snapshot.Services["own"].Find("static").Should().NotBeNull("configuration is this process's own");
        var stored = await _store.LoadAsync(default);
        stored.Revision.Should().Be(result.Revision);
        stored.Instances.Select(i => i.InstanceId).Should().BeEquivalentTo("a", "b", "x");
        (await SubmitAsync(Register("tts", "c"))).Revision.Should().Be(result.Revision + 1);
    }

    [Fact]
    public async Task A_change_that_the_other_writer_has_made_already_is_accepted_and_the_writer_lives_on()
    {
        await SubmitAsync(Register("tts", "a"));
        OtherWriterOnce(Put(Plain("tts", "b", epoch: 2) with { Port = 8003 }));

        var same = await SubmitAsync(Register("tts", "b"));

        (same.Accepted, same.Value!.Created, same.Value.Instance.Epoch).Should().Be((true, false, 2));
        _registry.Snapshot.Services["tts"].Instances.Should().HaveCount(2);
        (await SubmitAsync(Register("tts", "c"))).Accepted.Should().BeTrue();
        (await _store.LoadAsync(default)).Instances.Should().HaveCount(3);
    }

    [Fact]
    public async Task A_conflict_whose_second_commit_fails_does_not_lose_what_the_other_writer_stored()
    {
        await SubmitAsync(Register("tts"));
        _store.BeforeCommit = async inner =>
        {
            _store.BeforeCommit = _ =>
            {
                _store.Fault = "the disk is full";
                _store.BeforeCommit = null;
                return Task.CompletedTask;
            };
            for (var i = 0; i < 5; i++)
                await FlakyStore.ByAnotherWriterAsync(inner, Put(Plain("theirs", $"x{i}", epoch: 60 + i)));
        };
        (await SubmitAsync(Register("tts", "b"))).Rejection!.Kind.Should().Be(RejectionKind.StoreUnavailable);
        _store.Fault = null;

        (await SubmitAsync(Register("tts", "c"))).Accepted.Should().BeTrue();

        _registry.Snapshot.Services["theirs"].Instances.Should().HaveCount(5);
        _registry.Snapshot.Services["tts"].Instances.Select(i => i.InstanceId).Should().Equal("a", "c");
        (await _store.LoadAsync(default)).Instances.Should().HaveCount(7);
    }

    [Fact]
    public async Task A_writer_that_never_rests_is_told_to_the_caller()
    {
        await SubmitAsync(Register("tts"));
        var others = 0;
        _store.BeforeCommit = inner => FlakyStore.ByAnotherWriterAsync(inner, Put(Plain("theirs", $"x{others++}", epoch: 100 + others)));

        (await SubmitAsync(Register("tts", "b"))).Rejection!.Kind.Should().Be(RejectionKind.StoreUnavailable);
        others.Should().BeLessThan(5);
        _store.BeforeCommit = null;
        (await SubmitAsync(Register("tts", "b"))).Accepted.Should().BeTrue();
    }

    [Fact]
    public async Task A_restart_finds_what_was_accepted_with_its_revisions_and_epochs()
    {
        await SubmitAsync(Drafts.Put("tts", Settings(SettingKeys.Algorithm, "random")));
        await SubmitAsync(Register("tts", "a"));
        await SubmitAsync(Register("tts", "b"));
        await SubmitAsync(new RemoveInstance("tts", "b"));
        var before = _registry.Snapshot;

        await using var again = new ServiceRegistry(_store, TimeProvider.System, NullLogger<ServiceRegistry>.Instance);
        await again.LoadAsync(default);

        again.Snapshot.Revision.Should().Be(before.Revision);
        var service = again.Snapshot.Services["tts"];
        (service.Revision, service.Settings.Get(SettingKeys.Algorithm)).Should().Be((before.Services["tts"].Revision, "random"));
        service.Instances.Should().Equal(before.Services["tts"].Find("a")!);
    }

    [Fact]
    public async Task After_disposal_changes_are_turned_away()
    {
        await _registry.DisposeAsync();
        await _registry.Invoking(r => r.SubmitAsync(Register("tts"), default)).Should().ThrowAsync<System.Threading.Channels.ChannelClosedException>();
        await InitializeAsync();
    }

    private Task<ChangeResult<T>> SubmitAsync<T>(IRegistryChange<T> change) => _registry.SubmitAsync(change, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(30));

    private void OtherWriterOnce(params StoreChange[] changes) => _store.BeforeCommit = async inner =>
    {
        _store.BeforeCommit = null;
        await FlakyStore.ByAnotherWriterAsync(inner, changes);
    };

    /// <summary>Holds the writer in one commit until the three changes wait behind it, so that they come as one batch.</summary>
    private async Task<(ChangeResult<TA> A, ChangeResult<TB> B, ChangeResult<TC> C)> InOneBatchAsync<TA, TB, TC>(IRegistryChange<TA> a, IRegistryChange<TB> b, IRegistryChange<TC> c)
    {
        var entered = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var go = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _store.BeforeCommit = async _ =>
        {
            _store.BeforeCommit = null;
            entered.SetResult();
            await go.Task;
        };
        var first = SubmitAsync(Register("first"));
        await entered.Task;
        var commits = _store.Commits.Count;
        var (ra, rb, rc) = (SubmitAsync(a), SubmitAsync(b), SubmitAsync(c));
        go.SetResult();
        await Task.WhenAll(first, ra, rb, rc);
        _store.Commits.Should().HaveCount(commits + 1, "the three came as one batch");
        return (await ra, await rb, await rc);
    }

    private sealed class Throwing : IRegistryChange<int>
    {
        public (int Value, Rejection? Rejection) Apply(RegistryDraft draft) => throw new InvalidOperationException("a bug");
    }
}

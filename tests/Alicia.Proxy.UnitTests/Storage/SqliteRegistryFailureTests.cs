using Alicia.Proxy.Registry;
using Alicia.Proxy.Storage;
using static Alicia.Proxy.UnitTests.Storage.StoredSamples;

namespace Alicia.Proxy.UnitTests.Storage;

/// <summary>Commits that fail: nothing of them is written, and the store works again when the cause is gone.</summary>
public sealed class SqliteRegistryFailureTests : IDisposable
{
    private readonly RegistryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_file_that_another_process_keeps_locked()
    {
        await using var store = _folder.NewStore();
        await store.LoadAsync(default);
        using (var other = _folder.Open())
        using (other.BeginTransaction(deferred: false))
            await CommitShouldFail(store, 0, "*locked*");

        await CommitShouldWork(store, 0);
    }

    [Fact]
    public async Task A_fault_in_the_middle_of_a_commit()
    {
        await using var store = _folder.NewStore();
        await store.LoadAsync(default);
        _folder.Execute("CREATE TRIGGER full BEFORE INSERT ON instances WHEN NEW.instance_id = 'second' BEGIN SELECT RAISE(ABORT, 'no room'); END");

        await CommitShouldFail(store, 0, "*cannot be written*no room*");

        _folder.Execute("DROP TRIGGER full");
        await CommitShouldWork(store, 0);
    }

    [Fact]
    public async Task A_file_that_was_deleted()
    {
        await using var store = _folder.NewStore();
        await store.LoadAsync(default);
        await CommitShouldWork(store, 0);
        File.Delete(_folder.File);

        await CommitShouldFail(store, 1, "*deleted or replaced while it was in use*");
        await CommitShouldFail(store, 1, "*cannot be read*");
        await store.Invoking(s => s.LoadAsync(default)).Should().ThrowAsync<RegistryStoreException>();
        File.Exists(_folder.File).Should().BeFalse();
    }

    [Fact]
    public async Task A_file_that_was_moved_away_and_is_put_back()
    {
        await using var store = _folder.NewStore();
        await store.LoadAsync(default);
        await CommitShouldWork(store, 0);
        File.Move(_folder.File, _folder.File + ".away");

        await CommitShouldFail(store, 1, "*deleted or replaced*");

        File.Move(_folder.File + ".away", _folder.File);
        await CommitShouldWork(store, 1);
    }

    [Fact]
    public async Task A_file_that_was_replaced_is_not_written_before_its_revision_is_compared()
    {
        using var other = new RegistryFolder();
        await using var store = _folder.NewStore();
        await store.LoadAsync(default);
        await CommitShouldWork(store, 0);
        await other.FillAsync(Put(Plain("other", "a")));
        await using (var second = other.NewStore())
        {
            await second.LoadAsync(default);
            await second.TryCommitAsync(1, 9, [], default);
        }

        File.Delete(_folder.Log);
        File.Move(other.File, _folder.File, overwrite: true);

        await CommitShouldFail(store, 1, "*deleted or replaced*", revisionInFile: 9);
        (await store.TryCommitAsync(1, 2, [Put(Plain("tts", "x"))], default)).Should().BeFalse();
        var registry = await store.LoadAsync(default);
        registry.Revision.Should().Be(9);
        registry.Instances.Should().ContainSingle().Which.ServiceName.Should().Be("other");
    }

    [Fact]
    public async Task A_log_that_was_deleted_costs_nothing()
    {
        await using (var store = _folder.NewStore())
        {
            await store.LoadAsync(default);
            await CommitShouldWork(store, 0);
            File.Delete(_folder.Log);
            await CommitShouldWork(store, 1);
        }

        (await _folder.LoadOnceAsync()).Revision.Should().Be(2);
    }

    [Fact]
    public async Task A_commit_before_the_store_was_loaded()
    {
        await using var store = _folder.NewStore();

        await store.Invoking(s => s.TryCommitAsync(0, 1, [], default)).Should().ThrowAsync<InvalidOperationException>();
        File.Exists(_folder.File).Should().BeFalse();
    }

    private static StoreChange[] Changes(long revision) =>
        [Put(Plain("tts", "first", revision + 1)), Put(Plain("tts", "second", revision + 2))];

    private async Task CommitShouldFail(SqliteRegistryStore store, long revision, string message, long? revisionInFile = null)
    {
        var fault = await store.Invoking(s => s.TryCommitAsync(revision, revision + 1, Changes(revision), default))
            .Should().ThrowAsync<RegistryStoreException>().WithMessage(message);
        fault.Which.Message.Should().Contain($"\"{_folder.File}\"");
        if (File.Exists(_folder.File))
            _folder.Query("SELECT revision FROM registry").Should().Be(revisionInFile ?? revision);
    }

    private static async Task CommitShouldWork(SqliteRegistryStore store, long revision)
    {
        (await store.TryCommitAsync(revision, revision + 1, Changes(revision), default)).Should().BeTrue();
        var registry = await store.LoadAsync(default);
        registry.Revision.Should().Be(revision + 1);
        registry.Instances.Select(instance => instance.InstanceId).Should().Equal("first", "second");
    }
}

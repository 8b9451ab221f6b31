using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Settings;
using Alicia.Proxy.Storage;
using static Alicia.Proxy.UnitTests.Storage.StoredSamples;

namespace Alicia.Proxy.UnitTests.Storage;

public sealed class SqliteRegistryStoreTests : IDisposable
{
    private readonly RegistryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_missing_file_and_its_folders_are_created_empty()
    {
        var path = Path.Combine(_folder.Root, "data", "50%20 what? #1 ü;=", "registry.db");
        await using (var store = _folder.NewStore(path))
        {
            var registry = await store.LoadAsync(default);
            registry.Revision.Should().Be(0);
            registry.Services.Should().BeEmpty();
            registry.Instances.Should().BeEmpty();
            (await store.TryCommitAsync(0, 1, [], default)).Should().BeTrue();
        }

        await using (var store = _folder.NewStore(path))
            (await store.LoadAsync(default)).Revision.Should().Be(1);
        Directory.GetFileSystemEntries(Path.GetDirectoryName(path)!).Should().Equal(path);
    }

    [Fact]
    public async Task An_empty_file_becomes_a_registry()
    {
        await File.WriteAllBytesAsync(_folder.File, []);

        (await _folder.LoadOnceAsync()).Revision.Should().Be(0);
        (await _folder.LoadOnceAsync()).Revision.Should().Be(0);
    }

    [Fact]
    public async Task A_link_leads_to_the_file_that_it_names_also_before_there_is_one()
    {
        var link = Path.Combine(_folder.Root, "link.db");
        File.CreateSymbolicLink(link, _folder.File);
        await using (var store = _folder.NewStore(link))
        {
            await store.LoadAsync(default);
            (await store.TryCommitAsync(0, 1, [Put(Plain("tts", "a"))], default)).Should().BeTrue();
            (await store.TryCommitAsync(1, 2, [Put(Plain("tts", "b", epoch: 2))], default)).Should().BeTrue();
        }

        new FileInfo(link).LinkTarget.Should().Be(_folder.File);
        (await _folder.LoadOnceAsync()).Instances.Should().HaveCount(2);
    }

    [Fact]
    public async Task The_file_is_marked_as_ours_and_writes_ahead()
    {
        await _folder.LoadOnceAsync();

        _folder.Query("PRAGMA application_id").Should().Be((long)RegistryTables.ApplicationId);
        _folder.Query("PRAGMA user_version").Should().Be((long)RegistryTables.SchemaVersion);
        _folder.Query("PRAGMA journal_mode").Should().Be("wal");
        _folder.Query("SELECT count(*) FROM pragma_table_list WHERE strict AND name IN ('registry', 'services', 'instances')").Should().Be(3L);
    }

    [Fact]
    public async Task What_was_committed_is_there_after_a_restart()
    {
        var instances = new[] { Plain("tts", "a", epoch: 3), Full("tts", "b", epoch: 2), Full("stt \"ü\"", "a", epoch: 9) };
        var services = new[]
        {
            Service("stt \"ü\""),
            Service(
                "tts",
                revision: 41,
                SettingOverrides.Empty.With(SettingKeys.Algorithm, "random").With(SettingKeys.SlowStart, null),
                new DeclaredRoute(["tts.example"], "/tts/{**rest}", "/tts")),
        };
        await _folder.FillAsync([.. services.Select(Put), .. instances.Select(Put)]);

        var registry = await _folder.LoadOnceAsync();

        registry.Revision.Should().Be(1);
        registry.Services.Should().HaveCount(2);
        foreach (var service in services)
            registry.Services.Single(s => s.Name == service.Name).ShouldEqual(service);
        registry.Instances.Select(instance => instance.Epoch).Should().Equal(2, 3, 9);
        foreach (var instance in instances)
            registry.Instances.Single(i => i.Epoch == instance.Epoch).ShouldEqual(instance);
    }

    [Fact]
    public async Task A_commit_is_durable_while_the_store_is_still_open()
    {
        await using var first = _folder.NewStore();
        await first.LoadAsync(default);
        await first.TryCommitAsync(0, 1, [Put(Plain("tts", "a"))], default);

        (await _folder.LoadOnceAsync()).Instances.Should().ContainSingle().Which.ShouldEqual(Plain("tts", "a"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_file_with_the_log_that_a_killed_process_left_loses_nothing(bool withSharedMemory)
    {
        using var crashed = new RegistryFolder();
        await using (var store = _folder.NewStore())
        {
            await store.LoadAsync(default);
            for (var revision = 1; revision <= 20; revision++)
                await store.TryCommitAsync(revision - 1, revision, [Put(Plain("tts", $"i{revision}", revision))], default);
            foreach (var suffix in withSharedMemory ? new[] { "", "-wal", "-shm" } : ["", "-wal"])
                File.Copy(_folder.File + suffix, crashed.File + suffix);
        }

        new FileInfo(crashed.Log).Length.Should().BePositive();
        var registry = await crashed.LoadOnceAsync();
        registry.Revision.Should().Be(20);
        registry.Instances.Should().HaveCount(20);
        File.Exists(crashed.Log).Should().BeFalse();
    }

    [Fact]
    public async Task A_clean_close_leaves_the_file_alone_in_its_folder()
    {
        await _folder.FillAsync(Put(Plain("tts", "a")));

        Directory.GetFileSystemEntries(_folder.Root).Should().Equal(_folder.File);
        (await _folder.LoadOnceAsync()).Instances.Should().ContainSingle();
    }

    [Fact]
    public async Task One_change_and_a_thousand_changes_are_one_commit_each()
    {
        await using var store = _folder.NewStore();
        await store.LoadAsync(default);
        var thousand = Enumerable.Range(1, 1000).Select(i => (StoreChange)Put(Full("tts", $"i{i}", i))).ToList();

        (await store.TryCommitAsync(0, 1, [Put(Service("tts"))], default)).Should().BeTrue();
        (await store.TryCommitAsync(1, 2, thousand, default)).Should().BeTrue();

        var registry = await store.LoadAsync(default);
        registry.Revision.Should().Be(2);
        registry.Instances.Should().HaveCount(1000);
    }

    [Fact]
    public async Task A_later_change_replaces_an_earlier_one()
    {
        await _folder.FillAsync(Put(Service("tts")), Put(Plain("tts", "a")), Put(Full("tts", "a", epoch: 2)), Put(Service("tts", revision: 5)));

        var registry = await _folder.LoadOnceAsync();
        registry.Services.Should().ContainSingle().Which.Revision.Should().Be(5);
        registry.Instances.Should().ContainSingle().Which.ShouldEqual(Full("tts", "a", epoch: 2));
    }

    [Fact]
    public async Task Deleting_a_service_deletes_its_instances_only()
    {
        await using var store = _folder.NewStore();
        await store.LoadAsync(default);
        await store.TryCommitAsync(
            0, 1, [Put(Service("tts")), Put(Service("stt")), Put(Plain("tts", "a")), Put(Plain("stt", "a")), Put(Plain("stt", "b"))], default);
        await store.TryCommitAsync(1, 2, [new StoreChange.DeleteService("tts"), new StoreChange.DeleteInstance("stt", "b")], default);

        var registry = await store.LoadAsync(default);
        registry.Services.Select(service => service.Name).Should().Equal("stt");
        registry.Instances.Select(instance => (instance.ServiceName, instance.InstanceId)).Should().Equal(("stt", "a"));
    }

    [Fact]
    public async Task Of_two_stores_at_one_revision_the_second_to_commit_is_told_and_loads_again()
    {
        await using var one = _folder.NewStore();
        await using var two = _folder.NewStore();
        await one.LoadAsync(default);
        await two.LoadAsync(default);

        (await one.TryCommitAsync(0, 1, [Put(Plain("tts", "one"))], default)).Should().BeTrue();
        (await two.TryCommitAsync(0, 1, [Put(Plain("tts", "two"))], default)).Should().BeFalse();

        var reloaded = await two.LoadAsync(default);
        reloaded.Revision.Should().Be(1);
        reloaded.Instances.Should().ContainSingle().Which.InstanceId.Should().Be("one");
        (await two.TryCommitAsync(1, 2, [Put(Plain("tts", "two", epoch: 2))], default)).Should().BeTrue();
        (await one.LoadAsync(default)).Instances.Should().HaveCount(2);
    }

    [Fact]
    public async Task Of_concurrent_commits_on_one_revision_exactly_one_wins()
    {
        await using var one = _folder.NewStore();
        await using var two = _folder.NewStore();
        await one.LoadAsync(default);
        await two.LoadAsync(default);

        var won = await Task.WhenAll(Enumerable.Range(0, 32).Select(i => Task.Run(
            () => (i % 2 == 0 ? one : two).TryCommitAsync(0, 1, [Put(Plain("tts", $"i{i}"))], default))));

        won.Count(w => w).Should().Be(1);
        (await one.LoadAsync(default)).Instances.Should().ContainSingle().Which.InstanceId.Should().Be($"i{Array.IndexOf(won, true)}");
    }

    [Fact]
    public async Task Commits_are_done_in_the_order_in_which_they_were_asked_for()
    {
        await using var store = _folder.NewStore();
        await store.LoadAsync(default);

        var done = await Task.WhenAll(Enumerable.Range(1, 50).Select(
            revision => store.TryCommitAsync(revision - 1, revision, [Put(Plain("tts", $"i{revision}", revision))], default)));

        done.Should().AllBeEquivalentTo(true);
        (await store.LoadAsync(default)).Revision.Should().Be(50);
    }

    [Fact]
    public async Task Disposing_finishes_what_was_asked_for_before_and_refuses_what_comes_after()
    {
        var store = _folder.NewStore();
        await store.LoadAsync(default);
        var commit = store.TryCommitAsync(0, 1, [Put(Plain("tts", "a"))], default);

        await store.DisposeAsync();
        await store.DisposeAsync();

        (await commit).Should().BeTrue();
        await store.Invoking(s => s.LoadAsync(default)).Should().ThrowAsync<ObjectDisposedException>();
        (await _folder.LoadOnceAsync()).Revision.Should().Be(1);
    }

    [Fact]
    public async Task What_is_cancelled_before_it_starts_is_not_done()
    {
        await using var store = _folder.NewStore();
        await store.LoadAsync(default);

        await store.Invoking(s => s.TryCommitAsync(0, 1, [Put(Plain("tts", "a"))], new CancellationToken(canceled: true)))
            .Should().ThrowAsync<OperationCanceledException>();
        (await store.LoadAsync(default)).Revision.Should().Be(0);
    }

    [Fact]
    public async Task What_is_never_stored_is_refused()
    {
        await using var store = _folder.NewStore();
        await store.LoadAsync(default);

        foreach (var instance in new[] { Plain("tts", "a") with { Leaving = true }, Plain("tts", "a") with { Source = RegistrationSource.Config } })
        {
            await store.Invoking(s => s.TryCommitAsync(0, 1, [Put(Plain("tts", "b")), Put(instance)], default))
                .Should().ThrowAsync<ArgumentException>();
        }

        await store.Invoking(s => s.TryCommitAsync(1, 1, [], default)).Should().ThrowAsync<ArgumentException>();
        (await store.LoadAsync(default)).Instances.Should().BeEmpty();
    }
}

using Alicia.Proxy.Registry;
using Alicia.Proxy.Storage;
using static Alicia.Proxy.UnitTests.Storage.StoredSamples;

namespace Alicia.Proxy.UnitTests.Storage;

public sealed class MemoryRegistryStoreTests
{
    private readonly MemoryRegistryStore _store = new();

    [Fact]
    public async Task A_new_store_is_empty_at_revision_zero()
    {
        var registry = await _store.LoadAsync(default);

        registry.Revision.Should().Be(0);
        registry.Services.Should().BeEmpty();
        registry.Instances.Should().BeEmpty();
    }

    [Fact]
    public async Task A_commit_that_builds_on_another_revision_changes_nothing()
    {
        (await _store.TryCommitAsync(0, 1, [Put(Plain("tts", "a"))], default)).Should().BeTrue();
        (await _store.TryCommitAsync(0, 1, [Put(Plain("tts", "b"))], default)).Should().BeFalse();
        (await _store.TryCommitAsync(1, 2, [Put(Plain("tts", "c", epoch: 2))], default)).Should().BeTrue();

        var registry = await _store.LoadAsync(default);
        registry.Revision.Should().Be(2);
        registry.Instances.Select(instance => instance.InstanceId).Should().Equal("a", "c");
    }

    [Fact]
    public async Task Deleting_a_service_deletes_its_instances_only()
    {
        await _store.TryCommitAsync(
            0, 1, [Put(Service("tts")), Put(Service("stt")), Put(Plain("tts", "a")), Put(Plain("stt", "a")), Put(Plain("stt", "b"))], default);
        await _store.TryCommitAsync(1, 2, [new StoreChange.DeleteService("tts"), new StoreChange.DeleteInstance("stt", "b")], default);

        var registry = await _store.LoadAsync(default);
        registry.Services.Select(service => service.Name).Should().Equal("stt");
        registry.Instances.Select(instance => (instance.ServiceName, instance.InstanceId)).Should().Equal(("stt", "a"));
    }

    [Fact]
    public async Task What_is_never_stored_is_refused()
    {
        await _store.Invoking(s => s.TryCommitAsync(0, 1, [Put(Plain("tts", "a") with { Leaving = true })], default))
            .Should().ThrowAsync<ArgumentException>();
        await _store.Invoking(s => s.TryCommitAsync(0, 1, [Put(Plain("tts", "a") with { Source = RegistrationSource.Config })], default))
            .Should().ThrowAsync<ArgumentException>();
        await _store.Invoking(s => s.TryCommitAsync(1, 1, [], default)).Should().ThrowAsync<ArgumentException>();
    }
}

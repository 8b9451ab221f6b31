using System.Collections.Immutable;
using Alicia.Proxy.Events;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Changes;
using Alicia.Proxy.Registry.Settings;
using Microsoft.Extensions.Logging.Abstractions;
using static Alicia.Proxy.UnitTests.Registry.Drafts;

namespace Alicia.Proxy.UnitTests.Registry;

/// <summary>What a real registry's changes look like to who follows the log.</summary>
public sealed class RegistryEventsTests : IAsyncLifetime
{
    private readonly FlakyStore _store = new();
    private readonly EventLog _log = new(TimeProvider.System);
    private readonly ServiceRegistry _registry;
    private EventLog.Follower _follower = null!;

    public RegistryEventsTests() => _registry = new ServiceRegistry(_store, TimeProvider.System, NullLogger<ServiceRegistry>.Instance);

    public async Task InitializeAsync()
    {
        await _registry.LoadAsync(default);
        new RegistryEvents(_registry, _log).Begin();
        _follower = _log.Follow();
    }

    public async Task DisposeAsync() => await _registry.DisposeAsync();

    [Fact]
    public async Task A_first_registration_adds_the_service_and_then_the_instance()
    {
        var registered = await DoAsync(Register("tts"));

        var events = Taken();
        events.Select(Line).Should().Equal("ServiceAdded tts", "InstanceRegistered tts/a -> pending");
        events[1].Happening.Epoch.Should().Be(registered.Instance.Epoch);
    }

    [Fact]
    public async Task Repeating_a_registration_is_no_event_and_changing_something_in_it_is()
    {
        await DoAsync(Register("tts"));
        Taken();

        await DoAsync(Register("tts"));
        Taken().Should().BeEmpty();

        await DoAsync(Register("tts", Request() with { Weight = 3 }));
        Taken().Select(Line).Should().Equal("InstanceChanged tts/a");
    }

    [Fact]
    public async Task A_patch_that_says_what_is_there_already_is_no_event()
    {
        await DoAsync(Register("tts", Request() with { Metadata = new Dictionary<string, string> { ["zone"] = "kitchen" } }));
        Taken();

        await DoAsync(Patch("tts", "a", metadata: Given<IReadOnlyDictionary<string, string?>>(new Dictionary<string, string?> { ["zone"] = "kitchen" })));
        Taken().Should().BeEmpty();

        await DoAsync(Patch("tts", "a", metadata: Given<IReadOnlyDictionary<string, string?>>(new Dictionary<string, string?> { ["zone"] = "hall" })));
        Taken().Select(Line).Should().Equal("InstanceChanged tts/a");
    }

    [Fact]
    public async Task Draining_and_back_are_changes_of_state_by_the_operator()
    {
        await DoAsync(Register("tts"));
        Taken();

        await DoAsync(Patch("tts", "a", state: Given("draining")));
        await DoAsync(Patch("tts", "a", state: Given("active"), weight: Given<int?>(7)));

        Taken().Select(Line).Should().Equal(
            "InstanceStateChanged tts/a pending -> draining (operator)",
            "InstanceChanged tts/a",
            "InstanceStateChanged tts/a draining -> pending (operator)");
    }

    [Fact]
    public async Task A_removal_drains_first_and_the_end_of_the_departure_removes()
    {
        await DoAsync(Register("tts"));
        var epoch = (await DoAsync(Register("tts", "b", port: 8004))).Instance.Epoch;
        Taken();

        await DoAsync(new RemoveInstance("tts", "b"));
        await DoAsync(new FinishDeparture("tts", epoch));

        Taken().Select(Line).Should().Equal("InstanceStateChanged tts/b pending -> draining (deregistered)", "InstanceRemoved tts/b draining");
    }

    [Fact]
    public async Task A_move_to_another_address_removes_the_old_epoch_before_it_registers_the_new_one()
    {
        var old = (await DoAsync(Register("tts"))).Instance.Epoch;
        await DoAsync(Register("tts", "b", port: 8004));
        Taken();

        var moved = (await DoAsync(Register("tts", host: "10.0.0.6"))).Instance.Epoch;

        var events = Taken();
        events.Select(Line).Should().Equal("InstanceRemoved tts/a pending (replaced)", "InstanceRegistered tts/a -> pending");
        events.Select(e => e.Happening.Epoch).Should().Equal(old, moved);
    }

    [Fact]
    public async Task Settings_and_routes_change_the_service_and_registrations_do_not()
    {
        await DoAsync(Put("tts"));
        await DoAsync(PatchSettings("tts", Settings(SettingKeys.Algorithm, "random")));
        await DoAsync(Register("tts"));

        Taken().Select(Line).Should().Equal("ServiceAdded tts", "ServiceChanged tts", "InstanceRegistered tts/a -> pending");
    }

    [Fact]
    public async Task A_deleted_service_goes_with_the_last_of_its_instances()
    {
        var epoch = (await DoAsync(Register("tts"))).Instance.Epoch;
        await DoAsync(Put("empty"));
        Taken();

        await DoAsync(new RemoveService("empty", Precondition.None));
        await DoAsync(new RemoveService("tts", Precondition.None));
        await DoAsync(new FinishDeparture("tts", epoch));

        Taken().Select(Line).Should().Equal(
            "ServiceRemoved empty",
            "InstanceStateChanged tts/a pending -> draining (deregistered)",
            "InstanceRemoved tts/a draining",
            "ServiceRemoved tts");
    }

    [Fact]
    public async Task What_configuration_brings_and_drops_is_told_and_what_it_repeats_is_not()
    {
        await DoAsync(Register("other"));
        await DoAsync(Configure(Static("tts", Request("a"), Request("b", port: 8004))));
        Taken().Select(Line).Should().BeEquivalentTo("ServiceAdded other", "InstanceRegistered other/a -> pending",
            "ServiceAdded tts", "InstanceRegistered tts/a -> active", "InstanceRegistered tts/b -> active");

        await DoAsync(Configure(Static("tts", Request("a"), Request("b", port: 8004))));
        Taken().Should().BeEmpty();

        await DoAsync(Configure(Static("tts", Request("b", port: 8004))));
        Taken().Select(Line).Should().Equal("InstanceStateChanged tts/a active -> draining (configuration)");
    }

    [Fact]
    public async Task Taking_over_the_state_of_another_writer_tells_only_what_differs()
    {
        foreach (var id in new[] { "a", "b", "c" })
            await DoAsync(Register("tts", Request(id, port: 8000 + id[0]) with { Metadata = new Dictionary<string, string> { ["zone"] = id } }));
        Taken();
        _store.BeforeCommit = async inner =>
        {
            _store.BeforeCommit = null;
            await FlakyStore.ByAnotherWriterAsync(inner, new StoreChange.DeleteInstance("tts", "b"));
        };

        await DoAsync(Register("tts", "d", port: 9000));

        Taken().Select(Line).Should().Equal("InstanceRemoved tts/b pending", "InstanceRegistered tts/d -> pending");
    }

    [Fact]
    public async Task What_the_store_held_at_the_start_is_no_news()
    {
        await DoAsync(Register("tts"));
        var log = new EventLog(TimeProvider.System);
        await using var again = new ServiceRegistry(_store, TimeProvider.System, NullLogger<ServiceRegistry>.Instance);
        await again.LoadAsync(default);
        new RegistryEvents(again, log).Begin();
        using var follower = log.Follow();

        await again.SubmitAsync(Register("tts", "b", port: 8004), default);

        follower.Events.TryRead(out var first).Should().BeTrue();
        Line(first!).Should().Be("InstanceRegistered tts/b -> pending");
        follower.Events.TryRead(out _).Should().BeFalse();
    }

    [Fact]
    public async Task A_change_of_one_service_among_a_thousand_costs_about_what_the_service_costs()
    {
        await DoAsync(Configure([.. Enumerable.Range(0, 1000).Select(s => Static($"s{s}", [.. Enumerable.Range(0, 10).Select(i => Request($"i{i}", port: 1000 + i))]))]));
        // So many at once were more than a follower may be behind.
        _follower.CutOff.IsCancellationRequested.Should().BeTrue();
        _follower = _log.Follow();
        var before = _registry.Snapshot;
        RegistrySnapshot? after = null;
        _registry.Published += (_, next) => after = next;
        await DoAsync(Register("s500", "new", port: 5000));
        Taken().Select(Line).Should().Equal("InstanceRegistered s500/new -> pending");

        // The same swap once more, measured: no more memory than the one new instance takes, however many others there are.
        var events = new RegistryEvents(_registry, _log);
        var start = GC.GetAllocatedBytesForCurrentThread();
        events.Compare(before, after!);
        var allocated = GC.GetAllocatedBytesForCurrentThread() - start;

        allocated.Should().BeLessThan(4096);
        Taken().Should().ContainSingle();
    }

    private static string Line(ProxyEvent happened)
    {
        var (kind, service, what) = (happened.Kind, happened.Service, happened.Happening);
        return $"{kind} {service}" + (what.InstanceId is null ? "" : "/" + what.InstanceId) + (what.Previous is null ? "" : " " + what.Previous)
            + (what.Current is null ? "" : " -> " + what.Current) + (what.Reason is null ? "" : $" ({what.Reason})");
    }

    private async Task<T> DoAsync<T>(IRegistryChange<T> change)
    {
        var result = await _registry.SubmitAsync(change, default);
        result.Rejection.Should().BeNull();
        return result.Value!;
    }

    /// <summary>What has been told since the last call; the writer tells before it answers.</summary>
    private ImmutableArray<ProxyEvent> Taken()
    {
        var events = ImmutableArray.CreateBuilder<ProxyEvent>();
        while (_follower.Events.TryRead(out var happened))
            events.Add(happened);
        return events.ToImmutable();
    }
}

using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Changes;
using static Alicia.Proxy.UnitTests.Registry.Drafts;

namespace Alicia.Proxy.UnitTests.Registry;

public sealed class RemovalTests
{
    private readonly Drafts _registry = new();

    [Fact]
    public void A_removed_instance_is_struck_from_the_store_at_once_and_listed_until_it_has_left()
    {
        var epoch = _registry.Do(Register("tts")).Instance.Epoch;
        _registry.Do(new RemoveInstance("tts", "a")).State.Should().Be(InstanceState.Draining);

        _registry.Draft.Changes[^1].Should().Be(new StoreChange.DeleteInstance("tts", "a"));
        _registry.Instance("tts", "a").InRotation.Should().BeFalse();

        _registry.Do(new FinishDeparture("tts", epoch)).Should().BeTrue();
        _registry.Service("tts").Instances.Should().BeEmpty("and the service stays");
    }

    [Fact]
    public void Removing_it_again_while_it_leaves_changes_nothing()
    {
        _registry.Do(Register("tts"));
        _registry.Do(new RemoveInstance("tts", "a"));
        var snapshot = _registry.Snapshot;
        _registry.Do(new RemoveInstance("tts", "a")).Leaving.Should().BeTrue();
        _registry.Snapshot.Should().BeSameAs(snapshot);
    }

    [Fact]
    public void What_is_not_there_cannot_be_removed()
    {
        _registry.Refused(new RemoveInstance("tts", "a"), RejectionKind.NotFound);
        _registry.Refused(new RemoveService("tts", Precondition.None), RejectionKind.NotFound);
        _registry.Do(Register("tts"));
        _registry.Refused(new RemoveInstance("tts", "b"), RejectionKind.NotFound);
    }

    [Fact]
    public void A_departure_that_ends_late_does_not_strike_the_successor()
    {
        var old = _registry.Do(Register("tts")).Instance.Epoch;
        _registry.Do(new RemoveInstance("tts", "a"));
        var successor = _registry.Do(Register("tts")).Instance;

        _registry.Do(new FinishDeparture("tts", old)).Should().BeFalse();
        _registry.Do(new FinishDeparture("tts", successor.Epoch)).Should().BeFalse("it is not leaving");
        _registry.Instance("tts", "a").Should().Be(successor);
    }

    [Fact]
    public void The_end_of_a_departure_needs_no_store()
    {
        var epoch = _registry.Do(Register("tts")).Instance.Epoch;
        _registry.Do(new RemoveInstance("tts", "a"));
        var draft = new RegistryDraft(_registry.Snapshot, Start);
        new FinishDeparture("tts", epoch).Apply(draft).Value.Should().BeTrue();
        draft.MustCommit.Should().BeFalse();
    }

    [Fact]
    public void A_deleted_service_leaves_with_its_last_instance()
    {
        var a = _registry.Do(Register("tts", "a")).Instance.Epoch;
        var b = _registry.Do(Register("tts", "b")).Instance.Epoch;
        _registry.Do(new RemoveService("tts", Precondition.None));

        _registry.Draft.Changes[^1].Should().Be(new StoreChange.DeleteService("tts"));
        _registry.Service("tts").Instances.Should().OnlyContain(i => i.Leaving);
        _registry.Do(new FinishDeparture("tts", a));
        _registry.Snapshot.Services.Should().ContainKey("tts");
        _registry.Do(new FinishDeparture("tts", b));
        _registry.Snapshot.Services.Should().BeEmpty();
    }

    [Fact]
    public void A_service_without_instances_goes_at_once()
    {
        _registry.Do(Put("tts"));
        _registry.Do(new RemoveService("tts", Precondition.None));
        _registry.Snapshot.Services.Should().BeEmpty();
    }

    [Fact]
    public void A_service_from_configuration_is_refused_with_its_key_and_a_stale_revision_too()
    {
        _registry.Do(Configure(Static("stt")));
        _registry.Refused(new RemoveService("stt", Precondition.None), RejectionKind.Conflict).Detail.Should().Contain("Services:stt");

        var revision = _registry.Do(Put("tts")).Service.Revision;
        _registry.Refused(new RemoveService("tts", new Precondition([revision - 1], false, false)), RejectionKind.PreconditionFailed);
        _registry.Do(new RemoveService("tts", new Precondition([revision - 1, revision], true, false)));
    }
}

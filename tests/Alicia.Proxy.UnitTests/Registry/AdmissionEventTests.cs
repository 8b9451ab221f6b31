using Alicia.Proxy.Events;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Changes;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using static Alicia.Proxy.UnitTests.Registry.Drafts;

namespace Alicia.Proxy.UnitTests.Registry;

/// <summary>How the life of an instance is told, from its registration to its end.</summary>
public sealed class AdmissionEventTests
{
    private readonly Drafts _registry = new();
    private readonly EventLog _log = new(new FakeTimeProvider());

    [Theory]
    [InlineData(DepartureReason.Deregistered, "deregistered")]
    [InlineData(DepartureReason.LeaseExpired, "lease_expired")]
    [InlineData(DepartureReason.Unhealthy, "unhealthy")]
    [InlineData(DepartureReason.ReportedGone, "reported_gone")]
    public void Admission_and_the_reason_of_a_departure_are_told_once_each(object reason, string name)
    {
        using var follower = _log.Follow();
        long epoch = 0;
        Tell(() => epoch = _registry.Do(Register("tts")).Instance.Epoch);
        Tell(() => _registry.Do(new AdmitInstance("tts", epoch)));
        Tell(() => _registry.Do(new RemoveInstance("tts", "a", (DepartureReason)reason)));
        Tell(() => _registry.Do(new FinishDeparture("tts", epoch)));

        var told = new List<string>();
        while (follower.Events.TryRead(out var e))
            told.Add($"{e.Kind} {e.Happening.Previous}>{e.Happening.Current} {e.Happening.Reason}".Trim());
        told.Should().Equal("ServiceAdded >", "InstanceRegistered >pending", "InstanceStateChanged pending>active admitted", $"InstanceStateChanged active>draining {name}",
            "InstanceRemoved draining>");
    }

    private void Tell(Action change)
    {
        var before = _registry.Snapshot;
        change();
        new RegistryEvents(new ServiceRegistry(new Alicia.Proxy.Storage.MemoryRegistryStore(), TimeProvider.System, NullLogger<ServiceRegistry>.Instance), _log)
            .Compare(before, _registry.Snapshot);
    }
}

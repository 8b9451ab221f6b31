using System.Diagnostics.Metrics;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Events;
using Alicia.Proxy.Health;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Routing;
using Alicia.Proxy.Security;

namespace Alicia.Proxy.Telemetry;

/// <summary>What the proxy does besides forwarding: registry, routing, probes, circuits, names, events.</summary>
internal sealed class ControlMetrics
{
    public ControlMetrics(ProxyMeter meter, ServiceRegistry registry, SnapshotPublisher publisher, GateSurroundings circuits, ProbeCounters probes, LeaseBook leases,
        NameResolver names, EventLog events, AccessCounters access, string version)
    {
        meter.Gauge("alicia_registry_revision", null, "Revision of the registry; rises with every change.", () => registry.Snapshot.Revision);
        meter.Gauge("alicia_config_applied_revision", null, "Revision of the registry that requests are routed by.", () => publisher.AppliedRevision);
        meter.Gauge("alicia_config_apply", "s", "How long the latest change took to be put in force.", () => publisher.LastPublication.TotalSeconds);
        meter.Counter("alicia_config_applying", "s", "Time spent on putting changes in force.", () => publisher.TimePublishing.TotalSeconds);
        meter.Counter("alicia_config_applies", null, "Times that changes were put in force; changes that come together count once.", () => publisher.Publications);
        meter.Counter("alicia_circuit_transitions", null, SeriesPer.Proxy, "Moves of circuits of all instances.", () =>
            from move in circuits.Moves
            let t = move.Transition
            select new Measurement<long>(move.Count, [new("from", CircuitNames.Of(t.From)), new("reason", CircuitNames.Of(t.Reason)), new("to", CircuitNames.Of(t.To))]));
        meter.Counter("alicia_circuit_openings_held", null, "Circuits that would have opened but for MaxEjectionPercent.", () => circuits.Held);
        meter.Counter("alicia_health_probes", null, SeriesPer.Proxy, "Probes of all instances, by what came of them.", () => Probes(probes));
        meter.Gauge("alicia_leases_held", null, "Leases that have run out and are held because too many did at once.", () => (long)leases.Held);
        meter.Counter("alicia_dns_failures", null, "Look-ups of instances' names that failed.", () => names.Failures);
        meter.Counter("alicia_events", null, "Registry, health and circuit events.", () => events.LastId);
        meter.Gauge("alicia_event_followers", null, "Who follows the events now.", () => (long)events.Followers);
        meter.Counter("alicia_event_followers_cut_off", null, "Followers that were cut off because they did not keep up.", () => events.CutOff);
        meter.Counter("alicia_management_refused", null, SeriesPer.Proxy, "Requests to management that were refused, by reason.", () =>
            from reason in Enum.GetValues<AccessRefusal>()
            select new Measurement<long>(access.Read(reason), [new("reason", AccessCounters.Name(reason))]));
        meter.Gauge("alicia_build_info", null, SeriesPer.Proxy, "1; the version is the label.", () => (IEnumerable<Measurement<long>>)[new(1, [new("version", version)])]);
    }

    private static IEnumerable<Measurement<long>> Probes(ProbeCounters probes)
    {
        yield return new(probes.Passed, [new("result", ProbeNames.Of(null))]);
        foreach (var failure in Enum.GetValues<ProbeFailure>())
            yield return new(probes.Failed(failure), [new("result", ProbeNames.Of(failure))]);
    }
}

using System.Collections.Immutable;
using Alicia.Proxy.Events;

namespace Alicia.Proxy.Registry;

/// <summary>
/// Tells the event log what each swap of the registry changed. It runs on the registry's writer, so it costs what changed: services that are the same object
/// are passed over, and in the others so is every instance that is the same object.
/// </summary>
internal sealed class RegistryEvents(ServiceRegistry registry, EventLog log)
{
    /// <summary>Starts telling. Called when the store and the configuration that the process started with are in: what was there is no news.</summary>
    public void Begin() => registry.Published += Compare;

    /// <summary>Publishes what is different in <paramref name="after"/>.</summary>
    internal void Compare(RegistrySnapshot before, RegistrySnapshot after)
    {
        var added = 0;
        foreach (var service in after.Services.Values)
        {
            if (!before.TryGet(service.Name, out var previous))
            {
                added++;
                log.Publish(EventKind.ServiceAdded, service.Name);
                Compare([], service.Instances);
            }
            else if (!ReferenceEquals(previous, service))
            {
                if (previous.Revision != service.Revision)
                    log.Publish(EventKind.ServiceChanged, service.Name);
                Compare(previous.Instances, service.Instances);
            }
        }

        if (before.Services.Count + added == after.Services.Count)
            return;
        foreach (var gone in before.Services.Values)
        {
            if (after.Services.ContainsKey(gone.Name))
                continue;
            Compare(gone.Instances, []);
            log.Publish(EventKind.ServiceRemoved, gone.Name);
        }
    }

    private void Compare(ImmutableArray<Instance> before, ImmutableArray<Instance> after)
    {
        // Most changes touch one instance of many; what stands before and after it is the same object in the same order.
        var shorter = Math.Min(before.Length, after.Length);
        var (head, tail) = (0, 0);
        while (head < shorter && ReferenceEquals(before[head], after[head]))
            head++;
        while (tail < shorter - head && ReferenceEquals(before[^(tail + 1)], after[^(tail + 1)]))
            tail++;
        var old = before.AsSpan()[head..^tail];
        var now = after.AsSpan()[head..^tail];
        if (old.IsEmpty && now.IsEmpty)
            return;

        var known = new Dictionary<long, Instance>(old.Length);
        foreach (var instance in old)
            known.Add(instance.Epoch, instance);
        var present = new HashSet<long>(now.Length);
        var ids = new HashSet<string>(now.Length, StringComparer.Ordinal);
        foreach (var instance in now)
        {
            present.Add(instance.Epoch);
            ids.Add(instance.InstanceId);
        }

        // The old epoch of an id goes before the new one comes, so that who keeps a list by id ends with the right one.
        foreach (var gone in old)
        {
            if (!present.Contains(gone.Epoch))
                Tell(EventKind.InstanceRemoved, gone, previous: gone.State, reason: ids.Contains(gone.InstanceId) ? "replaced" : null);
        }

        foreach (var instance in now)
        {
            if (!known.TryGetValue(instance.Epoch, out var was))
            {
                Tell(EventKind.InstanceRegistered, instance, current: instance.State);
            }
            else if (!ReferenceEquals(was, instance))
            {
                if (OtherwiseChanged(was, instance))
                    Tell(EventKind.InstanceChanged, instance);
                if (was.State != instance.State)
                    Tell(EventKind.InstanceStateChanged, instance, was.State, instance.State, ReasonOf(was, instance));
            }
        }
    }

    private void Tell(EventKind kind, Instance instance, InstanceState? previous = null, InstanceState? current = null, string? reason = null) =>
        log.Publish(kind, instance.ServiceName, new Happening
        {
            InstanceId = instance.InstanceId,
            Epoch = instance.Epoch,
            Previous = previous?.WireName(),
            Current = current?.WireName(),
            Reason = reason,
        });

    /// <summary>True when the two differ in anything but what <see cref="Instance.State"/> is made of. A new object alone is no change.</summary>
    private static bool OtherwiseChanged(Instance before, Instance after) =>
        before != after with { OperatorDrain = before.OperatorDrain, Leaving = before.Leaving, Admitted = before.Admitted, DepartureReason = before.DepartureReason, Metadata = before.Metadata }
        // A dictionary equals only itself.
        || (!ReferenceEquals(before.Metadata, after.Metadata) && !before.Metadata.SequenceEqual(after.Metadata));

    /// <summary>Why an instance's state moved, as far as the registry can tell.</summary>
    private static string? ReasonOf(Instance before, Instance after)
    {
        if (after.Leaving)
            return after.Source == RegistrationSource.Config ? "configuration" : DepartureReasons.Of(after.DepartureReason);
        if (before.Admitted != after.Admitted)
            return "admitted";
        return before.OperatorDrain != after.OperatorDrain ? "operator" : null;
    }
}

using Alicia.Proxy.Registry.Validation;

namespace Alicia.Proxy.Registry.Changes;

/// <summary>One member of a merge patch: left out, null (take the value away), or a value.</summary>
internal readonly record struct Patch<T>(bool Given, T? Value);

/// <summary>What an operator changes on one instance. Metadata merges pair by pair; a null value removes its pair.</summary>
internal sealed record InstancePatch(Patch<int?> Weight, Patch<int?> MaxConnections, Patch<IReadOnlyDictionary<string, string?>> Metadata, Patch<string> State);

/// <summary>Applies an operator's merge patch to an instance: weight, cap, metadata, and whether it takes traffic.</summary>
internal sealed class PatchInstance(string serviceName, string instanceId, InstancePatch patch) : IRegistryChange<Registered>
{
    /// <summary>Checks what does not depend on the instance.</summary>
    public static void Check(InstancePatch patch, FaultList faults)
    {
        InstanceRules.Limits(patch.Weight.Value, patch.MaxConnections.Value, faults);
        if (patch.State is { Given: true, Value: not ("active" or "draining") })
            faults.AddIfNone("state", "must be active or draining");
    }

    public (Registered? Value, Rejection? Rejection) Apply(RegistryDraft draft)
    {
        if (draft.Find(serviceName) is not { } service)
            return (null, Rejection.UnknownService(serviceName));
        if (service.Find(instanceId) is not { } instance)
            return (null, Rejection.UnknownInstance(serviceName, instanceId));
        if (instance.Leaving)
            return (null, new Rejection(RejectionKind.Conflict, $"Instance '{instanceId}' of service '{serviceName}' is leaving; register it again."));
        if (FromConfiguration(instance) is { } key)
            return (null, Rejection.SetByConfiguration(key));

        var faults = new FaultList();
        Check(patch, faults);
        var metadata = MergedMetadata(instance);
        InstanceRules.Metadata(metadata, faults);
        if (faults.Any)
            return (null, new Rejection(RejectionKind.Invalid, "The change is not valid.", faults.ToErrors()));

        var changed = instance with
        {
            OperatorWeight = patch.Weight.Given ? patch.Weight.Value : instance.OperatorWeight,
            MaxConnections = patch.MaxConnections.Given ? patch.MaxConnections.Value : instance.MaxConnections,
            Metadata = patch.Metadata.Given ? InstanceRules.ToMetadata(metadata) : instance.Metadata,
            OperatorDrain = patch.State.Given ? patch.State.Value == "draining" : instance.OperatorDrain,
        };
        if (changed.Source != RegistrationSource.Config)
            draft.Store(new StoreChange.PutInstance(changed));
        draft.Put(service with { Instances = service.Instances.Replace(instance, changed) });
        draft.Snapshot.TryGet(serviceName, out service);
        return (new Registered(service!, changed, Created: false), null);
    }

    private Dictionary<string, string> MergedMetadata(Instance instance)
    {
        var merged = new Dictionary<string, string>(StringComparer.Ordinal);
        // "metadata": null takes all pairs away.
        if (patch.Metadata is { Given: true, Value: null })
            return merged;
        foreach (var (key, value) in instance.Metadata)
            merged[key] = value;
        foreach (var (key, value) in patch.Metadata.Value ?? new Dictionary<string, string?>())
        {
            if (value is null)
                merged.Remove(key);
            else
                merged[key] = value;
        }

        return merged;
    }

    /// <summary>An operator may drain what configuration declares, but not change what it says.</summary>
    private string? FromConfiguration(Instance instance)
    {
        if (instance.Source != RegistrationSource.Config)
            return null;
        var key = $"Services:{serviceName}:Instances ({instanceId})";
        return patch.Weight.Given ? key + ":Weight" : patch.MaxConnections.Given ? key + ":MaxConnections" : patch.Metadata.Given ? key + ":Metadata" : null;
    }
}

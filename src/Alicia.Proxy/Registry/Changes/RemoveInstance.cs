namespace Alicia.Proxy.Registry.Changes;

/// <summary>
/// Takes an instance out: its row is deleted and nothing new goes there. It stays listed as draining until <see cref="FinishDeparture"/>.
/// </summary>
internal sealed class RemoveInstance(string serviceName, string instanceId) : IRegistryChange<Instance>
{
    public (Instance? Value, Rejection? Rejection) Apply(RegistryDraft draft)
    {
        if (draft.Find(serviceName) is not { } service)
            return (null, Rejection.UnknownService(serviceName));
        if (service.Find(instanceId) is not { } instance)
            return (null, Rejection.UnknownInstance(serviceName, instanceId));
        if (instance.Leaving)
            return (instance, null);
        if (instance.Source == RegistrationSource.Config)
            return (null, Rejection.SetByConfiguration($"Services:{serviceName}:Instances ({instanceId})"));

        var leaving = instance with { Leaving = true };
        draft.Store(new StoreChange.DeleteInstance(serviceName, instanceId));
        draft.Put(service with { Instances = service.Instances.Replace(instance, leaving) });
        return (leaving, null);
    }
}

/// <summary>Strikes a departed epoch off the list, and with the last one a service that was deleted or that configuration dropped.</summary>
internal sealed class FinishDeparture(string serviceName, long epoch) : IRegistryChange<bool>
{
    public (bool Value, Rejection? Rejection) Apply(RegistryDraft draft)
    {
        if (draft.Find(serviceName) is not { } service)
            return (false, null);
        var rest = service.Instances.RemoveAll(i => i.Epoch == epoch && i.Leaving);
        if (rest.Length == service.Instances.Length)
            return (false, null);
        if (rest.IsEmpty && service.Leaving)
            draft.Remove(serviceName);
        else
            draft.Put(service with { Instances = rest });
        return (true, null);
    }
}

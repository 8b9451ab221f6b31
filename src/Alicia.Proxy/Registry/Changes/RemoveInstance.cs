namespace Alicia.Proxy.Registry.Changes;

/// <summary>
/// Takes an instance out: its row is deleted and nothing new goes there. It stays listed as draining until <see cref="FinishDeparture"/>.
/// </summary>
/// <param name="serviceName">The service.</param>
/// <param name="instanceId">The instance.</param>
/// <param name="reason">Why.</param>
/// <param name="epoch">Only this epoch, or 0 for whichever has the id: who decided by what a probe or a clock said must not hit a successor.</param>
internal sealed class RemoveInstance(string serviceName, string instanceId, DepartureReason reason = DepartureReason.Deregistered, long epoch = 0) : IRegistryChange<Instance>
{
    public (Instance? Value, Rejection? Rejection) Apply(RegistryDraft draft)
    {
        if (draft.Find(serviceName) is not { } service)
            return (null, Rejection.UnknownService(serviceName));
        if (service.Find(instanceId) is not { } instance || (epoch != 0 && instance.Epoch != epoch))
            return (null, Rejection.UnknownInstance(serviceName, instanceId));
        if (instance.Leaving)
            return (instance, null);
        if (instance.Source == RegistrationSource.Config)
            return (null, Rejection.SetByConfiguration($"Services:{serviceName}:Instances ({instanceId})"));

        var leaving = instance with { Leaving = true, DepartureReason = reason };
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

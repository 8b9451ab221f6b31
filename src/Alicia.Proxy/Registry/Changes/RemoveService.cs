namespace Alicia.Proxy.Registry.Changes;

/// <summary>Deletes a service: no request is routed there any more, every instance drains, and the last to go takes the service with it.</summary>
internal sealed class RemoveService(string serviceName, Precondition precondition) : IRegistryChange<Service>
{
    public (Service? Value, Rejection? Rejection) Apply(RegistryDraft draft)
    {
        if (draft.Find(serviceName) is not { } service)
            return (null, Rejection.UnknownService(serviceName));
        if (service.Leaving)
            return (service, null);
        if (!precondition.Holds(service))
            return (null, new Rejection(RejectionKind.PreconditionFailed, $"Service '{serviceName}' is not at the revision that If-Match names."));
        if (service.InConfig)
            return (null, Rejection.SetByConfiguration($"Services:{serviceName}"));

        draft.Store(new StoreChange.DeleteService(serviceName));
        var leaving = service with { Leaving = true, Stored = false, Instances = [.. service.Instances.Select(i => i with { Leaving = true })] };
        if (leaving.Instances.IsEmpty)
            draft.Remove(serviceName);
        else
            draft.Put(leaving);
        return (leaving, null);
    }
}

namespace Alicia.Proxy.Registry.Changes;

/// <summary>Lets a pending instance into the rotation: it has passed its first probe, or is no longer probed.</summary>
internal sealed class AdmitInstance(string serviceName, long epoch) : IRegistryChange<bool>
{
    /// <returns>False when there is nothing to admit: the instance has left, or was admitted before.</returns>
    public (bool Value, Rejection? Rejection) Apply(RegistryDraft draft)
    {
        if (draft.Find(serviceName) is not { } service || service.Instances.FirstOrDefault(i => i.Epoch == epoch) is not { Leaving: false, Admitted: false } pending)
            return (false, null);
        var admitted = pending with { Admitted = true };
        if (admitted.Source != RegistrationSource.Config)
            draft.Store(new StoreChange.PutInstance(admitted));
        draft.Put(service with { Instances = service.Instances.Replace(pending, admitted) });
        return (true, null);
    }
}

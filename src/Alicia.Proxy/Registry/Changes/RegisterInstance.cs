using Alicia.Proxy.Registry.Settings;
using Alicia.Proxy.Registry.Validation;

namespace Alicia.Proxy.Registry.Changes;

/// <summary>What a registration came to.</summary>
/// <param name="Service">The service as it is now.</param>
/// <param name="Instance">The instance as it is now.</param>
/// <param name="Created">True for a new epoch, false when the instance was there already.</param>
/// <param name="Changed">False when the registration only repeated what was there.</param>
internal sealed record Registered(Service Service, Instance Instance, bool Created, bool Changed = true);

/// <summary>
/// Registers an instance, or renews and updates the one that is there. The same id at another address, or while the old one is leaving, is a new
/// instance with a new epoch.
/// </summary>
internal sealed class RegisterInstance(string serviceName, RegistrationRequest request, RegistrationSource source) : IRegistryChange<Registered>
{
    public (Registered? Value, Rejection? Rejection) Apply(RegistryDraft draft)
    {
        var faults = new FaultList();
        if (!Names.IsService(serviceName))
            faults.Add("service_name", "must be " + Names.ServiceRule);
        var valid = InstanceRules.Validate(request, draft.Snapshot.Rules, faults);
        if (valid is null)
            return (null, new Rejection(RejectionKind.Invalid, "The registration is not valid.", faults.ToErrors()));

        var service = draft.Find(serviceName);
        var existing = service?.Find(valid.InstanceId);
        if (existing is { Source: RegistrationSource.Config, Leaving: false })
            return (null, Rejection.SetByConfiguration($"Services:{serviceName}:Instances ({valid.InstanceId})"));
        if (existing is { Leaving: false } && LeavesSchemeOut(existing, valid))
            valid = valid with { Scheme = existing.Scheme };
        if (service is null && (service = draft.TryCreate(serviceName, out var rejection)) is null)
            return (null, rejection);
        if (service.Leaving)
        {
            // A registration brings a service that is on its way out back to life, with default settings; the old instances go on draining.
            service = service with { Leaving = false, Stored = true, ApiSettings = SettingOverrides.Empty, ApiRoutes = [], Revision = draft.NextRevision };
        }

        var keeps = existing is { Leaving: false } && existing.SameAddress(valid.Scheme, valid.Host, valid.Port);
        var instance = keeps ? Update(existing!, valid) : Create(draft, service, valid);
        var instances = existing is null ? service.Instances.Add(instance)
            : keeps ? service.Instances.Replace(existing, instance)
            : service.Instances.Remove(existing).Add(instance);
        if (keeps && instance == existing)
            return (new Registered(service, instance, Created: false, Changed: false), null);

        if (!service.Stored || draft.Find(serviceName) is not { Stored: true, Leaving: false })
            draft.StoreService(service = service with { Stored = true });
        draft.Store(new StoreChange.PutInstance(instance));
        draft.Put(service with { Instances = instances });
        draft.Snapshot.TryGet(serviceName, out service);
        return (new Registered(service!, instance, Created: !keeps), null);
    }

    private Instance Create(RegistryDraft draft, Service service, ValidRegistration valid) => Update(
        new Instance
        {
            Epoch = draft.NextRevision,
            ServiceName = serviceName,
            InstanceId = valid.InstanceId,
            Host = valid.Host,
            Port = valid.Port,
            Scheme = valid.Scheme,
            Protocol = valid.Protocol,
            RegisteredAt = draft.Now,
            Source = source,
            Admitted = !service.Probes(valid.Request.HealthCheck ?? SettingOverrides.Empty, draft.Snapshot.Rules),
        },
        valid);

    private static Instance Update(Instance instance, ValidRegistration valid)
    {
        var request = valid.Request;
        return instance with
        {
            Protocol = valid.NamesProtocol ? valid.Protocol : instance.Protocol,
            RegisteredWeight = request.Weight ?? instance.RegisteredWeight,
            MaxConnections = request.MaxConnections ?? instance.MaxConnections,
            TtlSeconds = request.TtlSeconds ?? instance.TtlSeconds,
            Priority = request.Priority ?? instance.Priority,
            HealthCheck = request.HealthCheck ?? instance.HealthCheck,
            Metadata = request.Metadata is { } pairs && !SameMetadata(instance, pairs) ? InstanceRules.ToMetadata(pairs) : instance.Metadata,
        };
    }

    /// <summary>True when the registration says nothing of the scheme, and so means the one that the instance at this host and port has.</summary>
    private static bool LeavesSchemeOut(Instance existing, ValidRegistration valid) =>
        valid.Request is { Scheme: null, Protocol: null or "http1" } && existing.SameAddress(existing.Scheme, valid.Host, valid.Port);

    private static bool SameMetadata(Instance instance, IReadOnlyDictionary<string, string> pairs) =>
        instance.Metadata.Count == pairs.Count && pairs.All(p => instance.Metadata.TryGetValue(p.Key, out var value) && value == p.Value);
}

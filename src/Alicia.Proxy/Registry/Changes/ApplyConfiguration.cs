using System.Collections.Immutable;
using Alicia.Proxy.Registry.Settings;
using Alicia.Proxy.Registry.Validation;

namespace Alicia.Proxy.Registry.Changes;

/// <summary>A service as configuration declares it.</summary>
/// <param name="Name">The service.</param>
/// <param name="Settings">Settings under <c>Services:{name}:</c>.</param>
/// <param name="Routes">Routes, or null when configuration names none.</param>
/// <param name="Instances">Static instances.</param>
internal sealed record StaticService(string Name, SettingOverrides Settings, IReadOnlyList<RouteRequest>? Routes, IReadOnlyList<RegistrationRequest> Instances);

/// <summary>
/// Lays configuration's rules, services, routes and instances over the registry, as a whole or, when anything in it is at fault, not at all.
/// What configuration no longer names leaves; what the API registered stays.
/// </summary>
internal sealed class ApplyConfiguration(RegistryRules rules, IReadOnlyList<StaticService> services) : IRegistryChange<bool>
{
    public (bool Value, Rejection? Rejection) Apply(RegistryDraft draft)
    {
        var faults = new FaultList();
        var declared = services.ToDictionary(s => s.Name, StringComparer.Ordinal);
        var revision = draft.NextRevision;
        var epoch = revision;
        var next = new List<Service>();
        foreach (var name in draft.Snapshot.Services.Keys.Union(declared.Keys, StringComparer.Ordinal))
        {
            var service = draft.Find(name) ?? new Service { Name = name, Revision = revision };
            // What the API had set went when the service was deleted; only what drains is still there.
            if (service.Leaving && declared.ContainsKey(name))
                service = service with { ApiSettings = SettingOverrides.Empty, ApiRoutes = [] };
            var laid = Lay(service, declared.GetValueOrDefault(name), revision, ref epoch, draft, faults);
            if (laid is not null)
                next.Add(laid);
        }

        // Epochs must be unique: the revision moves past the last one given out here.
        var snapshot = RegistrySnapshot.Of(epoch, rules, next);
        foreach (var service in declared.Keys)
        {
            if (snapshot.TryGet(service, out var found) && RouteCollisions.Find(snapshot, found) is { } collision)
                faults.Add($"Services:{service}:Routes", collision);
        }

        if (faults.Any)
            return (false, new Rejection(RejectionKind.Invalid, "The configuration is not valid.", faults.ToErrors()));
        draft.Replace(snapshot, mayWaitForStore: FirstAfterStart(draft));
        return (true, null);
    }

    private Service? Lay(Service service, StaticService? declared, long revision, ref long epoch, RegistryDraft draft, FaultList faults)
    {
        var key = $"Services:{service.Name}";
        var routes = declared?.Routes is { } given ? RouteRules.Validate(given, key + ":Routes", faults) : (ImmutableArray<DeclaredRoute>?)null;
        var instances = LayInstances(service, declared, ref epoch, draft, faults);
        var settings = declared?.Settings ?? SettingOverrides.Empty;
        var resolved = ServiceSettings.Resolve(rules.Defaults, service.ApiSettings, settings);
        if (declared is null && !service.Stored && instances.IsEmpty)
            return null;

        var laid = service with
        {
            ConfigSettings = settings,
            ConfigRoutes = routes,
            InConfig = declared is not null,
            // Dropped from configuration and never stored: it leaves when its last instance has.
            Leaving = declared is null && !service.Stored,
            Instances = instances,
            Settings = resolved,
        };
        // After a start the store has brought the revision that callers know, but the rules that it was resolved with are not those of before the stop.
        if (SameSettings(service, laid) || (FirstAfterStart(draft) && service.Stored))
            return laid;
        laid = laid with { Revision = revision };
        if (laid.Stored)
            draft.StoreService(laid);
        return laid;
    }

    private ImmutableArray<Instance> LayInstances(Service service, StaticService? declared, ref long epoch, RegistryDraft draft, FaultList faults)
    {
        var result = service.Instances.ToBuilder();
        var named = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < (declared?.Instances.Count ?? 0); i++)
        {
            var key = $"Services:{service.Name}:Instances:{i}";
            var own = new FaultList();
            if (InstanceRules.Validate(declared!.Instances[i], rules, own) is not { } valid)
            {
                foreach (var (field, message) in own.All)
                    faults.Add($"{key}:{field}", message);
                continue;
            }

            if (!named.Add(valid.InstanceId))
            {
                faults.Add($"{key}:instance_id", $"'{valid.InstanceId}' is declared twice");
                continue;
            }

            var existing = result.FirstOrDefault(x => x.InstanceId == valid.InstanceId);
            var keeps = existing is { Leaving: false } && existing.SameAddress(valid.Scheme, valid.Host, valid.Port) && existing.Source == RegistrationSource.Config;
            var instance = FromConfiguration(service.Name, valid, keeps ? existing!.Epoch : epoch++, keeps ? existing!.RegisteredAt : draft.Now) with
            {
                OperatorDrain = keeps && existing!.OperatorDrain,
            };
            // What stood in the file at start was there before the stop, as far as anybody knows; what comes by a reload is a newcomer.
            if (keeps ? existing!.Admitted : FirstAfterStart(draft) || !(service with { ConfigSettings = declared.Settings }).Probes(instance.HealthCheck, rules))
                instance = instance with { Admitted = true };
            // Configuration takes an id over from whoever registered it, for good.
            if (existing is { Source: not RegistrationSource.Config, Leaving: false })
                draft.Store(new StoreChange.DeleteInstance(service.Name, valid.InstanceId));
            if (existing is null)
                result.Add(instance);
            else
                result[result.IndexOf(existing)] = instance;
        }

        for (var i = 0; i < result.Count; i++)
        {
            if (result[i] is { Source: RegistrationSource.Config, Leaving: false } gone && !named.Contains(gone.InstanceId))
                result[i] = gone with { Leaving = true };
        }

        return result.ToImmutable();
    }

    private static bool FirstAfterStart(RegistryDraft draft) => ReferenceEquals(draft.Snapshot.Rules, RegistryRules.BeforeConfiguration);

    private static Instance FromConfiguration(string service, ValidRegistration valid, long epoch, DateTimeOffset registeredAt) => new()
    {
        Epoch = epoch,
        ServiceName = service,
        InstanceId = valid.InstanceId,
        Host = valid.Host,
        Port = valid.Port,
        Scheme = valid.Scheme,
        Protocol = valid.Protocol,
        RegisteredWeight = valid.Request.Weight ?? 1,
        MaxConnections = valid.Request.MaxConnections,
        Priority = valid.Request.Priority ?? 0,
        HealthCheck = valid.Request.HealthCheck ?? SettingOverrides.Empty,
        Metadata = InstanceRules.ToMetadata(valid.Request.Metadata ?? ImmutableDictionary<string, string>.Empty),
        RegisteredAt = registeredAt,
        Source = RegistrationSource.Config,
    };

    private static bool SameSettings(Service before, Service after) =>
        before.Routes.AsSpan().SequenceEqual(after.Routes.AsSpan())
        && SettingKeys.All.All(key => key.Codec.ToText(before.Settings.Get(key)) == key.Codec.ToText(after.Settings.Get(key)));
}

using System.Collections.Immutable;
using Alicia.Proxy.Registry.Settings;
using Alicia.Proxy.Registry.Validation;

namespace Alicia.Proxy.Registry.Changes;

/// <summary>What a caller says of a service's settings. Null values take a setting away.</summary>
/// <param name="Settings">Keys that were given, with their parsed value.</param>
/// <param name="Cleared">Keys that were given as JSON null.</param>
/// <param name="Routes">Routes, or null when they were left out.</param>
internal sealed record ServiceEdit(SettingOverrides Settings, IReadOnlyList<SettingKey> Cleared, IReadOnlyList<RouteRequest>? Routes);

/// <summary>A caller's conditions: <c>If-Match</c> revisions ("*" is any), <c>If-None-Match: *</c>.</summary>
internal sealed record Precondition(IReadOnlyList<long>? Revisions, bool MustExist, bool MustNotExist)
{
    public static readonly Precondition None = new(null, false, false);

    public bool Holds(Service? service) =>
        (!MustExist || service is not null) && (!MustNotExist || service is null) && (Revisions is null || (service is not null && Revisions.Contains(service.Revision)));
}

/// <summary>What a change of a service came to.</summary>
internal sealed record ServiceChanged(Service Service, bool Created);

/// <summary>Creates a service or changes its settings and routes; instances are untouched. PUT replaces what the API had set, PATCH adds to it.</summary>
internal sealed class ChangeService(string serviceName, ServiceEdit edit, bool replace, Precondition precondition) : IRegistryChange<ServiceChanged>
{
    public (ServiceChanged? Value, Rejection? Rejection) Apply(RegistryDraft draft)
    {
        if (!Names.IsService(serviceName))
        {
            var names = new FaultList();
            names.Add("service_name", "must be " + Names.ServiceRule);
            return (null, new Rejection(RejectionKind.Invalid, "The service name is not valid.", names.ToErrors()));
        }

        var found = draft.Find(serviceName) is { Leaving: false } alive ? alive : null;
        if (!precondition.Holds(found))
            return (null, new Rejection(RejectionKind.PreconditionFailed, precondition.MustNotExist && found is not null
                ? $"Service '{serviceName}' is there already."
                : $"Service '{serviceName}' is not at the revision that If-Match names."));
        if (found is null && !replace)
            return (null, Rejection.UnknownService(serviceName));
        var service = found;
        if (service is null && (service = Create(draft, out var rejection)) is null)
            return (null, rejection);
        if (ReadOnlyKey(service) is { } key)
            return (null, Rejection.SetByConfiguration(key));

        var faults = new FaultList();
        var routes = edit.Routes is null ? (ImmutableArray<DeclaredRoute>?)null : RouteRules.Validate(edit.Routes, "routes", faults);
        var settings = replace ? SettingOverrides.Empty : service.ApiSettings;
        foreach (var cleared in edit.Cleared)
            settings = settings.Without(cleared);
        foreach (var given in edit.Settings.Keys)
            settings = edit.Settings.TryGet(given, out var value) ? settings.With(given, value) : settings;
        foreach (var (crossKey, fault) in ServiceSettings.Resolve(draft.Snapshot.Rules.Defaults, settings, service.ConfigSettings).CrossFaults())
            faults.Add(crossKey.WirePath, fault);
        if (edit.Settings.TryGet(SettingKeys.TlsProfile, out var profile) && profile is string named && !draft.Snapshot.Rules.TlsProfiles.Contains(named))
            faults.Add(SettingKeys.TlsProfile.WirePath, $"there is no profile '{named}': the proxy's configuration names them below Tls:Instances");
        if (faults.Any)
            return (null, new Rejection(RejectionKind.Invalid, "The settings are not valid.", faults.ToErrors()));

        var changed = service with
        {
            ApiSettings = settings,
            ApiRoutes = routes ?? (replace ? [] : service.ApiRoutes),
            Stored = true,
            Revision = draft.NextRevision,
        };
        if (RouteCollisions.Find(draft.Snapshot, changed) is { } collision)
            return (null, new Rejection(RejectionKind.Conflict, collision));
        draft.StoreService(changed);
        draft.Put(changed);
        draft.Snapshot.TryGet(serviceName, out var result);
        return (new ServiceChanged(result!, Created: found is null), null);
    }

    private Service? Create(RegistryDraft draft, out Rejection? rejection)
    {
        rejection = null;
        // What is still draining under the name of a deleted service keeps draining.
        return draft.Find(serviceName) is { } leaving
            ? leaving with { Leaving = false, ApiSettings = SettingOverrides.Empty, ApiRoutes = [] }
            : draft.TryCreate(serviceName, out rejection);
    }

    /// <summary>The configuration key of something that configuration sets and the caller wants to be different, or null.</summary>
    private string? ReadOnlyKey(Service service)
    {
        if (edit.Routes is not null && service.ConfigRoutes is not null)
            return $"Services:{serviceName}:Routes";
        foreach (var key in service.ConfigSettings.Keys)
        {
            var given = edit.Settings.TryGet(key, out var value);
            service.ConfigSettings.TryGet(key, out var configured);
            if (edit.Cleared.Contains(key) || (given && !SameValue(key, value, configured)))
                return $"Services:{serviceName}:{key.ConfigPath}";
        }

        return null;
    }

    private static bool SameValue(SettingKey key, object? a, object? b) => key.Codec.ToText(a) == key.Codec.ToText(b);
}

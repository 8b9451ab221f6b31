using Alicia.Proxy.Registry.Changes;

namespace Alicia.Proxy.Api;

/// <summary>Says in a few words what a request changes, for the audit log.</summary>
internal static class Changes
{
    /// <summary>Settings with their values, and the number of routes.</summary>
    public static string Of(ServiceEdit edit)
    {
        var parts = new List<string>();
        foreach (var key in edit.Settings.Keys)
        {
            edit.Settings.TryGet(key, out var value);
            parts.Add($"{key.WirePath}={key.Codec.ToShownText(value)}");
        }

        parts.AddRange(edit.Cleared.Select(key => $"{key.WirePath} by default"));
        if (edit.Routes is { } routes)
            parts.Add(routes.Count == 0 ? "no routes" : "routes " + string.Join(", ", routes.Select(r => string.Join(' ', r.Hosts ?? []) + r.Path)));
        return parts.Count == 0 ? "nothing given" : string.Join(", ", parts);
    }

    /// <summary>The given fields; of metadata only the keys.</summary>
    public static string Of(InstancePatch patch)
    {
        var parts = new List<string>();
        if (patch.Weight.Given)
            parts.Add($"weight={patch.Weight.Value?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "as registered"}");
        if (patch.MaxConnections.Given)
            parts.Add($"max_connections={patch.MaxConnections.Value?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "by default"}");
        if (patch.State.Given)
            parts.Add($"state={patch.State.Value}");
        if (patch.Metadata.Given)
            parts.Add(patch.Metadata.Value is { } pairs ? "metadata " + string.Join(' ', pairs.Keys) : "no metadata");
        return parts.Count == 0 ? "nothing given" : string.Join(", ", parts);
    }
}

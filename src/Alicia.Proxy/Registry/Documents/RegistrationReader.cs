using System.Text.Json;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Registry.Documents;

/// <summary>
/// Reads a registration's fields, whichever way the document came: over REST or over the bus. What is of the wrong type is noted; what it means is the
/// validation's business, and whether a field too many is a fault is the caller's.
/// </summary>
internal static class RegistrationReader
{
    public static RegistrationRequest Read(WireObject body) => new()
    {
        InstanceId = body.Text("instance_id"),
        Host = body.Text("host"),
        Port = body.Integer("port"),
        Scheme = body.Text("scheme"),
        Protocol = body.Text("protocol"),
        Weight = body.Integer("weight"),
        MaxConnections = body.Integer("max_connections"),
        TtlSeconds = body.Integer("ttl_seconds"),
        Priority = body.Integer("priority"),
        HealthCheck = HealthCheck(body),
        Metadata = body.Pairs("metadata", nullRemoves: false)?.Where(p => p.Value is not null).ToDictionary(p => p.Key, p => p.Value!, StringComparer.Ordinal),
    };

    private static SettingOverrides? HealthCheck(WireObject body)
    {
        if (body.Object("health_check") is not { } probes)
            return null;
        var given = SettingOverrides.Empty;
        ReadSettings(probes, SettingKeys.HealthCheck, 1, ref given, []);
        probes.RejectUnknown();
        return given;
    }

    /// <summary>Reads the keys that sit <paramref name="depth"/> levels below their wire path's beginning, groups and all.</summary>
    public static void ReadSettings(WireObject json, IEnumerable<SettingKey> keys, int depth, ref SettingOverrides given, List<SettingKey> cleared)
    {
        foreach (var group in keys.GroupBy(k => k.WireSegments[depth], StringComparer.Ordinal))
        {
            if (!json.TryTake(group.Key, out var value))
                continue;
            var leaf = group.FirstOrDefault(k => k.WireSegments.Count == depth + 1);
            if (value.ValueKind == JsonValueKind.Null)
            {
                cleared.AddRange(group);
            }
            else if (leaf is null)
            {
                if (json.Object(group.Key) is not { } nested)
                    continue;
                ReadSettings(nested, group, depth + 1, ref given, cleared);
                nested.RejectUnknown();
            }
            else if (given.Contains(leaf))
            {
                json.Faults.Add(leaf.WirePath, "is given twice, at the top level and under settings");
            }
            else if (TryParse(leaf, value, out var parsed))
            {
                given = given.With(leaf, parsed);
            }
            else
            {
                json.Faults.Add(leaf.WirePath, "must be " + leaf.Codec.Rule);
            }
        }
    }

    private static bool TryParse(SettingKey key, JsonElement value, out object? parsed)
    {
        try
        {
            return key.Codec.TryParseJson(value, out parsed);
        }
        catch (InvalidOperationException)
        {
            // Half a surrogate pair.
            parsed = null;
            return false;
        }
    }
}

using System.Text.Json;
using System.Text.Json.Nodes;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Api;

/// <summary>A service as the API shows it.</summary>
internal sealed record ServiceDocument
{
    public required string ServiceName { get; init; }

    public required string Algorithm { get; init; }

    public required IReadOnlyList<InstanceDocument> Instances { get; init; }

    public required int HealthyCount { get; init; }

    public required int TotalCount { get; init; }

    /// <summary>Every setting in force, under its wire name; null is "none".</summary>
    public required JsonObject Settings { get; init; }

    public required IReadOnlyList<RouteDocument> Routes { get; init; }

    public required ServiceCounters Stats { get; init; }

    /// <summary>Revision of settings and routes; also the ETag.</summary>
    public required long Revision { get; init; }

    public static ServiceDocument Of(Service service, LiveTable lives, GateTable gates, ProcessClock clock)
    {
        var instances = service.Instances.Select(i => InstanceDocument.Of(service, i, lives, gates)).ToArray();
        return new ServiceDocument
        {
            ServiceName = service.Name,
            Algorithm = service.Settings.Get(SettingKeys.Algorithm),
            Instances = instances,
            HealthyCount = instances.Count(i => i.HealthStatus == "healthy"),
            TotalCount = instances.Length,
            Settings = SettingsObject(service.Settings),
            Routes = [.. service.Routes.Select(r => new RouteDocument(r.Hosts, r.Path, r.StripPrefix))],
            Stats = ServiceCounters.Of(lives.Read(service.Name), clock),
            Revision = service.Revision,
        };
    }

    private static JsonObject SettingsObject(ServiceSettings settings)
    {
        var root = new JsonObject();
        foreach (var key in SettingKeys.All)
        {
            var parent = root;
            foreach (var group in key.WireSegments.SkipLast(1))
                parent = (JsonObject)(parent[group] ??= new JsonObject());
            parent[key.WireSegments[^1]] = Node(key, settings.Get(key));
        }

        return root;
    }

    private static JsonNode? Node(SettingKey key, object? value)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
            key.Codec.WriteShown(writer, value);
        return JsonNode.Parse(buffer.ToArray());
    }
}

/// <summary>A declared route as the API shows it.</summary>
internal sealed record RouteDocument(IReadOnlyList<string>? Hosts = null, string? Path = null, string? StripPrefix = null);

/// <summary>Counters of one service: totals since start, rates and times of the last minute. <c>p99</c> is null without a response.</summary>
internal sealed record ServiceCounters(long TotalRequests, long FailedRequests, long RejectedRequests, long AbortedRequests, long ActiveConnections,
    double AverageResponseTime, double RequestsPerSecond, double? P99)
{
    public static ServiceCounters Of(ServiceLive live, ProcessClock clock)
    {
        var recent = live.Recent.Read();
        return new ServiceCounters(live.TotalRequests, live.FailedRequests, live.RejectedRequests, live.AbortedRequests, live.ActiveConnections,
            recent.Average ?? 0, Math.Round(recent.Requests / clock.RecentSeconds, 3), recent.Percentile(0.99));
    }
}

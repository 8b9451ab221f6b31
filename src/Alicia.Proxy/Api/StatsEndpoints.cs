using Alicia.Proxy.Circuit;
using Alicia.Proxy.Configuration;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Settings;
using Alicia.Proxy.Security;

namespace Alicia.Proxy.Api;

/// <summary>Counters since start and figures of the last minute.</summary>
internal static class StatsEndpoints
{
    public static void MapStats(this IEndpointRouteBuilder api)
    {
        api.MapMethods("/stats", ["GET", "HEAD"], All)
            .WithMetadata(new RequiredScope(ApiScopes.Read))
            .WithName("GetStats").WithTags("Statistics").WithSummary("Counters of the proxy and of every service").Produces<StatsDocument>();
        api.MapMethods("/stats/{service}", ["GET", "HEAD"], One)
            .WithMetadata(new RequiredScope(ApiScopes.Read))
            .WithName("GetServiceStats").WithTags("Statistics").WithSummary("Counters, latencies and shares of one service").Produces<ServiceStatsDocument>().Refuses(404);
    }

    private static IResult All(HttpContext context, RegistryAccess access) =>
        Results.Json(StatsDocument.Of(access.Registry.Snapshot, access.Lives, access.Clock, name => VisibleServices.Shows(context, name)), Wire.Json);

    private static IResult One(string service, RegistryAccess access) => access.Registry.Snapshot.TryGet(service, out var found)
        ? Results.Json(ServiceStatsDocument.Of(found, access.Lives, access.Gates, access.Clock), Wire.Json)
        : Problems.Of(Rejection.UnknownService(service));
}

/// <summary>The proxy in numbers. Totals include removed instances and services.</summary>
internal sealed record StatsDocument(int TotalServices, int TotalInstances, int HealthyInstances, int UnhealthyInstances, long TotalRequests, long FailedRequests,
    long RejectedRequests, long AbortedRequests, long ActiveConnections, double AverageResponseTime, double RequestsPerSecond, double Uptime, DateTimeOffset Timestamp,
    IReadOnlyDictionary<string, ServiceCounters> Services)
{
    public static StatsDocument Of(RegistrySnapshot snapshot, LiveTable lives, ProcessClock clock, Func<string, bool> shows)
    {
        var services = snapshot.Services.Values.Where(s => shows(s.Name)).OrderBy(s => s.Name, StringComparer.Ordinal).ToArray();
        var recent = new RecentReading();
        // No service has this name: it is shown to who may see all of them, and so what is gone is told to nobody else.
        var gone = shows("") ? lives.Gone : default;
        var (total, failed, rejected, aborted, active) = (gone.Requests, gone.Failed, gone.Rejected, gone.Aborted, 0L);
        foreach (var live in lives.Services.Where(s => shows(s.Name)))
        {
            total += live.TotalRequests;
            failed += live.FailedRequests;
            rejected += live.RejectedRequests;
            aborted += live.AbortedRequests;
            active += live.ActiveConnections;
            recent.Add(live.Recent.Read());
        }

        return new StatsDocument(
            services.Length, services.Sum(s => s.Instances.Length), services.Sum(s => Count(s, lives, HealthStatus.Healthy)), services.Sum(s => Count(s, lives, HealthStatus.Unhealthy)), total, failed, rejected, aborted, active,
            recent.Average ?? 0, Math.Round(recent.Requests / clock.RecentSeconds, 3), clock.Uptime.TotalSeconds, clock.Now,
            services.ToDictionary(s => s.Name, s => ServiceCounters.Of(lives.Read(s.Name), clock), StringComparer.Ordinal));
    }

    /// <summary>Instances of a service with that verdict of their probes.</summary>
    public static int Count(Service service, LiveTable lives, HealthStatus health) =>
        service.Instances.Count(i => lives.TryGet(i.Epoch, out var live) && live.Health == health);
}

/// <summary>One service in numbers, with a row per instance. Percentiles are seconds over the last minute, null without a response.</summary>
internal sealed record ServiceStatsDocument(string ServiceName, string Algorithm, int TotalInstances, int HealthyInstances, int UnhealthyInstances, long TotalRequests,
    long FailedRequests, long RejectedRequests, long AbortedRequests, long ActiveConnections, double AverageResponseTime, double? P50, double? P90, double? P99,
    double RequestsPerSecond, double Uptime, DateTimeOffset Timestamp, long Retries, QueueDocument Queue, IReadOnlyList<InstanceShareDocument> Instances)
{
    public static ServiceStatsDocument Of(Service service, LiveTable lives, GateTable gates, ProcessClock clock)
    {
        var live = lives.Read(service.Name);
        var counters = ServiceCounters.Of(live, clock);
        var recent = live.Recent.Read();
        return new ServiceStatsDocument(
            service.Name, service.Settings.Get(SettingKeys.Algorithm), service.Instances.Length,
            StatsDocument.Count(service, lives, HealthStatus.Healthy), StatsDocument.Count(service, lives, HealthStatus.Unhealthy), counters.TotalRequests, counters.FailedRequests,
            counters.RejectedRequests, counters.AbortedRequests, counters.ActiveConnections, counters.AverageResponseTime, recent.Percentile(0.5), recent.Percentile(0.9),
            recent.Percentile(0.99), counters.RequestsPerSecond, clock.Uptime.TotalSeconds, clock.Now, live.Retries, QueueDocument.Of(live), InstanceShareDocument.Of(service, lives, gates));
    }
}

/// <summary>Requests that wait because every instance is at its cap.</summary>
/// <param name="Depth">How many wait now.</param>
/// <param name="Waited">Those whose wait is over, whatever came of it.</param>
/// <param name="Seconds">Their waits together.</param>
internal sealed record QueueDocument(int Depth, long Waited, double Seconds)
{
    public static QueueDocument Of(ServiceLive live) => new(live.Waiters?.Depth ?? 0, live.Waiters?.Waits ?? 0, live.Waiters?.WaitSeconds ?? 0);
}

/// <summary>What one instance should get and what it got.</summary>
/// <param name="InstanceId">The instance.</param>
/// <param name="Weight">Its weight.</param>
/// <param name="ExpectedShare">Share by weight among the instances that requests go to now, 0–1; 0 for one that is pending, draining, unhealthy, out by its circuit, or a backup that is not
/// needed. Round robin ignores weights. One that warms up is due less.</param>
/// <param name="ReceivedShare">Share of the attempts that the listed instances have had since they were registered, 0–1.</param>
/// <param name="TotalRequests">Attempts since it was registered.</param>
/// <param name="FailedRequests">Those that failed.</param>
/// <param name="ActiveConnections">In flight now.</param>
/// <param name="ResponseTime">Moving average in seconds, null before the first response.</param>
internal sealed record InstanceShareDocument(string InstanceId, int Weight, double ExpectedShare, double ReceivedShare, long TotalRequests, long FailedRequests,
    int ActiveConnections, double? ResponseTime)
{
    public static IReadOnlyList<InstanceShareDocument> Of(Service service, LiveTable lives, GateTable gates)
    {
        var weighted = service.Settings.Get(SettingKeys.Algorithm) != "round_robin";
        bool Usable(Instance i) => i.InRotation && gates.TryGet(i.Epoch, out var gate) && gate.Standing == GateStanding.Usable;
        var first = service.Instances.Where(Usable).Select(i => i.Priority).DefaultIfEmpty().Min();
        double WeightOf(Instance i) => i.Priority != first || !Usable(i) ? 0 : (weighted ? i.Weight : 1) * (lives.Read(i.Epoch).WarmShare ?? 1);
        var totalWeight = service.Instances.Sum(WeightOf);
        var rows = service.Instances.Select(i => (Instance: i, Live: lives.Read(i.Epoch))).ToArray();
        var totalRequests = rows.Sum(r => r.Live.TotalRequests);
        return [.. rows.Select(r => new InstanceShareDocument(
            r.Instance.InstanceId,
            r.Instance.Weight,
            totalWeight == 0 ? 0 : WeightOf(r.Instance) / totalWeight,
            totalRequests == 0 ? 0 : (double)r.Live.TotalRequests / totalRequests,
            r.Live.TotalRequests,
            r.Live.FailedRequests,
            r.Live.InFlight,
            double.IsNaN(r.Live.ResponseTime) ? null : r.Live.ResponseTime))];
    }
}

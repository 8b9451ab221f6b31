using System.Reflection;
using Alicia.Proxy.Bus;
using Alicia.Proxy.Configuration;
using Alicia.Proxy.Health;
using Alicia.Proxy.Security;

namespace Alicia.Proxy.Api;

/// <summary>Whether the proxy can serve, for people and orchestrators. Needs no key.</summary>
internal static class HealthEndpoints
{
    /// <summary>The program's version, as <c>--version</c> has it.</summary>
    public static string Version { get; } =
        typeof(HealthEndpoints).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;

    public static void MapHealth(this IEndpointRouteBuilder api)
    {
        api.MapMethods("/health", ["GET", "HEAD"], Health)
            .WithMetadata(new RequiredScope(ApiScopes.None))
            .WithName("GetHealth").WithTags("Health").WithSummary("State of the proxy; 503 only when it cannot serve").Produces<HealthDocument>().Produces<HealthDocument>(503);
        api.MapMethods("/health/live", ["GET", "HEAD"], () => Results.Json(new { Status = "alive" }, Wire.Json))
            .WithMetadata(new RequiredScope(ApiScopes.None))
            .WithName("GetLiveness").WithTags("Health").WithSummary("The process answers").Produces(200);
        api.MapMethods("/health/ready", ["GET", "HEAD"], Ready)
            .WithMetadata(new RequiredScope(ApiScopes.None))
            .WithName("GetReadiness").WithTags("Health").WithSummary("Registry loaded, instances probed once (or 3 seconds over), not shutting down").Produces(200).Refuses(503);
    }

    private static IResult Health(HealthReport report)
    {
        var document = report.Now();
        return Results.Json(document, Wire.Json, statusCode: document.Status == HealthReport.Unhealthy ? 503 : 200);
    }

    private static IResult Ready(Readiness readiness) => readiness.Ready
        ? Results.Json(new { Status = "ready" }, Wire.Json)
        : Problems.Of(StatusCodes.Status503ServiceUnavailable, readiness.ShuttingDown ? "The proxy is shutting down." : "The proxy is starting.", retryAfter: 1);
}

/// <summary>State of the proxy.</summary>
/// <param name="ServiceName">Always <c>load_balancer</c>, the name under which the system knows the proxy.</param>
/// <param name="Status"><c>healthy</c>, <c>degraded</c> (serving, with trouble elsewhere) or <c>unhealthy</c>.</param>
/// <param name="Uptime">Seconds since start.</param>
/// <param name="Version">Version of the program.</param>
/// <param name="MqttConnected">Whether the broker has the proxy's subscriptions.</param>
/// <param name="Registry"><c>ok</c>, or <c>read_only</c> while the store cannot be written.</param>
/// <param name="Timestamp">Now.</param>
/// <param name="Reasons">What is wrong, in words.</param>
internal sealed record HealthDocument(string ServiceName, string Status, double Uptime, string Version, bool MqttConnected, string Registry, DateTimeOffset Timestamp,
    IReadOnlyList<string> Reasons);

/// <summary>How the proxy is, for whoever asks: over REST or over the bus.</summary>
internal sealed class HealthReport(RegistryAccess access, Readiness readiness, LeaseBook leases, BusConnection bus)
{
    public const string Unhealthy = "unhealthy";

    public HealthDocument Now()
    {
        var reasons = new List<string>();
        if (access.Registry.StoreFailing)
            reasons.Add("the registry's store cannot be written");
        if (access.Publisher.Failing)
            reasons.Add("routing does not follow the registry");
        if (leases.Held > 0)
            reasons.Add(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{leases.Held} leases that ran out are held: too many at once"));
        if (bus is { Configured: true, Connected: false })
            reasons.Add("the message bus is not connected");
        if (readiness.ShuttingDown)
            reasons.Add("shutting down");
        var status = readiness.ShuttingDown ? Unhealthy : reasons.Count > 0 ? "degraded" : "healthy";
        return new HealthDocument("load_balancer", status, access.Clock.Uptime.TotalSeconds, HealthEndpoints.Version, bus.Connected,
            access.Registry.StoreFailing ? "read_only" : "ok", access.Clock.Now, reasons);
    }
}

/// <summary>Whether new traffic should be sent here.</summary>
internal sealed class Readiness
{
    private volatile bool _started;
    private volatile bool _shuttingDown;

    public bool Ready => _started && !_shuttingDown;

    public bool ShuttingDown => _shuttingDown;

    /// <summary>Requests are routed by the registry, and its instances have been probed or had their time.</summary>
    public void Started() => _started = true;

    /// <summary>The process was told to end.</summary>
    public void Leaving() => _shuttingDown = true;
}

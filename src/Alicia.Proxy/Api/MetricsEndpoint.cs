using Alicia.Proxy.Configuration;
using Alicia.Proxy.Security;
using Alicia.Proxy.Telemetry;

namespace Alicia.Proxy.Api;

/// <summary>The page that Prometheus scrapes. Who may read it is <c>Metrics:Public</c>'s to say.</summary>
internal static class MetricsEndpoint
{
    public static void MapMetrics(this IEndpointRouteBuilder api)
    {
        var pipeline = api.ServiceProvider.GetRequiredService<MetricPipeline>();
        api.MapMethods("/metrics", ["GET", "HEAD"], (Delegate)((HttpContext context) => pipeline.ServeAsync(context)))
            .WithMetadata(new RequiredScope(ApiScopes.Read), OpenWhenMetricsArePublic.Metadata)
            .WithName("GetMetrics").WithTags("Statistics").WithSummary("Metrics in Prometheus's text format, or in OpenMetrics when asked for")
            .Produces(200, contentType: "text/plain", additionalContentTypes: "application/openmetrics-text");
    }
}

using OpenTelemetry.Exporter;
using OpenTelemetry.Resources;

namespace Alicia.Proxy.Telemetry;

/// <summary>Where and as whom signals are sent over OTLP: one place for metrics and whatever else is exported.</summary>
internal static class OtlpTarget
{
    /// <summary>The port that is registered for OTLP over gRPC; any other is taken for HTTP.</summary>
    private const int GrpcPort = 4317;

    /// <summary>How long one export may take unless OpenTelemetry's variable says otherwise; the last one is waited for when the proxy stops.</summary>
    private const int TimeoutMilliseconds = 3000;

    /// <summary>Points an exporter at <c>Otlp:Endpoint</c>. The protocol is the one that OpenTelemetry's own environment variables name, else the port's.</summary>
    /// <param name="options">The exporter's; its other values have come from OpenTelemetry's environment variables.</param>
    /// <param name="endpoint">Base address; over HTTP the signal's path is put behind it.</param>
    /// <param name="signal"><c>metrics</c> or <c>traces</c>.</param>
    public static void Apply(OtlpExporterOptions options, Uri endpoint, string signal)
    {
        if (Environment.GetEnvironmentVariable("OTEL_EXPORTER_OTLP_TIMEOUT") is null)
            options.TimeoutMilliseconds = TimeoutMilliseconds;
        var named = Environment.GetEnvironmentVariable($"OTEL_EXPORTER_OTLP_{signal.ToUpperInvariant()}_PROTOCOL")
            ?? Environment.GetEnvironmentVariable("OTEL_EXPORTER_OTLP_PROTOCOL");
        var grpc = named switch
        {
            "grpc" => true,
            "http/protobuf" => false,
            _ => endpoint.Port == GrpcPort,
        };
        options.Protocol = grpc ? OtlpExportProtocol.Grpc : OtlpExportProtocol.HttpProtobuf;
        options.Endpoint = grpc ? endpoint : new Uri($"{endpoint.AbsoluteUri.TrimEnd('/')}/v1/{signal}");
    }

    /// <summary>Who sends: the name under which the system knows the proxy, and its version; what <c>OTEL_SERVICE_NAME</c> and <c>OTEL_RESOURCE_ATTRIBUTES</c> say wins.</summary>
    public static ResourceBuilder Describe(string version) =>
        ResourceBuilder.CreateEmpty().AddTelemetrySdk().AddService("load_balancer", serviceVersion: version).AddEnvironmentVariableDetector();
}

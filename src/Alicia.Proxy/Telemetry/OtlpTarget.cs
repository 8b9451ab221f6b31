using OpenTelemetry.Exporter;
using OpenTelemetry.Resources;

namespace Alicia.Proxy.Telemetry;

/// <summary>Where and as whom signals are sent over OTLP: one place for metrics and whatever else is exported.</summary>
internal static class OtlpTarget
{
    /// <summary>The port that is registered for OTLP over gRPC; any other is taken for HTTP.</summary>
    private const int GrpcPort = 4317;

    /// <summary>How long one export may take; the last one is waited for when the proxy stops.</summary>
    private const int TimeoutMilliseconds = 3000;

    /// <summary>Points an exporter at <c>Otlp:Endpoint</c>.</summary>
    /// <param name="options">The exporter's.</param>
    /// <param name="endpoint">Base address; over HTTP the signal's path is put behind it.</param>
    /// <param name="signal"><c>metrics</c> or <c>traces</c>.</param>
    public static void Apply(OtlpExporterOptions options, Uri endpoint, string signal)
    {
        options.TimeoutMilliseconds = TimeoutMilliseconds;
        var grpc = endpoint.Port == GrpcPort;
        options.Protocol = grpc ? OtlpExportProtocol.Grpc : OtlpExportProtocol.HttpProtobuf;
        options.Endpoint = grpc ? endpoint : new Uri($"{endpoint.AbsoluteUri.TrimEnd('/')}/v1/{signal}");
    }

    /// <summary>Who sends: the name under which the system knows the proxy, and its version.</summary>
    public static ResourceBuilder Describe(string version) => ResourceBuilder.CreateEmpty().AddService("load_balancer", serviceVersion: version);
}

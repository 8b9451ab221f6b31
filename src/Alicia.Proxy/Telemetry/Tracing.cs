using Alicia.Proxy.Configuration;
using Alicia.Proxy.Forwarding;
using Microsoft.Extensions.Primitives;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Trace;

namespace Alicia.Proxy.Telemetry;

/// <summary>
/// Sends spans over OTLP while <c>Otlp:Endpoint</c> is set. Otherwise nobody listens, no span is made, and trace fields go through as they came. Which traces are recorded
/// is the caller's decision where it made one; OpenTelemetry's own environment variables may set another sampler.
/// </summary>
internal sealed class Tracing : IDisposable
{
    /// <summary>How long the last spans may take to be sent: a receiver that does not answer must not hold up a stop.</summary>
    private const int FarewellMilliseconds = 1000;

    private readonly CurrentConfiguration _configuration;
    private readonly string _version;
    private readonly ILogger<Tracing> _logger;
    private readonly Lock _lock = new();
    private readonly IDisposable _watch;
    private TracerProvider? _provider;
    private Uri? _endpoint;
    private bool _disposed;

    public Tracing(CurrentConfiguration configuration, string version, ILogger<Tracing> logger)
    {
        (_configuration, _version, _logger) = (configuration, version, logger);
        _watch = ChangeToken.OnChange(() => _configuration.ChangeToken, Follow);
        Follow();
    }

    /// <summary>True while spans are made.</summary>
    public bool IsOn => Volatile.Read(ref _provider) is not null;

    public void Dispose()
    {
        _watch.Dispose();
        lock (_lock)
        {
            _disposed = true;
            End_NeedsLock();
        }
    }

    private void Follow()
    {
        lock (_lock)
        {
            var endpoint = _configuration.Value.OtlpEndpoint;
            if (_disposed || endpoint == _endpoint)
                return;
            End_NeedsLock();
            _endpoint = endpoint;
            if (endpoint is not null)
                Volatile.Write(ref _provider, Open(endpoint));
        }
    }

    private TracerProvider Open(Uri endpoint)
    {
        var options = new OtlpExporterOptions();
        OtlpTarget.Apply(options, endpoint, "traces");
        // Its defaults come from OpenTelemetry's environment variables.
        var batch = new BatchExportActivityProcessorOptions();
        return Sdk.CreateTracerProviderBuilder()
            .SetResourceBuilder(OtlpTarget.Describe(_version))
            .AddSource(RequestSpans.SourceName)
            .AddProcessor(new BatchActivityExportProcessor(
                new TraceExporter(options, endpoint, _logger), batch.MaxQueueSize, batch.ScheduledDelayMilliseconds, batch.ExporterTimeoutMilliseconds, batch.MaxExportBatchSize))
            .Build();
    }

    private void End_NeedsLock()
    {
        if (_provider is not { } provider)
            return;
        Volatile.Write(ref _provider, null);
        provider.Shutdown(FarewellMilliseconds);
        provider.Dispose();
    }
}

/// <summary>OpenTelemetry's exporter, which speaks of failures to nobody who listens; this one says once that the receiver is away, and once that it is back.</summary>
internal sealed partial class TraceExporter(OtlpExporterOptions options, Uri endpoint, ILogger logger) : OtlpTraceExporter(options)
{
    private bool _failing;

    /// <summary>Called by one thread, the batch's.</summary>
    public override ExportResult Export(in Batch<System.Diagnostics.Activity> activityBatch)
    {
        var result = base.Export(activityBatch);
        var failed = result != ExportResult.Success;
        if (failed != _failing)
        {
            _failing = failed;
            if (failed)
                LogLost(logger, endpoint.GetLeftPart(UriPartial.Path));
            else
                LogBack(logger, endpoint.GetLeftPart(UriPartial.Path));
        }

        return result;
    }

    [LoggerMessage(LogLevel.Warning, "Traces cannot be sent to {Endpoint} and are dropped until they can; requests go on. Said once")]
    private static partial void LogLost(ILogger logger, string endpoint);

    [LoggerMessage(LogLevel.Information, "Traces can be sent to {Endpoint} again")]
    private static partial void LogBack(ILogger logger, string endpoint);
}

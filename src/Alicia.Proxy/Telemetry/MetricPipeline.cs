using System.Diagnostics.Metrics;
using Alicia.Proxy.Configuration;
using OpenTelemetry;
using OpenTelemetry.Metrics;

namespace Alicia.Proxy.Telemetry;

/// <summary>
/// From the instruments to whoever reads them: the page that Prometheus scrapes, and OTLP where it is configured. An OpenTelemetry provider lives as long as it has room for
/// every series (<see cref="SeriesRoom"/>) and its configuration stands; then another takes its place. Counters go on from the live objects; the histogram, the only thing that
/// a provider keeps itself, begins at zero, which readers take for a restart.
/// </summary>
internal sealed partial class MetricPipeline : BackgroundService
{
    private const string RuntimeMeter = "System.Runtime";

    /// <summary>
    /// What the runtime's meter calls "count" without being a counter, which Prometheus's lint refuses; and what it gives as a counter though it goes up and down
    /// (null: left out, <see cref="ProcessMetrics"/> has it).
    /// </summary>
    private static readonly Dictionary<string, string?> RuntimeNames = new(StringComparer.Ordinal)
    {
        ["dotnet.assembly.count"] = "dotnet.assemblies",
        ["dotnet.process.cpu.count"] = "dotnet.process.cpus",
        ["dotnet.timer.count"] = "dotnet.timers",
        ["dotnet.thread_pool.thread.count"] = null,
        ["dotnet.thread_pool.queue.length"] = null,
        ["dotnet.thread_pool.work_item.count"] = "dotnet.thread_pool.work_items",
    };

    /// <summary>How often the census is taken for OTLP, whose own loop does not ask.</summary>
    private static readonly TimeSpan OtlpRound = TimeSpan.FromSeconds(1);

    private readonly ProxyMeter _meter;
    private readonly CensusTaker _census;
    private readonly CurrentConfiguration _configuration;
    private readonly IServiceProvider _services;
    private readonly TimeProvider _time;
    private readonly string _version;
    private readonly ILogger<MetricPipeline> _logger;
    private readonly SemaphoreSlim _one = new(1);
    private Generation? _current;

    public MetricPipeline(ProxyMeter meter, CensusTaker census, CurrentConfiguration configuration, IServiceProvider services, TimeProvider time, string version,
        ILogger<MetricPipeline> logger) =>
        (_meter, _census, _configuration, _services, _time, _version, _logger) = (meter, census, configuration, services, time, version, logger);

    /// <summary>Providers that were built since start.</summary>
    public int Generations { get; private set; }

    /// <summary>Builds the first provider: from then on the histogram counts.</summary>
    public void Open() => Renew_NeedsTurn();

    /// <summary>Answers a scrape. One at a time: all metrics of an answer are of one census, and the next may need another provider.</summary>
    public async Task ServeAsync(HttpContext context)
    {
        var response = context.Response.Body;
        using var page = new MemoryStream();
        await _one.WaitAsync(context.RequestAborted);
        try
        {
            Renew_NeedsTurn();
            // Into memory first: a reader that takes its time holds up nobody.
            context.Response.Body = page;
            await _current!.Page(context);
        }
        finally
        {
            context.Response.Body = response;
            _one.Release();
        }

        context.Response.ContentLength = page.Length;
        if (!HttpMethods.IsHead(context.Request.Method))
            await response.WriteAsync(page.GetBuffer().AsMemory(0, (int)page.Length), context.RequestAborted);
    }

    public override void Dispose()
    {
        base.Dispose();
        // Not the semaphore, which holds nothing: the loop may come to it once more.
        _current?.Provider.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(OtlpRound, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                if (_configuration.Value.OtlpEndpoint is null && _current?.Otlp is null)
                    continue;
                await _one.WaitAsync(stoppingToken);
                try
                {
                    Renew_NeedsTurn();
                }
                finally
                {
                    _one.Release();
                }
            }
        }
        catch (OperationCanceledException)
        {
            // Stopping.
        }
    }

    /// <summary>Takes the census, and builds another provider when this one has no room for it or is configured otherwise.</summary>
    private void Renew_NeedsTurn()
    {
        var census = _census.Count();
        var added = _census.ServicesAdded;
        var configuration = _configuration.Value;
        if (_current is not { } current || current.PerInstance != configuration.Metrics.PerInstance || current.Otlp != configuration.OtlpEndpoint || !current.Room.Admits(census, added))
        {
            var room = new SeriesRoom(census, added);
            room.Admits(census, added);
            var before = _current;
            _current = Build(room, configuration.Metrics.PerInstance, configuration.OtlpEndpoint);
            Generations++;
            if (before is not null)
            {
                LogRenewed(_logger, census.Instances.Length);
                // It may have a last word for OTLP, and whoever listens there may be slow.
                _ = Task.Run(before.Provider.Dispose, CancellationToken.None);
            }
        }

        _census.Use(census);
    }

    private Generation Build(SeriesRoom room, bool perInstance, Uri? otlp)
    {
        var builder = Sdk.CreateMeterProviderBuilder()
            .SetResourceBuilder(OtlpTarget.Describe(_version))
            .AddMeter(ProxyMeter.Name, RuntimeMeter)
            .AddView(instrument => ViewOf(instrument, room))
            .AddPrometheusExporter(options =>
            {
                // Every answer is of now.
                options.ScrapeResponseCacheDurationMilliseconds = 0;
                // One meter, one target: labels that say so on each series would say nothing.
                options.ScopeInfoEnabled = false;
                options.TargetInfoEnabled = false;
            });
        if (otlp is not null)
            builder.AddOtlpExporter(options => OtlpTarget.Apply(options, otlp, "metrics"));
        var provider = builder.Build();
        var page = new ApplicationBuilder(_services);
        page.UseOpenTelemetryPrometheusScrapingEndpoint(provider, static _ => true, path: null, configureBranchedPipeline: null, optionsName: null);
        return new Generation(provider, page.Build(), room, perInstance, otlp);
    }

    private MetricStreamConfiguration? ViewOf(Instrument instrument, SeriesRoom room)
    {
        if (instrument.Meter.Name != ProxyMeter.Name)
            return !RuntimeNames.TryGetValue(instrument.Name, out var name) ? null : name is null ? MetricStreamConfiguration.Drop : new MetricStreamConfiguration { Name = name };
        var limit = room.LimitOf(_meter.SeriesOf(instrument.Name));
        return instrument is Histogram<double>
            ? new ExplicitBucketHistogramConfiguration { Boundaries = [.. ProxyMeter.DurationBounds], CardinalityLimit = limit }
            : new MetricStreamConfiguration { CardinalityLimit = limit };
    }

    [LoggerMessage(LogLevel.Debug, "Metrics of {Instances} instances go on in a new provider; the request histogram begins at zero")]
    private static partial void LogRenewed(ILogger logger, int instances);

    /// <summary>One provider and what it was built for.</summary>
    private sealed record Generation(MeterProvider Provider, RequestDelegate Page, SeriesRoom Room, bool PerInstance, Uri? Otlp);
}

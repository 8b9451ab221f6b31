using System.Diagnostics;
using Alicia.Proxy.Configuration;
using Alicia.Proxy.Forwarding;
using Alicia.Proxy.Live;
using Microsoft.Extensions.Primitives;

namespace Alicia.Proxy.Telemetry;

/// <summary>
/// Stands around the data plane and tells of its requests: a line in the access log, a server span. While nobody wants to hear, it costs one look at a flag a request.
/// </summary>
internal sealed class RequestObserver : IDisposable
{
    private readonly CurrentConfiguration _configuration;
    private readonly ForwardingOptions _options;
    private readonly AccessLog _accessLog;
    private readonly Tracing _tracing;
    private readonly TimeProvider _time;
    private readonly TraceBudget _traces;
    private readonly IDisposable _watch;

    public RequestObserver(CurrentConfiguration configuration, ForwardingOptions options, AccessLog accessLog, Tracing tracing, TimeProvider time)
    {
        (_configuration, _options, _accessLog, _tracing, _time) = (configuration, options, accessLog, tracing, time);
        _traces = new TraceBudget(time);
        _watch = ChangeToken.OnChange(() => configuration.ChangeToken, Follow);
        Follow();
    }

    public Task ObserveAsync(HttpContext context, RequestDelegate next)
    {
        if (!_options.Recording)
            return next(context);
        var sampled = _accessLog.Samples();
        var span = _tracing.IsOn ? StartSpan(context) : null;
        return sampled || span is not null ? RecordAsync(context, next, sampled, span) : next(context);
    }

    public void Dispose() => _watch.Dispose();

    private void Follow()
    {
        // Not asked of Tracing: which of the two hears of a change first is left open.
        var value = _configuration.Value;
        _options.Recording = value.Logging.AccessLog > 0 || value.OtlpEndpoint is not null;
    }

    /// <summary>Null where the request is not traced: none are left for this second, or the sampler or the caller said no.</summary>
    private Activity? StartSpan(HttpContext context)
    {
        if (!_traces.TryTake(_configuration.Value.OtlpTracesPerSecond))
            return null;
        var span = RequestSpans.StartRequest(context);
        if (span is not { Recorded: true })
            _traces.GiveBack();
        return span;
    }

    private async Task RecordAsync(HttpContext context, RequestDelegate next, bool sampled, Activity? span)
    {
        var record = new RequestRecord(_time.GetUtcNow(), _time.GetTimestamp(), span);
        context.Features.Set(record);
        try
        {
            await next(context);
        }
        finally
        {
            var left = context.RequestAborted.IsCancellationRequested;
            int? status = left && !context.Response.HasStarted ? null : context.Response.StatusCode;
            var outcome = record.Outcome ?? (left ? RequestOutcome.Aborted : RequestOutcome.Success);
            if (sampled)
                _accessLog.Write(AccessLogEntry.Of(record, context, status ?? AccessLogEntry.CallerLeft, outcome, _time));
            if (span is not null)
                RequestSpans.EndRequest(span, record, context, status, outcome);
        }
    }
}

internal static class ObservationServices
{
    /// <summary>Adds the access log, which writes to standard output, and traces.</summary>
    /// <param name="services">The proxy's.</param>
    /// <param name="version">The proxy's version, for traces.</param>
    public static IServiceCollection AddRequestObservation(this IServiceCollection services, string version) => services
        .AddSingleton(s => new AccessLog(s.GetRequiredService<CurrentConfiguration>(), Random.Shared, Console.OpenStandardOutput(), s.GetRequiredService<TimeProvider>(),
            s.GetRequiredService<ILogger<AccessLog>>()))
        .AddHostedService(s => s.GetRequiredService<AccessLog>())
        .AddSingleton(s => new Tracing(s.GetRequiredService<CurrentConfiguration>(), version, s.GetRequiredService<ILogger<Tracing>>()))
        .AddSingleton<RequestObserver>();

    /// <summary>First on the data plane, so that it tells of refused requests too.</summary>
    public static void UseRequestObservation(this IApplicationBuilder app)
    {
        var observer = app.ApplicationServices.GetRequiredService<RequestObserver>();
        app.Use(next => context => observer.ObserveAsync(context, next));
    }
}

using System.Diagnostics.Metrics;

namespace Alicia.Proxy.Telemetry;

/// <summary>
/// The proxy's meter: makes instruments that read the live objects when they are asked, and knows how many series each may have. Names are Prometheus's, without the suffixes
/// (<c>_seconds</c>, <c>_bytes</c>, <c>_total</c>) that the exporter adds by unit and kind.
/// </summary>
internal sealed class ProxyMeter : IDisposable
{
    public const string Name = "Alicia.Proxy";

    /// <summary>Bounds in seconds: from a cached answer of a neighbour to a speech model that thinks for a minute.</summary>
    public static readonly IReadOnlyList<double> DurationBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

    private readonly Meter _meter = new(Name);
    private readonly Dictionary<string, SeriesPer> _series = new(StringComparer.Ordinal);

    /// <summary>How many series an instrument of this meter may have.</summary>
    public SeriesPer SeriesOf(string instrument) => _series[instrument];

    /// <summary>The one instrument that is written with each request, as OpenTelemetry has no histogram that is observed.</summary>
    public Histogram<double> Durations(string name, string description)
    {
        _series[name] = SeriesPer.Service;
        return _meter.CreateHistogram(name, "s", description, tags: null, new InstrumentAdvice<double> { HistogramBucketBoundaries = DurationBounds });
    }

    public void Counter<T>(string name, string? unit, SeriesPer per, string description, Func<IEnumerable<Measurement<T>>> observe)
        where T : struct
    {
        _series[name] = per;
        _meter.CreateObservableCounter(name, observe, unit, description);
    }

    public void Gauge<T>(string name, string? unit, SeriesPer per, string description, Func<IEnumerable<Measurement<T>>> observe)
        where T : struct
    {
        _series[name] = per;
        _meter.CreateObservableGauge(name, observe, unit, description);
    }

    public void Counter<T>(string name, string? unit, string description, Func<T> observe)
        where T : struct
    {
        _series[name] = SeriesPer.Proxy;
        _meter.CreateObservableCounter(name, observe, unit, description);
    }

    public void Gauge<T>(string name, string? unit, string description, Func<T> observe)
        where T : struct
    {
        _series[name] = SeriesPer.Proxy;
        _meter.CreateObservableGauge(name, observe, unit, description);
    }

    public void Dispose() => _meter.Dispose();
}

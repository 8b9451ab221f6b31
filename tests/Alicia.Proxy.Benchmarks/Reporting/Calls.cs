using System.Diagnostics;
using System.Net;

namespace Alicia.Proxy.Benchmarks.Reporting;

/// <summary>Durations of REST calls by kind, one at a time.</summary>
internal sealed class Calls
{
    public const string New = "new instance";
    public const string Again = "re-registration, unchanged";

    private readonly Dictionary<string, List<double>> _milliseconds = [];

    /// <summary>Instances that came to be.</summary>
    public int Added { get; private set; }

    public Samples Of(string kind) => new(_milliseconds[kind]);

    /// <exception cref="InvalidOperationException">The answer is not the one of this kind.</exception>
    public async Task TimeAsync(string kind, Func<Task<HttpStatusCode>> call, HttpStatusCode expected)
    {
        var start = Stopwatch.GetTimestamp();
        var status = await call();
        var elapsed = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        if (status != expected)
            throw new InvalidOperationException($"{kind} was answered {(int)status}, not {(int)expected}");
        if (status == HttpStatusCode.Created)
            Added++;
        if (!_milliseconds.TryGetValue(kind, out var times))
            _milliseconds[kind] = times = [];
        times.Add(elapsed);
    }

    public void Tell(MarkdownReport report)
    {
        report.Section("Calls at full size");
        report.Line("");
        report.Line("One at a time over one connection, the kinds mixed; milliseconds from sending to the whole answer, which says durable and routed by.");
        report.Table(
            ["call", "count", "p50", "p90", "p99", "max"],
            _milliseconds.Select(kind =>
            {
                var samples = new Samples(kind.Value);
                string Ms(double value) => Samples.Text(value, "0.00");
                return (IReadOnlyList<string>)
                [
                    kind.Key, $"{samples.Count}", Ms(samples.Quantile(0.5)), Ms(samples.Quantile(0.9)), Ms(samples.Quantile(0.99)), Ms(samples.Max),
                ];
            }));
    }
}

using System.Globalization;
using Alicia.Proxy.Benchmarks.Reporting;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Benchmarks.Simulation;

/// <summary><c>simulate</c>: every algorithm beside one ailing instance of ten, in virtual time.</summary>
internal static class SimulateRun
{
    public static async Task<int> RunAsync(string[] args)
    {
        var options = new VerbOptions("simulate", args, "requests", "seed");
        var requests = options.Number("requests", 400_000, 1_000, 10_000_000);
        var seed = options.Number("seed", 4711, 0, int.MaxValue - 1);
        var report = new MarkdownReport("Algorithms beside an ailing instance", options.CommandLine, Machine.Here());
        report.Line("");
        report.Line(string.Create(CultureInfo.InvariantCulture,
            $"A simulation in virtual time with the proxy's own algorithms and admission: {QueueSimulation.Instances} instances of {QueueSimulation.Workers} workers and {SettingKeys.MaxConnections.Default} connections each,"));
        report.Line(string.Create(CultureInfo.InvariantCulture,
            $"{requests:#,0} requests at random moments, {QueueSimulation.MeanSeconds * 1000:0} ms of work each in the mean (exponential), {QueueSimulation.Utilization:0 %} of what the ten can do, seed {seed}; the first tenth is not counted."));
        report.Line("No circuit, no probes, no retries: what the algorithm alone does. Times include waiting for a worker. The same seed gives the same table on every machine.");
        Tell(report, "One of ten is ten times as slow", Ailment.Slow, requests, seed);
        Tell(report, "One of ten pauses for a second in every ten", Ailment.Pauses, requests, seed);
        Tell(report, "One of ten answers everything with a failure, at once", Ailment.Fails, requests, seed);
        Tell(report, "All ten are well", Ailment.None, requests, seed);
        report.Line("");
        report.Line("*Share of the ailing one*: 10 % would be even. *Others, least to most*: shares of the nine others relative to their mean. `consistent_hash` hashes one of 10,000 users a request.");
        await report.FinishAsync(options.Report);
        return 0;
    }

    private static void Tell(MarkdownReport report, string title, Ailment ailment, int requests, int seed)
    {
        report.Section(title);
        report.Table(
            ["algorithm", "p50 ms", "p99 ms", "p99.9 ms", "mean ms", "failed", "share of the ailing one", "others, least to most"],
            ((ChoiceCodec)SettingKeys.Algorithm.Codec).Choices.Select(algorithm =>
            {
                var result = new QueueSimulation(algorithm, ailment, seed).Run(requests);
                var others = result.Shares[..^1];
                var mean = others.Average();
                return (IReadOnlyList<string>)
                [
                    $"`{algorithm}`", Millis(result.P50), Millis(result.P99), Millis(result.P999), Millis(result.Mean), Percent(result.Failed), Percent(result.Shares[^1]),
                    string.Create(CultureInfo.InvariantCulture, $"{others.Min() / mean:0.00}–{others.Max() / mean:0.00}"),
                ];
            }));
    }

    private static string Millis(double seconds) => (seconds * 1000).ToString(seconds < 0.1 ? "0.0" : "#,0", CultureInfo.InvariantCulture);

    private static string Percent(double share) => share.ToString("0.00 %", CultureInfo.InvariantCulture);
}

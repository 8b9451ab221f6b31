using Alicia.Proxy.Benchmarks.Reporting;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using Perfolizer.Horology;

namespace Alicia.Proxy.Benchmarks.Micro;

/// <summary><c>pick</c>: nanoseconds and bytes of the decisions that every request pays for, by BenchmarkDotNet.</summary>
internal static class PickRun
{
    /// <summary>Aim for one pick among ten instances.</summary>
    private const double AimNanoseconds = 100;

    private static readonly Type[] _benchmarks =
        [typeof(PickBenchmarks), typeof(FullPoolBenchmarks), typeof(ReservationBenchmarks), typeof(RoutingBenchmarks), typeof(ScheduleBenchmarks), typeof(GateBenchmarks)];

    public static async Task<int> RunAsync(string[] args)
    {
        var options = new VerbOptions("pick", args, "iterations", "iteration-ms", "only");
        var machine = Machine.Here();
        var artifacts = Directory.CreateTempSubdirectory("alicia-bench-");
        try
        {
            var job = Job.Default
                // Long enough for the last tier of the JIT, which waits for a quiet tenth of a second.
                .WithWarmupCount(10)
                .WithIterationCount(options.Number("iterations", 15, 3, 100))
                .WithIterationTime(TimeInterval.FromMilliseconds(options.Number("iteration-ms", 200, 10, 5000)));
            var config = ManualConfig.CreateEmpty()
                .AddJob(job)
                .AddDiagnoser(MemoryDiagnoser.Default)
                .AddColumnProvider(DefaultColumnProviders.Instance)
                .AddLogger(ConsoleLogger.Default)
                .WithArtifactsPath(artifacts.FullName);
            var chosen = _benchmarks.Where(t => options.Text("only") is not { } only || t.Name.StartsWith(only, StringComparison.OrdinalIgnoreCase)).ToArray();
            if (chosen.Length == 0)
                throw new UsageException($"--only wants the beginning of one of {string.Join(", ", _benchmarks.Select(t => t.Name))}");

            var summaries = BenchmarkRunner.Run(chosen, config);
            var report = new MarkdownReport("Routing and balancing decisions", options.CommandLine, machine);
            report.Line("");
            report.Line("Time of one operation as a median over iterations, with their range; bytes allocated by one operation.");
            foreach (var summary in summaries)
                Tell(report, summary);
            Judge(report, summaries);
            await report.FinishAsync(options.Report);
            return summaries.Any(s => s.HasCriticalValidationErrors || s.Reports.Any(r => !r.Success)) ? 1 : 0;
        }
        finally
        {
            artifacts.Delete(recursive: true);
        }
    }

    private static void Tell(MarkdownReport report, Summary summary)
    {
        if (summary.BenchmarksCases.Length == 0)
            return;
        report.Section(summary.BenchmarksCases[0].Descriptor.Type.Name);
        report.Table(
            ["operation", "parameters", "ns", "range", "bytes"],
            summary.Reports.Select(r => (IReadOnlyList<string>)
            [
                r.BenchmarkCase.Descriptor.WorkloadMethod.Name,
                r.BenchmarkCase.Parameters.Count == 0 ? "" : r.BenchmarkCase.Parameters.DisplayInfo.Trim('[', ']'),
                r.ResultStatistics is { } s ? Number(s.Median) : "failed",
                r.ResultStatistics is { } t ? $"{Number(t.Min)}–{Number(t.Max)}" : "",
                Bytes(r) is { } bytes ? bytes.ToString(System.Globalization.CultureInfo.InvariantCulture) : "?",
            ]));
    }

    private static void Judge(MarkdownReport report, IEnumerable<Summary> summaries)
    {
        var picks = summaries.SelectMany(s => s.Reports).Where(r => r.BenchmarkCase.Descriptor.Type == typeof(PickBenchmarks)).ToArray();
        var slowest = picks
            .Where(r => r.BenchmarkCase.Descriptor.WorkloadMethod.Name == nameof(PickBenchmarks.Pick))
            .Where(r => (int)r.BenchmarkCase.Parameters[nameof(PickBenchmarks.Instances)] == 10)
            .Max(r => r.ResultStatistics?.Median);
        if (slowest is not { } nanoseconds)
            return;
        report.Section("Aims");
        report.Table(["aim", "measured", "met"],
        [
            ["pick at 10 instances ≤ 100 ns, any policy", $"{Number(nanoseconds)} ns", nanoseconds <= AimNanoseconds ? "yes" : "no"],
            ["pick and admission allocate nothing", $"{picks.Max(r => Bytes(r))} bytes", picks.All(r => Bytes(r) == 0) ? "yes" : "no"],
        ]);
    }

    private static long? Bytes(BenchmarkReport report) => report.GcStats.GetBytesAllocatedPerOperation(report.BenchmarkCase);

    private static string Number(double nanoseconds) => Samples.Text(nanoseconds, nanoseconds < 100 ? "0.0" : "#,0");
}

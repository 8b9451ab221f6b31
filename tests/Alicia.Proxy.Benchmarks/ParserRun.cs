using System.Diagnostics;
using System.Globalization;
using Alicia.Proxy.Benchmarks.Reporting;
using Alicia.Proxy.Corpus.Parsers;

namespace Alicia.Proxy.Benchmarks;

/// <summary><c>parsers</c>: every other parser that the proxy has written itself, tried with generated inputs: what must hold of each, and of how many inputs it did.</summary>
internal static class ParserRun
{
    /// <summary>Inputs between two looks at the clock.</summary>
    private const int Step = 20_000;

    public static async Task<int> RunAsync(string[] args, CancellationToken interrupted)
    {
        var options = new VerbOptions("parsers", args, "inputs", "seconds", "seed", "only");
        var inputs = options.Number("inputs", 10_000_000, 1, int.MaxValue);
        var seconds = options.Number("seconds", 15, 1, 86_400);
        var seed = options.Number("seed", 1, 0, int.MaxValue / 2);
        var machine = Machine.Here();
        var properties = ParserProperty.All.Where(p => options.Text("only") is not { } only || p.Parser.Contains(only, StringComparison.OrdinalIgnoreCase)).ToArray();
        var counts = new long[properties.Length];
        var failures = new IReadOnlyList<string>[properties.Length];
        Parallel.For(0, properties.Length, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount, CancellationToken = interrupted }, i =>
        {
            var startedAt = Stopwatch.GetTimestamp();
            failures[i] = [];
            // A seed for each part, so that the same inputs come however far the time reaches.
            while (counts[i] < inputs && failures[i].Count == 0 && Stopwatch.GetElapsedTime(startedAt).TotalSeconds < seconds && !interrupted.IsCancellationRequested)
            {
                var count = Math.Min(Step, inputs - counts[i]);
                failures[i] = properties[i].Run(seed + (int)(counts[i] / Step), count, interrupted);
                counts[i] += count;
            }
        });

        var report = new MarkdownReport("Parsers, tried with generated inputs", options.CommandLine, machine);
        report.Line("");
        report.Line(string.Create(CultureInfo.InvariantCulture, $"{counts.Sum():#,0} inputs from seed {seed} on, at most {inputs:#,0} and {seconds} s for each parser: **{failures.Sum(f => f.Count)} of which something did not hold**, or that made one throw what is not its own. Requests as the guard reads them are in [strict.md](strict.md), answers as the direct forwarder reads them in [fuzz.md](fuzz.md). The tests try some ten thousand to a hundred thousand of each."));
        report.Table(["parser", "what held", "inputs"], properties.Select((p, i) => (IReadOnlyList<string>)[p.Parser, p.Says, counts[i].ToString("#,0", CultureInfo.InvariantCulture)]));
        foreach (var failure in failures.SelectMany(f => f))
            report.Line($"- `{failure}`");
        await report.FinishAsync(options.Report);
        return failures.Any(f => f.Count > 0) ? 1 : 0;
    }
}

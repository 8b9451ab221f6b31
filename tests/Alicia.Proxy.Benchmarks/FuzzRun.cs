using System.Diagnostics;
using System.Globalization;
using Alicia.Proxy.Benchmarks.Reporting;
using Alicia.Proxy.Corpus;

namespace Alicia.Proxy.Benchmarks;

/// <summary>
/// <c>fuzz</c>: the parser of instances' answers against another reading of RFC 9112, on generated answers in random pieces. Ends at the first difference, with the answer that shows it.
/// </summary>
internal static class FuzzRun
{
    public static async Task<int> RunAsync(string[] args, CancellationToken interrupted)
    {
        var options = new VerbOptions("fuzz", args, "inputs", "seed");
        var inputs = options.Number("inputs", 10_000_000, 1, int.MaxValue);
        var seed = options.Number("seed", 1, 0, int.MaxValue);
        var machine = Machine.Here();
        var comparison = new AnswerComparison(seed);
        var verdicts = new long[Enum.GetValues<AnswerVerdict>().Length];
        var clock = Stopwatch.StartNew();
        for (var i = 0; i < inputs; i++)
        {
            verdicts[(int)comparison.Next()]++;
            if (i % 1_000_000 == 0)
            {
                interrupted.ThrowIfCancellationRequested();
                await Console.Out.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"… {i:#,0} of {inputs:#,0}"));
            }
        }

        var report = new MarkdownReport("The parser of answers, fuzzed", options.CommandLine, machine);
        report.Line("");
        report.Line(string.Create(CultureInfo.InvariantCulture, $"{inputs:#,0} generated answers from seed {seed}, in pieces of one byte to all at once, read by the proxy's parser and by a reference that shares nothing with it: verdict, status, fields, body and the number of bytes used are the same for every one, in {clock.Elapsed.TotalSeconds:0} s."));
        report.Table(["by the reference", "answers"], Enum.GetValues<AnswerVerdict>().Select(v => (IReadOnlyList<string>)[v.ToString().ToLowerInvariant(), verdicts[(int)v].ToString("#,0", CultureInfo.InvariantCulture)]));
        await report.FinishAsync(options.Report);
        return 0;
    }
}

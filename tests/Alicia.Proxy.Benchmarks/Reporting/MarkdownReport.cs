using System.Globalization;
using System.Text;

namespace Alicia.Proxy.Benchmarks.Reporting;

/// <summary>The report of one run: machine, command, tables. Printed, and written to the file that <c>--report</c> names.</summary>
internal sealed class MarkdownReport
{
    private readonly StringBuilder _text = new();

    /// <param name="title">Heading.</param>
    /// <param name="commandLine">How to repeat the run.</param>
    /// <param name="machine">Taken before the run, so that its load is not the run's own.</param>
    public MarkdownReport(string title, string commandLine, Machine machine)
    {
        Line($"# {title}");
        Line("");
        Line($"- date: {TimeProvider.System.GetUtcNow().ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture)}");
        foreach (var line in machine.Lines())
            Line(line);
        Line($"- command: `{commandLine}`");
    }

    public void Line(string text) => _text.Append(text).Append('\n');

    public void Section(string title)
    {
        Line("");
        Line($"## {title}");
    }

    public void Table(IReadOnlyList<string> headers, IEnumerable<IReadOnlyList<string>> rows)
    {
        Line("");
        Line($"| {string.Join(" | ", headers)} |");
        Line($"| --- |{string.Concat(Enumerable.Repeat(" ---: |", headers.Count - 1))}");
        foreach (var row in rows)
            Line($"| {string.Join(" | ", row)} |");
    }

    public async Task FinishAsync(string? path)
    {
        await Console.Out.WriteLineAsync($"\n{_text}");
        if (path is null)
            return;
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        await File.WriteAllTextAsync(path, _text.ToString());
    }
}

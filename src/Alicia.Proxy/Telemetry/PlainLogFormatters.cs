using System.Globalization;
using System.Text;
using Serilog.Events;
using Serilog.Formatting;
using Serilog.Formatting.Compact;
using Serilog.Formatting.Display;

namespace Alicia.Proxy.Telemetry;

/// <summary>
/// Log lines for people. An event begins at the left margin and nothing else does: what a caller or an instance wrote into a value cannot pass for an event of its own, nor
/// speak to the terminal.
/// </summary>
internal sealed class TextLogFormatter : ITextFormatter
{
    private static readonly MessageTemplateTextFormatter Event =
        new("{Timestamp:HH:mm:ss.fff} {Level:u3} {SourceContext}: {Message:lj}", CultureInfo.InvariantCulture);

    public void Format(LogEvent logEvent, TextWriter output)
    {
        using var text = new StringWriter(CultureInfo.InvariantCulture);
        Event.Format(logEvent, text);
        output.WriteLine(LogLine.Plain(text.ToString()));
        if (logEvent.Exception is not { } exception)
            return;
        foreach (var line in exception.ToString().Split('\n'))
        {
            output.Write("    ");
            output.WriteLine(LogLine.Plain(line.TrimEnd('\r').Replace("\t", "    ", StringComparison.Ordinal)));
        }
    }
}

/// <summary>Compact JSON, one event a line, in ASCII: what steers a terminal is escaped too.</summary>
internal sealed class JsonLogFormatter : ITextFormatter
{
    private static readonly RenderedCompactJsonFormatter Event = new();

    public void Format(LogEvent logEvent, TextWriter output)
    {
        using var text = new StringWriter(CultureInfo.InvariantCulture);
        Event.Format(logEvent, text);
        var json = text.ToString().TrimEnd('\r', '\n');
        if (!json.AsSpan().ContainsAnyExceptInRange(' ', '~'))
        {
            output.WriteLine(json);
            return;
        }

        // Beyond ASCII there is nothing but the insides of strings, where an escape may stand for any character.
        var ascii = new StringBuilder(json.Length + 16);
        foreach (var c in json)
        {
            if (c is >= ' ' and <= '~')
                ascii.Append(c);
            else
                ascii.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
        }

        output.WriteLine(ascii.ToString());
    }
}

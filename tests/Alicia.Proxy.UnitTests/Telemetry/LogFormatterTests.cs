using System.Text.Json;
using Alicia.Proxy.Telemetry;
using Serilog.Events;
using Serilog.Formatting;
using Serilog.Parsing;

namespace Alicia.Proxy.UnitTests.Telemetry;

public sealed class LogFormatterTests
{
    private static readonly MessageTemplateParser _templates = new();

    [Fact]
    public void A_text_line_has_time_level_source_and_message() =>
        Written(new TextLogFormatter(), "Instance {Instance} left", "tts-1").Should().Be("04:05:06.789 INF Alicia.Proxy.Test: Instance tts-1 left\n");

    [Fact]
    public void Letters_beyond_ASCII_stay_letters() => Written(new TextLogFormatter(), "{Instance}", "Küche – ä").Should().EndWith(": Küche – ä\n");

    [Fact]
    public void A_value_cannot_make_a_line_of_its_own_nor_speak_to_the_terminal() =>
        Written(new TextLogFormatter(), "Path {Path} failed", "/a\r\n04:05:07.000 ERR forged\u001b[2J\u009b\u2028\u202e\u007f").Should().EndWith(
            ": Path /a\\x0D\\x0A04:05:07.000 ERR forged\\x1B[2J\\x9B\\u2028\\u202E\\x7F failed\n");

    [Fact]
    public void The_lines_of_an_exception_stand_in_from_the_margin()
    {
        var lines = Written(new TextLogFormatter(), "failed", null, new InvalidOperationException("one\n04:05:07.000 ERR forged\u001b[0m")).TrimEnd('\n').Split('\n');

        lines[0].Should().EndWith(": failed");
        lines.Skip(1).Should().HaveCount(2).And.OnlyContain(line => line.StartsWith("    ") && !line.Contains('\u001b'));
    }

    [Fact]
    public void A_JSON_line_is_one_line_of_ASCII_that_reads_back()
    {
        const string Value = "ä\r\n\u001b[2J\u009b\u2028\u202e\u007f\ud83d\ude00\"\\";

        var text = Written(new JsonLogFormatter(), "Path {Path} failed", Value, new InvalidOperationException("one\ntwo"));

        text.Should().EndWith("\n");
        text.AsSpan(0, text.Length - 1).ContainsAnyExceptInRange(' ', '~').Should().BeFalse(text);
        var line = JsonDocument.Parse(text).RootElement;
        line.GetProperty("Path").GetString().Should().Be(Value);
        line.GetProperty("@m").GetString().Should().Contain("\u2028");
        line.GetProperty("@x").GetString().Should().Contain("one\ntwo");
    }

    private static string Written(ITextFormatter formatter, string template, string? value, Exception? exception = null)
    {
        using var output = new StringWriter { NewLine = "\n" };
        var parsed = _templates.Parse(template);
        var properties = parsed.Tokens.OfType<PropertyToken>().Select(token => new LogEventProperty(token.PropertyName, new ScalarValue(value)))
            .Append(new LogEventProperty("SourceContext", new ScalarValue("Alicia.Proxy.Test")));
        formatter.Format(new LogEvent(new DateTimeOffset(2025, 11, 3, 4, 5, 6, 789, TimeSpan.Zero), LogEventLevel.Information, exception, parsed, properties), output);
        return output.ToString();
    }
}

using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Alicia.Proxy.Configuration;
using Alicia.Proxy.Live;

namespace Alicia.Proxy.UnitTests.Telemetry;

public sealed partial class AccessLogLineTests
{
    private const int Seed = 4711;
    private const int Cases = 20_000;

    [Fact]
    public void A_JSON_line_has_every_field() => Entries.Line(Entries.Ordinary, AccessLogFormat.Json).Should().Be(
        """{"time":"2025-11-03T04:05:06.789Z","request_id":"0123456789abcdef0123456789abcdef","client":"192.0.2.7","method":"GET","scheme":"http","host":"tts.alicia.local","path":"/voices?lang=de","protocol":"HTTP/1.1","status":200,"bytes_in":12,"bytes_out":3456,"duration":0.012500,"time_to_head":0.010250,"service":"tts","instance_id":"tts-1","upstream":"10.0.0.5:8003","attempts":1,"outcome":"success","error":null,"proxy_status":null,"user_agent":"curl/8.5.0","referer":"https://example.org/page?x=1","trace_id":null}"""
        + "\n");

    [Fact]
    public void A_combined_line_has_the_known_fields_and_the_proxys_behind_them() => Entries.Line(Entries.Ordinary, AccessLogFormat.Combined).Should().Be(
        """192.0.2.7 - - [03/Nov/2025:04:05:06 +0000] "GET /voices?lang=de HTTP/1.1" 200 3456 "https://example.org/page?x=1" "curl/8.5.0" "0123456789abcdef0123456789abcdef" "tts.alicia.local" "tts" "tts-1" "10.0.0.5:8003" 1 0.012500 0.010250 success "-" "-" """.TrimEnd()
        + "\n");

    [Fact]
    public void A_refused_request_has_no_instance_and_says_why()
    {
        var refused = Entries.Ordinary with
        {
            Status = 404,
            Service = null,
            InstanceId = null,
            Upstream = null,
            Attempts = 0,
            TimeToHead = null,
            Outcome = RequestOutcome.Rejected,
            Error = "destination_not_found",
            UserAgent = null,
            Referer = null,
            Client = IPAddress.Parse("::ffff:192.0.2.8"),
        };

        Entries.Line(refused, AccessLogFormat.Combined).Should().StartWith("192.0.2.8 - - ").And.EndWith(
            "\" 404 3456 \"-\" \"-\" \"0123456789abcdef0123456789abcdef\" \"tts.alicia.local\" \"-\" \"-\" \"-\" 0 0.012500 - rejected \"alicia; error=destination_not_found\" \"-\"\n");
        var json = JsonDocument.Parse(Entries.Line(refused, AccessLogFormat.Json)).RootElement;
        json.GetProperty("error").GetString().Should().Be("destination_not_found");
        json.GetProperty("proxy_status").GetString().Should().Be("alicia; error=destination_not_found");
        json.GetProperty("service").ValueKind.Should().Be(JsonValueKind.Null);
        json.GetProperty("time_to_head").ValueKind.Should().Be(JsonValueKind.Null);
    }

    [Fact]
    public void Every_outcome_has_a_word_of_its_own() => Enum.GetValues<RequestOutcome>()
        .Select(outcome => JsonDocument.Parse(Entries.Line(Entries.Ordinary with { Outcome = outcome }, AccessLogFormat.Json)).RootElement.GetProperty("outcome").GetString())
        .Should().Equal("success", "failure", "aborted", "rejected", "error");

    [Fact]
    public void Secrets_of_query_and_referer_are_in_neither_format()
    {
        var entry = Entries.Ordinary with { Target = "/x?api_key=hidden1&a=1", Referer = "https://user:hidden2@example.org/?access_token=hidden3" };
        foreach (var format in Enum.GetValues<AccessLogFormat>())
            Entries.Line(entry, format).Should().NotContain("hidden").And.Contain("/x?api_key=***&a=1").And.Contain("https://***@example.org/?access_token=***");
    }

    [Theory]
    [InlineData("\r\nInjected: 1")]
    [InlineData("\" 200 0 \"")]
    [InlineData("\\\" \\")]
    [InlineData("\u001b[2J\u001b]0;title\u0007")]
    [InlineData("\u009b31m\u0085\u2028\u2029\u202e\ufeff")]
    [InlineData("\ud800 \udc00\ud83d\ude00")]
    [InlineData("\0\b\t\u007f")]
    public void What_steers_terminals_or_ends_lines_comes_out_as_plain_ASCII(string value) => HoldsWith(value);

    [Fact]
    public void Whatever_a_value_is_there_is_one_line_of_printable_ASCII_that_reads_back()
    {
        var random = new Random(Seed);
        for (var i = 0; i < Cases; i++)
            HoldsWith(Any(random));
    }

    /// <summary>Puts the value wherever a caller or an instance may have a say, and reads the lines as a program would.</summary>
    private static void HoldsWith(string value)
    {
        // In place of a target that redaction leaves alone.
        var target = "/" + value.Replace('?', '/').Replace('#', '/');
        var entry = Entries.Ordinary with { Host = value, Target = target, UserAgent = value, Method = value, InstanceId = value };

        var json = Entries.Line(entry, AccessLogFormat.Json);
        IsOneLine(json);
        var document = JsonDocument.Parse(json).RootElement;
        document.EnumerateObject().Count().Should().Be(23);
        foreach (var (field, expected) in new[] { ("host", value), ("path", target), ("user_agent", value), ("method", value), ("instance_id", value) })
            document.GetProperty(field).GetString().Should().Be(Transcoded(expected));

        var combined = Entries.Line(entry, AccessLogFormat.Combined);
        IsOneLine(combined);
        var match = CombinedLine().Match(combined);
        match.Success.Should().BeTrue(combined);
        Unescape(match.Groups["request"].Value).Should().Be($"{value} {target} HTTP/1.1");
        Unescape(match.Groups["agent"].Value).Should().Be(value);
        Unescape(match.Groups["host"].Value).Should().Be(value);
        Unescape(match.Groups["instance"].Value).Should().Be(value);
    }

    private static void IsOneLine(string line)
    {
        line.Should().EndWith("\n");
        line.AsSpan(0, line.Length - 1).ContainsAnyExceptInRange(' ', '~').Should().BeFalse(line);
    }

    /// <summary>Mostly what is dangerous, else anything that a UTF-16 text may hold.</summary>
    private static string Any(Random random)
    {
        const string Dangerous = "\r\n\"\\\u001b\0\t\u007f\u0085\u009b\u2028\u202e\ud800\udfff{}[]<>&;= ";
        return string.Create(random.Next(40), random, static (text, random) =>
        {
            foreach (ref var c in text)
            {
                c = random.Next(4) switch
                {
                    0 => Dangerous[random.Next(Dangerous.Length)],
                    1 => (char)random.Next(0x100),
                    2 => (char)random.Next(0x10000),
                    _ => (char)random.Next(0x20, 0x7f),
                };
            }
        });
    }

    /// <summary>What is left of a text in JSON: characters without a partner are U+FFFD.</summary>
    private static string Transcoded(string text) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));

    private static string Unescape(string text) =>
        EscapePattern().Replace(text, m => ((char)int.Parse(m.Groups[1].Value + m.Groups[2].Value, NumberStyles.HexNumber, CultureInfo.InvariantCulture)).ToString());

    [GeneratedRegex("\\\\x([0-9A-F]{2})|\\\\u([0-9A-F]{4})")]
    private static partial Regex EscapePattern();

    [GeneratedRegex("""^[0-9a-f.:]+ - - \[[^\]]+\] "(?<request>[^"]*)" \d+ \d+ "[^"]*" "(?<agent>[^"]*)" "[^"]*" "(?<host>[^"]*)" "[^"]*" "(?<instance>[^"]*)" "[^"]*" \d+ [0-9.]+ ([0-9.]+|-) [a-z]+ "[^"]*" "[^"]*"\n$""")]
    private static partial Regex CombinedLine();
}

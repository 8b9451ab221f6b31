using System.Net;
using System.Text;
using Alicia.Proxy.Configuration;
using Alicia.Proxy.Live;
using Alicia.Proxy.Telemetry;

namespace Alicia.Proxy.UnitTests.Telemetry;

/// <summary>Entries of the access log and their lines.</summary>
internal static class Entries
{
    public static readonly AccessLogEntry Ordinary = new()
    {
        At = new DateTimeOffset(2025, 11, 3, 4, 5, 6, 789, TimeSpan.Zero),
        RequestId = "0123456789abcdef0123456789abcdef",
        Client = IPAddress.Parse("192.0.2.7"),
        Method = "GET",
        Scheme = "http",
        Host = "tts.alicia.local",
        Target = "/voices?lang=de",
        Protocol = "HTTP/1.1",
        Status = 200,
        BytesIn = 12,
        BytesOut = 3456,
        Duration = TimeSpan.FromMilliseconds(12.5),
        TimeToHead = TimeSpan.FromMilliseconds(10.25),
        Service = "tts",
        InstanceId = "tts-1",
        Upstream = "10.0.0.5:8003",
        Attempts = 1,
        Outcome = RequestOutcome.Success,
        UserAgent = "curl/8.5.0",
        Referer = "https://example.org/page?x=1",
    };

    public static string Line(AccessLogEntry entry, AccessLogFormat format)
    {
        var line = new LogLine();
        AccessLogLine.Write(line, entry, format);
        return Encoding.Latin1.GetString(line.Written);
    }
}

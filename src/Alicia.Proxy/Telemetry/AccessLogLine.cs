using System.Net;
using Alicia.Proxy.Configuration;
using Alicia.Proxy.Forwarding;
using Alicia.Proxy.Live;

namespace Alicia.Proxy.Telemetry;

/// <summary>Writes one entry of the access log as one line, as JSON or in the Combined Log Format. What the fields are called is what operators' programs look for: docs/operations.md lists them.</summary>
internal static class AccessLogLine
{
    public static void Write(LogLine line, in AccessLogEntry entry, AccessLogFormat format)
    {
        if (format == AccessLogFormat.Json)
            WriteJson(line, entry);
        else
            WriteCombined(line, entry);
    }

    private static void WriteJson(LogLine line, in AccessLogEntry entry)
    {
        line.Raw("{\"time\":\""u8);
        line.Time(entry.At, TimeForm.Iso8601);
        line.Raw("\""u8);
        Text(line, ",\"request_id\":"u8, entry.RequestId);
        line.Raw(",\"client\":"u8);
        if (entry.Client is null)
        {
            line.Raw("null"u8);
        }
        else
        {
            line.Raw("\""u8);
            Address(line, entry.Client);
            line.Raw("\""u8);
        }

        Text(line, ",\"method\":"u8, entry.Method);
        Text(line, ",\"scheme\":"u8, entry.Scheme);
        Text(line, ",\"host\":"u8, entry.Host);
        Text(line, ",\"path\":"u8, Redaction.Target(entry.Target));
        Text(line, ",\"protocol\":"u8, entry.Protocol);
        Number(line, ",\"status\":"u8, entry.Status);
        Number(line, ",\"bytes_in\":"u8, entry.BytesIn);
        Number(line, ",\"bytes_out\":"u8, entry.BytesOut);
        line.Raw(",\"duration\":"u8);
        line.Seconds(entry.Duration);
        line.Raw(",\"time_to_head\":"u8);
        if (entry.TimeToHead is { } head)
            line.Seconds(head);
        else
            line.Raw("null"u8);
        Text(line, ",\"service\":"u8, entry.Service);
        Text(line, ",\"instance_id\":"u8, entry.InstanceId);
        Text(line, ",\"upstream\":"u8, entry.Upstream);
        Number(line, ",\"attempts\":"u8, entry.Attempts);
        Text(line, ",\"outcome\":"u8, Of(entry.Outcome));
        Text(line, ",\"error\":"u8, entry.Error);
        Text(line, ",\"proxy_status\":"u8, Status(entry));
        Text(line, ",\"user_agent\":"u8, entry.UserAgent);
        Text(line, ",\"referer\":"u8, entry.Referer is null ? null : Redaction.Url(entry.Referer));
        Text(line, ",\"trace_id\":"u8, entry.TraceId);
        line.Raw("}\n"u8);
    }

    /// <summary>The nine fields of the format, then the proxy's: request id, host, service, instance, address, attempts, duration, time to head, outcome, Proxy-Status, trace id.</summary>
    private static void WriteCombined(LogLine line, in AccessLogEntry entry)
    {
        if (entry.Client is null)
            line.Raw("-"u8);
        else
            Address(line, entry.Client);
        line.Raw(" - - ["u8);
        line.Time(entry.At, TimeForm.CommonLog);
        line.Raw("] \""u8);
        line.Combined(entry.Method);
        line.Raw(" "u8);
        line.Combined(Redaction.Target(entry.Target));
        line.Raw(" "u8);
        line.Combined(entry.Protocol);
        line.Raw("\" "u8);
        line.Number(entry.Status);
        line.Raw(" "u8);
        line.Number(entry.BytesOut);
        Quoted(line, entry.Referer is null ? null : Redaction.Url(entry.Referer));
        Quoted(line, entry.UserAgent);
        Quoted(line, entry.RequestId);
        Quoted(line, entry.Host);
        Quoted(line, entry.Service);
        Quoted(line, entry.InstanceId);
        Quoted(line, entry.Upstream);
        line.Raw(" "u8);
        line.Number(entry.Attempts);
        line.Raw(" "u8);
        line.Seconds(entry.Duration);
        line.Raw(" "u8);
        if (entry.TimeToHead is { } head)
            line.Seconds(head);
        else
            line.Raw("-"u8);
        line.Raw(" "u8);
        line.Combined(Of(entry.Outcome));
        Quoted(line, Status(entry));
        Quoted(line, entry.TraceId);
        line.Raw("\n"u8);
    }

    /// <summary>A word of the outcome's own, not the member's name: programs look for it.</summary>
    private static string Of(RequestOutcome outcome) => outcome switch
    {
        RequestOutcome.Success => "success",
        RequestOutcome.Failure => "failure",
        RequestOutcome.Aborted => "aborted",
        RequestOutcome.Rejected => "rejected",
        _ => "error",
    };

    private static string? Status(in AccessLogEntry entry) => entry.Error is null ? null : "alicia; error=" + entry.Error;

    private static void Address(LogLine line, IPAddress address) => line.Formatted(address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address, default);

    private static void Text(LogLine line, ReadOnlySpan<byte> name, string? value)
    {
        line.Raw(name);
        if (value is null)
        {
            line.Raw("null"u8);
            return;
        }

        line.Raw("\""u8);
        line.Json(value);
        line.Raw("\""u8);
    }

    private static void Number(LogLine line, ReadOnlySpan<byte> name, long value)
    {
        line.Raw(name);
        line.Number(value);
    }

    private static void Quoted(LogLine line, string? value)
    {
        line.Raw(" \""u8);
        line.Combined(value ?? "-");
        line.Raw("\""u8);
    }
}

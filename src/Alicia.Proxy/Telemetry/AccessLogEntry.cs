using System.Net;
using Alicia.Proxy.Forwarding;
using Alicia.Proxy.Live;
using Alicia.Proxy.Routing;
using Microsoft.AspNetCore.Http.Features;

namespace Alicia.Proxy.Telemetry;

/// <summary>
/// One request as the access log tells of it, at its end: texts are cut to a length that bounds a line.
/// </summary>
internal readonly record struct AccessLogEntry()
{
    /// <summary>Longest target that is logged whole, in characters.</summary>
    public const int MaxTarget = 4096;

    /// <summary>Longest value of a field that is logged whole, in characters.</summary>
    public const int MaxValue = 1024;

    /// <summary>What a text that was cut ends in.</summary>
    public const string Cut = "...";

    /// <summary>The status of a request whose caller left before there was an answer, as nginx writes it. None was sent.</summary>
    public const int CallerLeft = 499;

    public required DateTimeOffset At { get; init; }

    public required string RequestId { get; init; }

    /// <summary>The other end of the connection.</summary>
    public IPAddress? Client { get; init; }

    public required string Method { get; init; }

    public required string Scheme { get; init; }

    public required string Host { get; init; }

    /// <summary>Path and query as they came; secrets are taken out when the line is written.</summary>
    public required string Target { get; init; }

    public required string Protocol { get; init; }

    public required int Status { get; init; }

    /// <summary>Bytes of the request's body.</summary>
    public long BytesIn { get; init; }

    /// <summary>Bytes of the answer's body.</summary>
    public long BytesOut { get; init; }

    /// <summary>From the request's head to the end of the answer.</summary>
    public required TimeSpan Duration { get; init; }

    /// <summary>From the request's head to that of the instance's answer; null when none came.</summary>
    public TimeSpan? TimeToHead { get; init; }

    public string? Service { get; init; }

    public string? InstanceId { get; init; }

    /// <summary>Address and port that the last attempt went to.</summary>
    public string? Upstream { get; init; }

    public int Attempts { get; init; }

    public required RequestOutcome Outcome { get; init; }

    /// <summary>The error type in the <c>Proxy-Status</c> of an answer that the proxy made.</summary>
    public string? Error { get; init; }

    public string? UserAgent { get; init; }

    public string? Referer { get; init; }

    /// <summary>The trace's id in hexadecimal; null when the request is not traced.</summary>
    public string? TraceId { get; init; }

    /// <param name="record">What the forwarder says.</param>
    /// <param name="context">The request, at its end.</param>
    /// <param name="status">What the caller got.</param>
    /// <param name="outcome">What the request came to.</param>
    /// <param name="time">The clock of the record's timestamps.</param>
    public static AccessLogEntry Of(RequestRecord record, HttpContext context, int status, RequestOutcome outcome, TimeProvider time)
    {
        var request = context.Request;
        var raw = context.Features.Get<IHttpRequestFeature>()!.RawTarget;
        return new AccessLogEntry
        {
            At = record.At,
            RequestId = context.TraceIdentifier,
            Client = context.Connection.RemoteIpAddress,
            Method = Bounded(request.Method, MaxValue)!,
            Scheme = request.Scheme,
            Host = Bounded(request.Headers.Host.ToString(), MaxValue)!,
            // In absolute form the authority may hold a password; what host was meant stands in Host.
            Target = Bounded(RequestTarget.PathAndQuery(raw) is { Length: > 0 } target ? target : "*", MaxTarget)!,
            Protocol = request.Protocol,
            Status = status,
            BytesIn = record.BytesIn,
            BytesOut = record.Error is null ? record.BytesOut : HttpMethods.IsHead(request.Method) ? 0 : context.Response.ContentLength ?? 0,
            Duration = time.GetElapsedTime(record.StartedAt),
            TimeToHead = record.HeadAt == 0 ? null : time.GetElapsedTime(record.StartedAt, record.HeadAt),
            Service = record.Service,
            InstanceId = record.Endpoint?.InstanceId,
            Upstream = record.Slot?.Text,
            Attempts = record.Attempts,
            Outcome = outcome,
            Error = record.Error?.Type,
            UserAgent = Bounded(Value(request.Headers.UserAgent), MaxValue),
            Referer = Bounded(Value(request.Headers.Referer), MaxValue),
            TraceId = record.Span?.TraceId.ToHexString(),
        };
    }

    private static string? Value(Microsoft.Extensions.Primitives.StringValues values) => values.Count == 0 ? null : values.ToString();

    private static string? Bounded(string? text, int length) => text is null || text.Length <= length ? text : string.Concat(text.AsSpan(0, length - Cut.Length), Cut);
}

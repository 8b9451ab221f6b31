using System.Diagnostics;
using System.Globalization;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Live;
using Alicia.Proxy.Routing;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// The spans of one request: a server span for the request, and a client span for each attempt, named and described by the semantic conventions for HTTP. Nothing is
/// made unless somebody listens to <see cref="SourceName"/>.
/// </summary>
internal static class RequestSpans
{
    public const string SourceName = "Alicia.Proxy";

    private const string OtherMethod = "_OTHER";

    private static readonly ActivitySource Source = new(SourceName);

    /// <summary>True when <paramref name="field"/> belongs to the trace and is the proxy's to write once the request is traced.</summary>
    public static bool IsTraceField(string field) =>
        field.Equals("traceparent", StringComparison.OrdinalIgnoreCase) || field.Equals("tracestate", StringComparison.OrdinalIgnoreCase);

    /// <summary>The request's server span: a child of the caller's span where the caller named one, else the root of a new trace. Null when nobody listens.</summary>
    public static Activity? StartRequest(HttpContext context)
    {
        if (!Source.HasListeners())
            return null;
        var request = context.Request;
        ActivityContext parent = default;
        // A trace field that came twice, or that means nothing, starts a new trace (W3C Trace Context, section 4.3).
        if (request.Headers.TraceParent is [{ } traceParent])
            ActivityContext.TryParse(traceParent, StateOf(request.Headers.TraceState), isRemote: true, out parent);
        var method = MethodOf(request.Method);
        var span = Source.StartActivity(NameOf(method), ActivityKind.Server, parent);
        if (span is not { IsAllDataRequested: true })
            return span;

        SetMethod(span, method, request.Method);
        var target = RequestTarget.PathAndQuery(context.Features.Get<IHttpRequestFeature>()!.RawTarget).AsSpan();
        var query = target.IndexOf('?');
        span.SetTag("url.scheme", request.Scheme);
        span.SetTag("url.path", (query < 0 ? target : target[..query]).ToString());
        if (query >= 0)
            span.SetTag("url.query", Redaction.Target(target[query..].ToString())[1..]);
        if (request.Host is { HasValue: true } host)
        {
            span.SetTag("server.address", host.Host);
            if (host.Port is { } port)
                span.SetTag("server.port", port);
        }

        var client = context.Connection.RemoteIpAddress;
        span.SetTag("client.address", (client is { IsIPv4MappedToIPv6: true } ? client.MapToIPv4() : client)?.ToString());
        span.SetTag("network.protocol.version", VersionOf(request.Protocol));
        if (request.Headers.UserAgent is { Count: > 0 } agent)
            span.SetTag("user_agent.original", agent.ToString());
        return span;
    }

    /// <summary>Describes the answer and ends the request's span.</summary>
    /// <param name="span">The request's.</param>
    /// <param name="record">What the forwarder says.</param>
    /// <param name="context">The request, at its end.</param>
    /// <param name="status">What the caller got; null when it left before there was an answer.</param>
    /// <param name="outcome">What the request came to.</param>
    public static void EndRequest(Activity span, RequestRecord record, HttpContext context, int? status, RequestOutcome outcome)
    {
        if (span.IsAllDataRequested)
        {
            span.SetTag("alicia.request_id", context.TraceIdentifier);
            span.SetTag("alicia.service", record.Service);
            span.SetTag("alicia.instance_id", record.Endpoint?.InstanceId);
            span.SetTag("alicia.outcome", outcome.ToString().ToLowerInvariant());
            span.SetTag("http.response.status_code", status);
            // Of a server, its own errors count; what the caller did wrong does not.
            if (status >= 500 || outcome is RequestOutcome.Failure or RequestOutcome.Error)
                SetError(span, record.Error?.Type ?? (status is >= 500 and var failure ? Text(failure) : ProxyError.ConnectionTerminated.Type));
        }

        span.Stop();
    }

    /// <summary>The client span of one attempt; null when the trace is not recorded.</summary>
    public static Activity? StartAttempt(Activity parent, HttpContext context, string service, UpstreamEndpoint endpoint, string target, int attempt)
    {
        var method = MethodOf(context.Request.Method);
        var span = Source.StartActivity(NameOf(method), ActivityKind.Client, parent.Context);
        if (span is not { IsAllDataRequested: true })
            return span;
        SetMethod(span, method, context.Request.Method);
        span.SetTag("server.address", endpoint.Host);
        span.SetTag("server.port", endpoint.Port);
        span.SetTag("url.full", string.Concat(endpoint.Url.AsSpan().TrimEnd('/'), Redaction.Target(target)));
        span.SetTag("alicia.service", service);
        span.SetTag("alicia.instance_id", endpoint.InstanceId);
        if (attempt > 1)
            span.SetTag("http.request.resend_count", attempt - 1);
        return span;
    }

    /// <summary>Describes what came of the attempt and ends its span.</summary>
    public static void EndAttempt(Activity span, RequestRecord record, ProxyError? failure)
    {
        if (span.IsAllDataRequested)
        {
            if (record.Slot is { } slot)
            {
                span.SetTag("network.peer.address", slot.Address.ToString());
                span.SetTag("network.peer.port", slot.Endpoint.Port);
            }

            if (record.HeadStatus > 0)
                span.SetTag("http.response.status_code", record.HeadStatus);
            if (failure is not null)
                SetError(span, failure.Type);
            else if (record.HeadStatus >= 400)
                SetError(span, Text(record.HeadStatus));
            else if (record.Outcome == RequestOutcome.Failure)
                SetError(span, ProxyError.ConnectionTerminated.Type);
        }

        span.Stop();
    }

    private static void SetError(Activity span, string type)
    {
        span.SetTag("error.type", type);
        span.SetStatus(ActivityStatusCode.Error);
    }

    private static void SetMethod(Activity span, string method, string original)
    {
        span.SetTag("http.request.method", method);
        if (!ReferenceEquals(method, original) && method != original)
            span.SetTag("http.request.method_original", original);
    }

    /// <summary>Methods are whatever a caller writes; only known ones may name spans.</summary>
    private static string MethodOf(string method) => method switch
    {
        "GET" or "POST" or "PUT" or "DELETE" or "HEAD" or "OPTIONS" or "PATCH" or "TRACE" or "CONNECT" => method,
        _ => OtherMethod,
    };

    private static string NameOf(string method) => method == OtherMethod ? "HTTP" : method;

    private static string? StateOf(StringValues state) => state.Count switch
    {
        0 => null,
        1 => state[0],
        _ => string.Join(",", (IEnumerable<string?>)state),
    };

    private static string VersionOf(string protocol) => HttpProtocol.IsHttp2(protocol) ? "2" : HttpProtocol.IsHttp11(protocol) ? "1.1" : HttpProtocol.IsHttp10(protocol) ? "1.0" : "3";

    private static string Text(int status) => status.ToString(CultureInfo.InvariantCulture);
}

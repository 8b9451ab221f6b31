using Alicia.Proxy.Callers;
using Alicia.Proxy.Http1;
using Alicia.Proxy.Live;
using Alicia.Proxy.Routing;
using Microsoft.AspNetCore.Http.Features;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// The proxy listener's pipeline around YARP's routing: refuses targets that could mean two things before anything is matched, and at its end finds the
/// service and forwards.
/// </summary>
internal sealed partial class DataPlane(SnapshotPublisher publisher, RequestForwarder forwarder, LiveTable lives, RequestIds ids, CallerLimits limits, ILogger<DataPlane> logger)
{
    /// <summary>First middleware. Runs before routing.</summary>
    public async Task GuardAsync(HttpContext context, RequestDelegate next)
    {
        ids.Assign(context);
        if (context.Request.Headers.Upgrade.Count > 0)
            CallerGuard.WatchUpgrade(context);
        var rawTarget = RawTarget(context);
        if (HttpProtocol.IsHttp2(context.Request.Protocol) && Http2Request.Check(context.Request, rawTarget, limits.Current.Requests) is { } fault)
        {
            await RefuseAsync(context, fault.Status, fault.Detail);
            return;
        }

        var target = RequestTarget.PathAndQuery(rawTarget);
        if (HttpMethods.IsConnect(context.Request.Method) && context.Features.Get<IHttpExtendedConnectFeature>() is not { IsExtendedConnect: true })
        {
            await RefuseAsync(context, StatusCodes.Status405MethodNotAllowed, "This is a reverse proxy; it opens no tunnels.");
            return;
        }

        if (target.Length == 0)
        {
            // Perhaps this stands for a request that the server was not even shown.
            if (context.Features.Get<GuardedInput>()?.Refusal is { } refusal)
            {
                // Logs are to tell of the caller's, of which nothing is known for sure, and not of the stand-in.
                var standIn = context.Features.Get<IHttpRequestFeature>()!;
                (standIn.Method, standIn.RawTarget) = ("-", "-");
                context.Request.Headers.Remove("Host");
                await RefuseAsync(context, refusal.Status, refusal.Detail);
                return;
            }

            await RefuseAsync(context, StatusCodes.Status400BadRequest, "The target '*' names no service.");
            return;
        }

        // The server takes chunks apart and leaves any other coding on: the instance would take gzip for the body itself.
        if (context.Request.Headers.TransferEncoding is { Count: > 0 } codings && !HopByHop.IsChunkedAlone(codings))
        {
            await RefuseAsync(context, StatusCodes.Status400BadRequest, "The only transfer coding that is taken is 'chunked'.");
            return;
        }

        if (RequestTarget.HasDotSegments(target))
        {
            await RefuseAsync(context, StatusCodes.Status400BadRequest, "The target has dot segments, plain or encoded.");
            return;
        }

        if (limits.Current.Requests.BodyBytes is { } most)
        {
            if (context.Request.ContentLength > most)
            {
                await RefuseAsync(context, RequestFault.BodyTooLarge.Status, RequestFault.BodyTooLarge.Detail);
                return;
            }

            // Of a body that does not say how long it is, the server counts the bytes.
            if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } body)
                body.MaxRequestBodySize = most;
        }

        try
        {
            await next(context);
        }
        catch (BadHttpRequestException e)
        {
            // From an exchange, which has counted it.
            await ProxyAnswer.WriteAsync(context, ProxyError.BadRequest(e.StatusCode), e.Message);
        }
        catch (Exception e) when (!context.RequestAborted.IsCancellationRequested)
        {
            LogInternal(logger, context.Request.Method, context.TraceIdentifier, e);
            if (context.Response.HasStarted)
                context.Abort();
            else
                await ProxyAnswer.WriteAsync(context, ProxyError.Internal, "The proxy failed; its log says why.");
        }
    }

    /// <summary>Leaves out YARP's routing while no service declares routes: it would find the catch-all, which says nothing.</summary>
    public Task RouteAsync(HttpContext context, RequestDelegate next) => publisher.HasDeclaredRoutes ? next(context) : ForwardAsync(context);

    /// <summary>The end of YARP's pipeline. Finds the service: by the declared route that matched, else by host, prefix or default.</summary>
    public Task ForwardAsync(HttpContext context)
    {
        var target = RequestTarget.PathAndQuery(RawTarget(context));
        var table = publisher.Table;
        if (context.GetEndpoint()?.Metadata.GetMetadata<DeclaredRouteMatch>() is { } declared && table.TryGet(declared.Service, out var byRoute))
        {
            var prefix = declared.StripPrefix ?? "";
            return forwarder.ForwardAsync(context, byRoute, prefix.Length > 0 ? RequestTarget.Strip(target, prefix.Length) : target, prefix);
        }

        var upstream = table.Find(context.Request.Headers.Host.ToString(), target, out var prefixLength);
        if (upstream is null)
        {
            lives.Unknown.CountRejection(RejectReason.UnknownService, ProxyError.UnknownService.Status);
            return ProxyAnswer.WriteAsync(context, ProxyError.UnknownService, "No service is known by the request's host or first path segment.");
        }

        return prefixLength == 0
            ? forwarder.ForwardAsync(context, upstream, target, "")
            : forwarder.ForwardAsync(context, upstream, RequestTarget.Strip(target, prefixLength), "/" + upstream.Name);
    }

    /// <summary>Refuses a request before its service is known.</summary>
    private Task RefuseAsync(HttpContext context, int status, string detail)
    {
        lives.Unknown.CountRejection(RejectReason.BadRequest, status);
        return ProxyAnswer.WriteAsync(context, ProxyError.BadRequest(status), detail);
    }

    private static string RawTarget(HttpContext context) => context.Features.Get<IHttpRequestFeature>()!.RawTarget;

    [LoggerMessage(LogLevel.Error, "A {Method} request failed inside the proxy, request {RequestId}")]
    private static partial void LogInternal(ILogger logger, string method, string requestId, Exception error);
}

using Alicia.Proxy.Live;
using Alicia.Proxy.Routing;
using Microsoft.AspNetCore.Http.Features;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// The proxy listener's pipeline around YARP's routing: refuses targets that could mean two things before anything is matched, and at its end finds the
/// service and forwards.
/// </summary>
internal sealed partial class DataPlane(SnapshotPublisher publisher, RequestForwarder forwarder, LiveTable lives, RequestIds ids, ILogger<DataPlane> logger)
{
    /// <summary>First middleware. Runs before routing.</summary>
    public async Task GuardAsync(HttpContext context, RequestDelegate next)
    {
        ids.Assign(context);
        var target = RequestTarget.PathAndQuery(RawTarget(context));
        if (HttpMethods.IsConnect(context.Request.Method) && context.Features.Get<IHttpExtendedConnectFeature>() is not { IsExtendedConnect: true })
        {
            await RefuseAsync(context, StatusCodes.Status405MethodNotAllowed, "This is a reverse proxy; it opens no tunnels.");
            return;
        }

        if (target.Length == 0)
        {
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

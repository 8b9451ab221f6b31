using Alicia.Proxy.Admission;
using Alicia.Proxy.Balancing;
using Alicia.Proxy.Configuration;
using Alicia.Proxy.Forwarding;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Settings;
using Alicia.Proxy.Routing;
using Alicia.Proxy.Security;
using Microsoft.AspNetCore.Http.Features;

namespace Alicia.Proxy.Api;

/// <summary>Balancing for clients that connect themselves, and in-line forwarding through the management listener.</summary>
internal static class BalanceEndpoints
{
    private const string InlinePattern = "/services/{service}/balance/{**path}";

    public static void MapBalance(this IEndpointRouteBuilder api)
    {
        api.MapPost("/services/{service}/balance", PickAsync)
            .WithMetadata(new RequiredScope(ApiScopes.Admin), AnyBody.Allowed, ChangesNothing.Metadata)
            .WithName("PickInstance").WithTags("Balancing").WithSummary("Picks an instance as the proxy would now, without reserving it")
            .Produces<PickDocument>().Refuses(404, 503);
        api.MapMethods(InlinePattern, ["GET", "POST", "PUT", "PATCH", "DELETE"], ForwardAsync)
            .WithMetadata(new RequiredScope(ApiScopes.Admin), AnyBody.Allowed, ChangesNothing.Metadata)
            .WithName("ForwardInline").WithTags("Balancing").WithSummary("Forwards the request itself, whatever its method, to the picked instance")
            .WithDescription("The credential is taken off the request, Set-Cookie off the response, which gets Content-Security-Policy: sandbox. No body limit.")
            .Refuses(404, 503);
        // Any other method is forwarded too; a document cannot list them all.
        api.Map(InlinePattern, ForwardAsync).WithMetadata(new RequiredScope(ApiScopes.Admin), AnyBody.Allowed, ChangesNothing.Metadata).ExcludeFromDescription();
    }

    private static async Task<IResult> PickAsync(string service, HttpContext context, RegistryAccess access, RequestForwarder forwarder)
    {
        // Routing does not tell "balance" from "balance/"; the second is the in-line call for the path "/".
        if (InlineTarget(context, service) is not null)
        {
            await ForwardAsync(service, context, access, forwarder);
            return Results.Empty;
        }

        if (ManagementGuard.CheckBody(context.Request) is { } refusal)
            return Problems.Of(refusal.Status, refusal.Detail);
        if (!access.Publisher.Table.TryGet(service, out var upstream))
            return Problems.Of(Rejection.UnknownService(service));
        var state = upstream.State;
        return InstanceAdmission.Preview(state, context, out var member) switch
        {
            AdmissionResult.Admitted => Results.Json(PickDocument.Of(service, member, state.Settings.Get(SettingKeys.Algorithm)), Wire.Json),
            AdmissionResult.NoInstance => Problems.Of(503, $"Service '{service}' has no instance that takes requests.", retryAfter: state.RetryAfterSeconds()),
            _ => Problems.Of(503, $"Every instance of service '{service}' is at its connection limit.", retryAfter: 1),
        };
    }

    private static async Task ForwardAsync(string service, HttpContext context, RegistryAccess access, RequestForwarder forwarder)
    {
        if (InlineTarget(context, service) is not { } target)
        {
            context.Response.Headers.Allow = "POST";
            await Problems.Of(StatusCodes.Status405MethodNotAllowed, "Picking is POST; in-line forwarding needs a path, at least '/'.").ExecuteAsync(context);
            return;
        }

        if (!access.Publisher.Table.TryGet(service, out var upstream))
        {
            await Problems.Of(Rejection.UnknownService(service)).ExecuteAsync(context);
            return;
        }

        if (context.Request.Headers.TransferEncoding is { Count: > 0 } codings && !HopByHop.IsChunkedAlone(codings))
        {
            await Problems.Of(StatusCodes.Status400BadRequest, "The only transfer coding that is taken is 'chunked'.").ExecuteAsync(context);
            return;
        }

        if (RequestTarget.HasDotSegments(target))
        {
            await Problems.Of(StatusCodes.Status400BadRequest, "The target has dot segments, plain or encoded.").ExecuteAsync(context);
            return;
        }

        await forwarder.ForwardAsync(context, upstream, target, $"/services/{service}/balance", InlineGuard.Instance);
    }

    /// <summary>What follows <c>/services/{service}/balance</c> in the raw target; null when nothing does, or when the beginning is not spelt plainly.</summary>
    private static string? InlineTarget(HttpContext context, string service)
    {
        var target = RequestTarget.PathAndQuery(context.Features.Get<IHttpRequestFeature>()!.RawTarget);
        var prefix = $"/services/{service}/balance";
        return target.Length > prefix.Length && target.StartsWith(prefix, StringComparison.Ordinal) && target[prefix.Length] == '/' ? target[prefix.Length..] : null;
    }

    /// <summary>Keeps management's credentials from instances, and what instances send from acting in management's origin.</summary>
    private sealed class InlineGuard : IInlineGuard
    {
        public static readonly InlineGuard Instance = new();

        public bool Removes(string requestField) =>
            requestField.Equals("Authorization", StringComparison.OrdinalIgnoreCase) || requestField.Equals("Cookie", StringComparison.OrdinalIgnoreCase);

        public void Amend(IHeaderDictionary responseFields)
        {
            responseFields.Remove("Set-Cookie");
            responseFields.ContentSecurityPolicy = "sandbox";
        }
    }
}

/// <summary>The picked instance and how to reach it.</summary>
internal sealed record PickDocument(string ServiceName, string InstanceId, string InstanceHost, int InstancePort, string Url, string Algorithm)
{
    public static PickDocument Of(string service, PoolMember member, string algorithm) =>
        new(service, member.Endpoint.InstanceId, member.Endpoint.Host, member.Endpoint.Port, member.Endpoint.Url.TrimEnd('/'), algorithm);
}

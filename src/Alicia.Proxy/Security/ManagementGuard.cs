using System.Net;
using Alicia.Proxy.Configuration;

namespace Alicia.Proxy.Security;

/// <summary>A refused management request: status, one sentence, and why.</summary>
internal readonly record struct Refusal(int Status, string Detail, AccessRefusal Reason)
{
    /// <summary>True when the caller should be asked for a credential.</summary>
    public bool Challenge => Status == StatusCodes.Status401Unauthorized;
}

/// <summary>
/// Decides who may use the management listener: where configuration names credentials, whoever brings one with the right scope, or the session that the status page got for a key;
/// otherwise only programs on this machine that address it by a loopback name. Pages of others are kept out of both by Origin and media type.
/// </summary>
internal sealed class ManagementGuard(CurrentConfiguration configuration, Credentials credentials, WrongCredentials wrong, AccessCounters counters)
{
    /// <summary>Checks a request for an endpoint. A wrong credential is held back here.</summary>
    /// <param name="context">The request, routed.</param>
    /// <param name="service">Service that the route names, or null.</param>
    /// <returns>Null when the request may pass.</returns>
    public async ValueTask<Refusal?> CheckAsync(HttpContext context, string? service)
    {
        var refusal = await CheckAllAsync(context, service);
        if (refusal is not { } refused)
            return null;
        if (refused.Reason == AccessRefusal.WrongCredential && !await wrong.HoldAsync(context.Connection.RemoteIpAddress, always: false, context.RequestAborted))
            refused = TurnedAway;
        counters.Count(refused.Reason);
        return refused;
    }

    /// <summary>For those of whom too many wait already.</summary>
    public static Refusal TurnedAway { get; } =
        new(StatusCodes.Status429TooManyRequests, "Too many wrong credentials came from this address at once.", AccessRefusal.TurnedAway);

    /// <summary>Refuses a body that is not JSON; without one, anything goes.</summary>
    public static Refusal? CheckBody(HttpRequest request) => HasBody(request) && !IsJson(request.ContentType)
        ? new Refusal(StatusCodes.Status415UnsupportedMediaType, "The body must be application/json.", AccessRefusal.Foreign)
        : null;

    /// <summary>
    /// True while who was let in would still be known: its key has not gone from the configuration, its session or token has not ended. For answers that last.
    /// </summary>
    public bool StillKnows(HttpContext context) =>
        !configuration.Value.AsksForCredentials || (context.Features.Get<Caller>() is { } caller && credentials.StillGood(context, caller));

    private async ValueTask<Refusal?> CheckAllAsync(HttpContext context, string? service)
    {
        var request = context.Request;
        var asks = configuration.Value.AsksForCredentials;
        if (!asks && !IsLoopbackHost(request.Host.Host))
            return Foreign("Without API keys, management answers only to loopback host names (localhost, 127.0.0.1, [::1]).");
        if (request.Headers.Origin is { Count: > 0 } origin && !IsOwnOrigin(origin.ToString(), request))
            return Foreign("Requests from pages of another origin are refused.");
        if (asks && CheckWhatBrowsersAdd(context) is { } foreign)
            return foreign;

        var endpoint = context.GetEndpoint();
        // The docs page is files, not an endpoint; reading it is a GET like any other.
        var scope = endpoint is null && request.Path.StartsWithSegments("/docs") ? ApiScopes.Read : endpoint?.Metadata.GetMetadata<RequiredScope>()?.Scope;
        var showsAll = endpoint?.Metadata.GetMetadata<OpenWhenMetricsArePublic>() is not null;
        if (showsAll && configuration.Value.MetricsArePublic)
            scope = ApiScopes.None;
        if (asks && scope != ApiScopes.None && await CheckCallerAsync(context, scope, service, showsAll) is { } refusal)
            return refusal;
        return endpoint?.Metadata.GetMetadata<AnyBody>() is null ? CheckBody(request) : null;
    }

    /// <summary>
    /// A browser adds the cookie, and the client certificate, to whatever request any page makes it send, and to it another port of this host is the same site. So they alone are not
    /// taken as somebody's will: what the cookie changes must say that it comes from our own page, and nothing may say that it comes from another, but for following a link to here.
    /// </summary>
    private static Refusal? CheckWhatBrowsersAdd(HttpContext context)
    {
        var request = context.Request;
        var cookie = Credentials.Cookie(request) is not null;
        if (!cookie && (request.Headers.Authorization.Count > 0 || context.Connection.ClientCertificate is null))
            return null;
        var changes = !HttpMethods.IsGet(request.Method) && !HttpMethods.IsHead(request.Method);
        if (cookie && changes && request.Headers.Origin.Count == 0)
            return Foreign("A change by the status page's cookie must come from the status page: the request has no Origin.");
        return request.Headers["Sec-Fetch-Site"].ToString() is "" or "same-origin" or "none" || (!changes && request.Headers["Sec-Fetch-Mode"] == "navigate")
            ? null
            : Foreign("The status page's cookie and client certificates are good for requests of the status page only.");
    }

    private async ValueTask<Refusal?> CheckCallerAsync(HttpContext context, ApiScopes? scope, string? service, bool showsAll)
    {
        var (caller, unknown) = await credentials.RecogniseAsync(context);
        if (caller is null)
            return unknown;
        context.Features.Set(caller);
        if (scope is { } needed && (caller.Scopes & needed) == 0)
            return Forbidden($"The {caller.Credential} does not have the scope {needed.ToString().ToLowerInvariant()}.");
        if (caller.Services is { } services && service is not null && !services.Contains(service))
            return Forbidden($"The {caller.Credential} is not good for service '{service}'.");
        if (caller.Services is not null && service is null && (showsAll || scope is not (null or ApiScopes.Read)))
            return Forbidden($"The {caller.Credential} is good for some services only.");
        if (caller.Services is { } visible)
            context.Features.Set(new VisibleServices(visible));
        return null;
    }

    private static Refusal Foreign(string detail) => new(StatusCodes.Status403Forbidden, detail, AccessRefusal.Foreign);

    private static Refusal Forbidden(string detail) => new(StatusCodes.Status403Forbidden, detail, AccessRefusal.Forbidden);

    private static bool IsLoopbackHost(string host) =>
        host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address));

    /// <summary>
    /// Behind somebody who ends TLS, the browser's origin is https and the request is not. The browser itself says then that the request comes from the same
    /// origin; a page cannot.
    /// </summary>
    private static bool IsOwnOrigin(string origin, HttpRequest request) =>
        origin.Equals($"{request.Scheme}://{request.Host.Value}", StringComparison.OrdinalIgnoreCase)
        || (origin.Equals($"https://{request.Host.Value}", StringComparison.OrdinalIgnoreCase) && request.Headers["Sec-Fetch-Site"] == "same-origin");

    private static bool HasBody(HttpRequest request) =>
        request.ContentLength > 0 || (request.ContentLength is null
            && request.HttpContext.Features.Get<Microsoft.AspNetCore.Http.Features.IHttpRequestBodyDetectionFeature>()?.CanHaveBody == true);

    private static bool IsJson(string? contentType) =>
        Microsoft.Net.Http.Headers.MediaTypeHeaderValue.TryParse(contentType, out var type)
        && type.MediaType.Equals("application/json", StringComparison.OrdinalIgnoreCase)
        && (!type.Charset.HasValue || type.Charset.Equals("utf-8", StringComparison.OrdinalIgnoreCase) || type.Charset.Equals("\"utf-8\"", StringComparison.OrdinalIgnoreCase));
}

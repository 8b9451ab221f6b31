using System.Net;
using System.Security.Cryptography;
using System.Text;
using Alicia.Proxy.Configuration;

namespace Alicia.Proxy.Security;

/// <summary>A refused management request: status, one sentence, and whether to ask for a key.</summary>
internal readonly record struct Refusal(int Status, string Detail, bool Challenge = false);

/// <summary>
/// Decides who may use the management listener: with keys, whoever brings one with the right scope, or the session that the status page got for one; without any,
/// only programs on this machine that address it by a loopback name. Pages of others are kept out of both by Origin and media type.
/// </summary>
internal sealed class ManagementGuard(CurrentConfiguration configuration, Sessions sessions)
{
    /// <summary>Longest credential that is hashed; real keys are far shorter.</summary>
    private const int MaxCredential = 1024;

    /// <summary>Checks a request for an endpoint.</summary>
    /// <param name="context">The request, routed.</param>
    /// <param name="service">Service that the route names, or null.</param>
    /// <returns>Null when the request may pass.</returns>
    public Refusal? Check(HttpContext context, string? service)
    {
        var request = context.Request;
        var keys = configuration.Value.ApiKeys;
        if (keys.IsEmpty && !IsLoopbackHost(request.Host.Host))
            return new Refusal(StatusCodes.Status403Forbidden, "Without API keys, management answers only to loopback host names (localhost, 127.0.0.1, [::1]).");
        if (request.Headers.Origin is { Count: > 0 } origin && !IsOwnOrigin(origin.ToString(), request))
            return new Refusal(StatusCodes.Status403Forbidden, "Requests from pages of another origin are refused.");

        if (!keys.IsEmpty && Cookie(request) is not null && CheckOwnPage(request) is { } foreign)
            return foreign;

        var endpoint = context.GetEndpoint();
        // The docs page is files, not an endpoint; reading it is a GET like any other.
        var scope = endpoint is null && request.Path.StartsWithSegments("/docs") ? ApiScopes.Read : endpoint?.Metadata.GetMetadata<RequiredScope>()?.Scope;
        var showsAll = endpoint?.Metadata.GetMetadata<OpenWhenMetricsArePublic>() is not null;
        if (showsAll && configuration.Value.MetricsArePublic)
            scope = ApiScopes.None;
        if (!keys.IsEmpty && scope != ApiScopes.None && CheckKey(request, keys, scope, service, showsAll) is { } refusal)
            return refusal;
        return endpoint?.Metadata.GetMetadata<AnyBody>() is null ? CheckBody(request) : null;
    }

    /// <summary>Refuses a body that is not JSON; without one, anything goes.</summary>
    public static Refusal? CheckBody(HttpRequest request) => HasBody(request) && !IsJson(request.ContentType)
        ? new Refusal(StatusCodes.Status415UnsupportedMediaType, "The body must be application/json.")
        : null;

    /// <summary>
    /// True while who was let in would still be known: its key has not gone from the configuration, its session has not ended. For answers that last.
    /// </summary>
    public bool StillKnows(HttpContext context)
    {
        var keys = configuration.Value.ApiKeys;
        return keys.IsEmpty || Recognise(context.Request, keys, out _) is null;
    }

    /// <summary>Token of the session that a request comes with, or null. A request that brings a key means the key.</summary>
    public static string? Cookie(HttpRequest request) =>
        request.Headers.Authorization.Count == 0 && request.Cookies[Sessions.Cookie] is { Length: > 0 } token ? token : null;

    /// <summary>The key that a credential is, or null. Compares hashes in constant time, and all of them, so that timing tells nothing about keys.</summary>
    public static ApiKey? Find(IReadOnlyList<ApiKey> keys, string credential)
    {
        if (credential.Length > MaxCredential)
            return null;
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(credential), hash);
        ApiKey? found = null;
        foreach (var key in keys)
        {
            if (CryptographicOperations.FixedTimeEquals(hash, key.KeySha256.AsSpan()))
                found = key;
        }

        return found;
    }

    /// <summary>
    /// A browser adds the cookie to whatever request any page makes it send, and to it another port of this host is the same site. So the cookie alone is not taken as
    /// somebody's will: what changes anything must say that it comes from our own page, and nothing may say that it comes from another, but for following a link to here.
    /// </summary>
    private static Refusal? CheckOwnPage(HttpRequest request)
    {
        var changes = !HttpMethods.IsGet(request.Method) && !HttpMethods.IsHead(request.Method);
        if (changes && request.Headers.Origin.Count == 0)
            return new Refusal(StatusCodes.Status403Forbidden, "A change by the status page's cookie must come from the status page: the request has no Origin.");
        return request.Headers["Sec-Fetch-Site"].ToString() is "" or "same-origin" or "none" || (!changes && request.Headers["Sec-Fetch-Mode"] == "navigate")
            ? null
            : new Refusal(StatusCodes.Status403Forbidden, "The status page's cookie is good for requests of the status page only.");
    }

    private Refusal? CheckKey(HttpRequest request, IReadOnlyList<ApiKey> keys, ApiScopes? scope, string? service, bool showsAll)
    {
        if (Recognise(request, keys, out var key) is { } unknown)
            return unknown;
        request.HttpContext.Features.Set(new Caller(key));
        if (scope is { } needed && (key.Scopes & needed) == 0)
            return new Refusal(StatusCodes.Status403Forbidden, $"The API key '{key.Name}' does not have the scope {needed.ToString().ToLowerInvariant()}.");
        if (key.Services is { } services && service is not null && !services.Contains(service))
            return new Refusal(StatusCodes.Status403Forbidden, $"The API key '{key.Name}' is not good for service '{service}'.");
        if (key.Services is not null && service is null && (showsAll || scope is not (null or ApiScopes.Read)))
            return new Refusal(StatusCodes.Status403Forbidden, $"The API key '{key.Name}' is good for some services only.");
        if (key.Services is { } visible)
            request.HttpContext.Features.Set(new VisibleServices(visible));
        return null;
    }

    private Refusal? Recognise(HttpRequest request, IReadOnlyList<ApiKey> keys, out ApiKey key)
    {
        const string Bearer = "Bearer ";
        var authorization = request.Headers.Authorization.ToString();
        string fault;
        if (authorization.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase))
            (key, fault) = (Find(keys, authorization[Bearer.Length..].Trim())!, "The API key is not valid.");
        else if (Cookie(request) is { } token)
            (key, fault) = (sessions.Find(token, keys)!, "The session has ended; sign in again.");
        else
            (key, fault) = (null!, "An API key is required: Authorization: Bearer <key>.");
        return key is null ? new Refusal(StatusCodes.Status401Unauthorized, fault, Challenge: true) : null;
    }

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

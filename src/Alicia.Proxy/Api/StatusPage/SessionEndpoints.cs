using Alicia.Proxy.Configuration;
using Alicia.Proxy.Security;

namespace Alicia.Proxy.Api.StatusPage;

/// <summary>
/// Signing in to the status page, and out: a key is traded for a cookie that scripts cannot read and that only the page itself can use. Programs have no need of
/// it; they send their key with each call.
/// </summary>
internal static class SessionEndpoints
{
    public static void MapSession(this IEndpointRouteBuilder api)
    {
        // Any valid key will do, so there is no scope to ask for.
        api.MapMethods("/session", ["GET", "HEAD"], Who)
            .WithName("GetSession").WithTags("Session").WithSummary("Says who is asking and what that opens")
            .Produces<SessionDocument>().Refuses(401);
        api.MapPost("/session", BeginAsync)
            .WithMetadata(new RequiredScope(ApiScopes.None))
            .WithName("BeginSession").WithTags("Session").WithSummary("Trades an API key for the status page's cookie")
            .WithDescription("A wrong key is answered late.")
            .Accepts<SessionRequestDocument>("application/json").Produces<SessionDocument>().Refuses(400, 401, 403, 409, 413, 415, 429);
        api.MapDelete("/session", End)
            .WithMetadata(new RequiredScope(ApiScopes.None))
            .WithName("EndSession").WithTags("Session").WithSummary("Ends the session of the cookie").Produces(204).Refuses(403);
    }

    private static IResult Who(HttpContext context)
    {
        context.Response.Headers.CacheControl = "no-store";
        return Results.Json(SessionDocument.Of(context.Features.Get<Caller>()), Wire.Json);
    }

    private static async Task<IResult> BeginAsync(HttpContext context, CurrentConfiguration configuration, Sessions sessions, WrongCredentials wrong, AccessCounters counters)
    {
        var (body, problem) = await WireBody.ReadAsync(context);
        if (body is null)
            return problem!;
        var text = body.Text("key");
        body.RejectUnknown();
        if (string.IsNullOrEmpty(text))
            body.Faults.AddIfNone("key", "is required");
        if (body.Faults.Any)
            return Problems.Invalid(body.Faults);
        var keys = configuration.Value.ApiKeys;
        if (keys.IsEmpty)
            return Problems.Of(StatusCodes.Status409Conflict, configuration.Value.AsksForCredentials
                ? "No API keys are configured, and nothing else can be traded for a session."
                : "No API keys are configured: management is open to this machine, and nobody needs to sign in.");
        if (Credentials.Find(keys, text!.Trim()) is not { } key)
        {
            if (!await wrong.HoldAsync(context.Connection.RemoteIpAddress, always: true, context.RequestAborted))
            {
                counters.Count(AccessRefusal.TurnedAway);
                return Problems.Of(StatusCodes.Status429TooManyRequests, "Too many wrong keys at once.", retryAfter: (int)WrongCredentials.Pause.TotalSeconds);
            }

            counters.Count(AccessRefusal.WrongCredential);
            context.Response.Headers.WWWAuthenticate = "Bearer realm=\"alicia\"";
            return Problems.Of(StatusCodes.Status401Unauthorized, "The API key is not valid.");
        }

        if (Credentials.Cookie(context.Request) is { } previous)
            sessions.End(previous);
        var caller = Caller.Of(CallerKind.ApiKey, key);
        context.Features.Set(caller);
        AuditNote.Done(context, "signed in to the status page");
        context.Response.Cookies.Append(Sessions.Cookie, sessions.Begin(key), CookieOptions(context, Sessions.Lifetime));
        context.Response.Headers.CacheControl = "no-store";
        return Results.Json(SessionDocument.Of(caller), Wire.Json);
    }

    private static IResult End(HttpContext context, CurrentConfiguration configuration, Sessions sessions)
    {
        if (Credentials.Cookie(context.Request) is { } token)
        {
            if (sessions.Find(token, configuration.Value.ApiKeys) is { } key)
            {
                context.Features.Set(Caller.Of(CallerKind.Session, key));
                AuditNote.Done(context, "signed out of the status page");
            }

            sessions.End(token);
        }

        AuditNote.Unchanged(context);
        context.Response.Cookies.Append(Sessions.Cookie, "", CookieOptions(context, TimeSpan.Zero));
        return Results.NoContent();
    }

    private static CookieOptions CookieOptions(HttpContext context, TimeSpan lifetime) => new()
    {
        HttpOnly = true,
        SameSite = SameSiteMode.Strict,
        // The origin has been found to be our own; behind somebody who ends TLS it is what tells of it.
        Secure = context.Request.IsHttps || context.Request.Headers.Origin.ToString().StartsWith("https://", StringComparison.OrdinalIgnoreCase),
        Path = "/",
        MaxAge = lifetime,
    };
}

/// <summary>A key to be traded for a session.</summary>
internal sealed record SessionRequestDocument(string Key);

/// <summary>Who is asking.</summary>
/// <param name="Name">Name of the key or certificate, or whom a token is for; null where no credentials are asked for.</param>
/// <param name="Scopes">What it opens.</param>
/// <param name="Services">The only services that it opens it for; null for all.</param>
internal sealed record SessionDocument(string? Name, IReadOnlyList<string> Scopes, IReadOnlyList<string>? Services)
{
    private static readonly ApiScopes[] AllScopes = [ApiScopes.Read, ApiScopes.Register, ApiScopes.Admin];

    /// <param name="caller">Null for somebody who needs no credential.</param>
    public static SessionDocument Of(Caller? caller) => new(
        caller?.Name,
        [.. AllScopes.Where(scope => caller is null || (caller.Scopes & scope) != 0).Select(scope => scope.ToString().ToLowerInvariant())],
        caller?.Services?.ToArray());
}

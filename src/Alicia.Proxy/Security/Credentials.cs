using System.Security.Cryptography;
using System.Text;
using Alicia.Proxy.Configuration;

namespace Alicia.Proxy.Security;

/// <summary>Recognises callers by what they bring: an API key or a token in Authorization, else the status page's cookie, else a client certificate.</summary>
internal sealed class Credentials(CurrentConfiguration configuration, Sessions sessions, JwtTokens tokens, ClientCertificates certificates, TimeProvider time)
{
    /// <summary>Longest API key that is hashed; real ones are far shorter.</summary>
    private const int MaxKey = 1024;

    private const string Bearer = "Bearer ";

    /// <summary>Token of the session that a request comes with, or null. A request that brings a key means the key.</summary>
    public static string? Cookie(HttpRequest request) =>
        request.Headers.Authorization.Count == 0 && request.Cookies[Sessions.Cookie] is { Length: > 0 } token ? token : null;

    /// <summary>The key that a credential is, or null. Compares hashes in constant time, and all of them, so that timing tells nothing about keys.</summary>
    public static ApiKey? Find(IReadOnlyList<ApiKey> keys, string credential)
    {
        if (credential.Length > MaxKey)
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

    /// <returns>The caller; or why nobody was recognised.</returns>
    public async ValueTask<(Caller? Caller, Refusal? Refusal)> RecogniseAsync(HttpContext context)
    {
        var request = context.Request;
        var current = configuration.Value;
        var authorization = request.Headers.Authorization.ToString();
        if (authorization.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase))
        {
            var credential = authorization[Bearer.Length..].Trim();
            if (Find(current.ApiKeys, credential) is { } key)
                return (Caller.Of(CallerKind.ApiKey, key), null);
            if (current.Jwt is null || !JwtTokens.LooksLikeOne(credential))
                return (null, Wrong(current.ApiKeys.IsEmpty ? "The token is not valid." : "The API key is not valid."));
            var result = await tokens.CheckAsync(context);
            return result.Unverifiable ? (null, new Refusal(StatusCodes.Status503ServiceUnavailable, "Tokens cannot be checked at the moment.", AccessRefusal.Unverifiable))
                : result.Caller is { } bearer ? (bearer, null)
                : (null, Wrong("The token is not valid, or not any more."));
        }

        if (Cookie(request) is { } token)
        {
            // Not a guess: the page goes on asking with the cookie of a session that has ended.
            return sessions.Find(token, current.ApiKeys) is { } key
                ? (Caller.Of(CallerKind.Session, key), null)
                : (null, Missing("The session has ended; sign in again."));
        }

        if (!current.ClientCertificates.IsEmpty && context.Connection.ClientCertificate is { } certificate)
        {
            return certificates.Find(current.ClientCertificates, certificate) is { } entry
                ? (new Caller(CallerKind.Certificate, entry.Name, entry.Scopes, entry.Services, entry, certificate.NotAfter.ToUniversalTime()), null)
                : (null, Wrong("The client certificate is not one that management takes."));
        }

        return (null, Missing(current switch
        {
            { Jwt: null, ApiKeys.IsEmpty: true } => "A client certificate is required.",
            { ApiKeys.IsEmpty: true } => "A token is required: Authorization: Bearer <token>.",
            _ => "An API key is required: Authorization: Bearer <key>.",
        }));
    }

    /// <summary>True while what let a caller in still stands: its entry has not gone from the configuration, its session or its time has not ended.</summary>
    public bool StillGood(HttpContext context, Caller caller)
    {
        var current = configuration.Value;
        if (caller.Ends is { } ends && time.GetUtcNow() > ends)
            return false;
        return caller.Kind switch
        {
            CallerKind.ApiKey => current.ApiKeys.Any(k => k.KeySha256.AsSpan().SequenceEqual(((ApiKey)caller.Grant).KeySha256.AsSpan())),
            CallerKind.Session => Cookie(context.Request) is { } token && sessions.Find(token, current.ApiKeys) is not null,
            CallerKind.Jwt => caller.Grant.Equals(current.Jwt),
            _ => context.Connection.ClientCertificate is { } certificate && certificates.Find(current.ClientCertificates, certificate) is not null,
        };
    }

    private static Refusal Wrong(string detail) => new(StatusCodes.Status401Unauthorized, detail, AccessRefusal.WrongCredential);

    private static Refusal Missing(string detail) => new(StatusCodes.Status401Unauthorized, detail, AccessRefusal.NoCredential);
}

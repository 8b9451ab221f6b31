using System.Collections.Immutable;
using Alicia.Proxy.Configuration;

namespace Alicia.Proxy.Security;

/// <summary>By what a caller was recognised.</summary>
internal enum CallerKind
{
    ApiKey,

    /// <summary>The status page's cookie, which stands for an API key.</summary>
    Session,
    Jwt,
    Certificate,
}

/// <summary>Request feature: who calls. Where configuration asks for no credentials there is none.</summary>
/// <param name="Kind">By what.</param>
/// <param name="Name">Name of the key or certificate in configuration, or what the token says; not secret, but strangers may have written it.</param>
/// <param name="Scopes">What it opens.</param>
/// <param name="Services">The only services that it is good for, or null for all.</param>
/// <param name="Grant">The entry of configuration that let the caller in.</param>
/// <param name="Ends">When what the caller brought ends by itself; null for never.</param>
internal sealed record Caller(CallerKind Kind, string Name, ApiScopes Scopes, ImmutableSortedSet<string>? Services, object Grant, DateTimeOffset? Ends = null)
{
    public static Caller Of(CallerKind kind, ApiKey key) => new(kind, key.Name, key.Scopes, key.Services, key);

    /// <summary>The credential for a sentence, such as <c>API key 'deploy'</c>.</summary>
    public string Credential => Kind switch
    {
        CallerKind.Jwt => $"token of '{Name}'",
        CallerKind.Certificate => $"client certificate '{Name}'",
        _ => $"API key '{Name}'",
    };
}

using System.Collections.Immutable;

namespace Alicia.Proxy.Configuration;

/// <summary>Tokens (JWT) that somebody else signs and management takes. Compared by value: a token is good for as long as what it was taken by stands unchanged.</summary>
internal sealed record JwtConfiguration
{
    /// <summary>Issuer whose metadata and keys are fetched, or null when <see cref="KeyFile"/> has the keys.</summary>
    public Uri? Authority { get; init; }

    /// <summary>Absolute path of a JWKS or PEM file, or null.</summary>
    public string? KeyFile { get; init; }

    /// <summary>The only issuer; null, with an authority only: the one that its metadata names.</summary>
    public string? Issuer { get; init; }

    /// <summary>At least one, with blanks between them.</summary>
    public required string Audiences { get; init; }

    public required string NameClaim { get; init; }

    public required string ScopeClaim { get; init; }

    /// <summary>Stands in front of each scope in the claim; may be empty.</summary>
    public required string ScopePrefix { get; init; }

    /// <summary>Null: every token is good for all services.</summary>
    public string? ServicesClaim { get; init; }

    /// <summary>Zero to five minutes.</summary>
    public required TimeSpan ClockSkew { get; init; }
}

/// <summary>A client certificate that opens management.</summary>
/// <param name="Name">Name for logs; not secret.</param>
/// <param name="Sha256">Fingerprint of the one certificate, 32 bytes; or empty.</param>
/// <param name="Subject">Distinguished name; or null.</param>
/// <param name="CaFile">Absolute path of the authorities' PEM file; never null with a subject.</param>
/// <param name="Scopes">At least one.</param>
/// <param name="Services">The only services that it is good for, or null for all.</param>
internal sealed record ClientCertificate(
    string Name, ImmutableArray<byte> Sha256, string? Subject, string? CaFile, ApiScopes Scopes, ImmutableSortedSet<string>? Services);

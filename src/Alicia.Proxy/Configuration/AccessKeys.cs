using System.Collections.Immutable;
using System.Text.RegularExpressions;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Configuration;

/// <summary>The keys of management's other credentials: tokens that somebody else signs, and client certificates.</summary>
internal static partial class AccessKeys
{
    public const string Jwt = "Management:Jwt";
    public const string Certificates = "Management:ClientCertificates";

    private static readonly List<ConfigurationKey> Declared = [];

    public static readonly ConfigurationKey<Uri?> JwtAuthority = Add(Jwt + ":Authority", (Uri?)null, new UrlCodec(),
        "Issuer whose OpenID metadata and keys are fetched; https, or http on loopback.");

    public static readonly ConfigurationKey<string?> JwtKeyFile = Add(Jwt + ":KeyFile", (string?)null, File(),
        "Instead of Authority: file of the issuer's public keys, as JWKS or PEM.");

    public static readonly ConfigurationKey<string?> JwtIssuer = Add(Jwt + ":Issuer", (string?)null, Text(), "The only issuer (iss) of tokens. Left out: what the metadata says.");

    public static readonly ConfigurationKey<ImmutableArray<string>> JwtAudience = Add(Jwt + ":Audience", ImmutableArray<string>.Empty,
        new WordsCodec(WordPattern(), "a list of at least one audience", min: 1), "Audiences (aud) that a token may be for; one of them must be.");

    public static readonly ConfigurationKey<string?> JwtNameClaim = Add(Jwt + ":NameClaim", (string?)"sub", Claim(), "Claim that says who the caller is, for the audit log.");

    public static readonly ConfigurationKey<string?> JwtScopeClaim = Add(Jwt + ":ScopeClaim", (string?)"scope", Claim(), "Claim with the scopes: a list, or text with blanks between them.");

    public static readonly ConfigurationKey<string?> JwtScopePrefix = Add(Jwt + ":ScopePrefix", (string?)null, Text(), "What stands in front of read, register and admin in the claim.");

    public static readonly ConfigurationKey<string?> JwtServicesClaim = Add(Jwt + ":ServicesClaim", (string?)null, Claim(),
        "Claim with the only services that the token is good for; a token without it is good for none. Left out: all.");

    public static readonly ConfigurationKey<TimeSpan> JwtClockSkew = Add(Jwt + ":ClockSkew", TimeSpan.FromSeconds(30),
        new DurationCodec(TimeSpan.Zero, TimeSpan.FromMinutes(5)), "How far the issuer's clock may be from this one.");

    public static readonly ConfigurationKey<string?> CertificateSha256 = Add(Certificates + ":{name}:Sha256", (string?)null,
        new PatternCodec(FingerprintPattern(), "64 hexadecimal digits, with or without colons"), "SHA-256 fingerprint of the one certificate.");

    public static readonly ConfigurationKey<string?> CertificateSubject = Add(Certificates + ":{name}:Subject", (string?)null, Text(),
        "Instead of Sha256: subject such as CN=ci, O=Alicia. Needs CaFile.");

    public static readonly ConfigurationKey<string?> CertificateCaFile = Add(Certificates + ":{name}:CaFile", (string?)null, File(),
        "PEM file of the authorities that the certificate must come from.");

    public static readonly ConfigurationKey<ImmutableArray<string>> CertificateScopes = Add(Certificates + ":{name}:Scopes", ImmutableArray<string>.Empty,
        ConfigurationKeys.ScopesCodec(), "What the certificate opens.");

    public static readonly ConfigurationKey<ImmutableArray<string>> CertificateServices = Add(Certificates + ":{name}:Services", ImmutableArray<string>.Empty,
        ConfigurationKeys.ServicesCodec(), "The only services that the certificate is good for. Left out: all.");

    public static IReadOnlyList<ConfigurationKey> All => Declared;

    private static PatternCodec File() => new(TextPattern(), "a file path");

    private static PatternCodec Text() => new(TextPattern(), "one line of at most 1024 characters");

    private static PatternCodec Claim() => new(WordPattern(), "the name of a claim: 1 to 256 visible ASCII characters");

    private static ConfigurationKey<T> Add<T>(string path, T defaultValue, SettingCodec<T> codec, string purpose)
    {
        var key = new ConfigurationKey<T>(path, defaultValue, codec, purpose);
        Declared.Add(key);
        return key;
    }

    [GeneratedRegex(@"^[^\x00-\x1f]{1,1024}$", RegexOptions.CultureInvariant)]
    private static partial Regex TextPattern();

    [GeneratedRegex(@"^[\x21-\x7e]{1,256}$", RegexOptions.CultureInvariant)]
    private static partial Regex WordPattern();

    [GeneratedRegex(@"^([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$", RegexOptions.CultureInvariant)]
    private static partial Regex FingerprintPattern();
}

using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Alicia.Proxy.Configuration;

/// <summary>Reads <c>Management:</c>: who may come in, and by what.</summary>
internal static partial class ConfigurationReader
{
    private static ImmutableArray<ApiKey> ReadApiKeys(ConfigurationValues values, List<ConfigurationFault> faults)
    {
        var keys = ImmutableArray.CreateBuilder<ApiKey>();
        foreach (var name in values.Names("Management:ApiKeys"))
        {
            var path = $"Management:ApiKeys:{name}";
            var (hasText, hasHash) = (values.IsGiven(path + ":Key"), values.IsGiven(path + ":KeySha256"));
            if (hasText == hasHash)
                faults.Add(new ConfigurationFault(path, hasText ? "takes Key or KeySha256, not both" : "needs Key or KeySha256"));
            NeedScopes(values, path, faults);

            var text = values.Get(ConfigurationKeys.ApiKeyText, name);
            var hash = values.Get(ConfigurationKeys.ApiKeySha256, name);
            var atFault = values.Faults.Any(fault => fault.Key.StartsWith(path + ":Key", StringComparison.OrdinalIgnoreCase));
            if (hasText != hasHash && text is null && hash is null && !atFault)
                faults.Add(new ConfigurationFault(path, "needs Key or KeySha256; the one that is given is blank"));
            if (text is null && hash is null)
                continue;
            ImmutableArray<byte> sha256 = [.. text is null ? Convert.FromHexString(hash!) : SHA256.HashData(Encoding.UTF8.GetBytes(text))];
            if (keys.FirstOrDefault(other => other.KeySha256.AsSpan().SequenceEqual(sha256.AsSpan())) is { } same)
                faults.Add(new ConfigurationFault(path, $"is the same key as Management:ApiKeys:{same.Name}"));
            keys.Add(new ApiKey(name, sha256, Scopes(values.Get(ConfigurationKeys.ApiKeyScopes, name)), Services(values, ConfigurationKeys.ApiKeyServices, name)));
        }

        return keys.ToImmutable();
    }

    private static JwtConfiguration? ReadJwt(ConfigurationValues values, List<ConfigurationFault> faults)
    {
        if (!values.IsGiven(AccessKeys.Jwt))
            return null;
        var authority = values.Get(AccessKeys.JwtAuthority);
        var file = values.Get(AccessKeys.JwtKeyFile);
        var issuer = values.Get(AccessKeys.JwtIssuer);
        var faulty = values.Faults.Any(f => f.Key.StartsWith(AccessKeys.Jwt + ":", StringComparison.OrdinalIgnoreCase));
        if ((authority is null) == (file is null) && !faulty)
            faults.Add(new ConfigurationFault(AccessKeys.Jwt, authority is null ? "needs Authority or KeyFile" : "takes Authority or KeyFile, not both"));
        // Whoever can change what comes in clear text over a network can hand out keys of their own.
        if (authority is { Scheme: "http", IsLoopback: false })
            faults.Add(new ConfigurationFault(AccessKeys.JwtAuthority.Path, "must be https, or http on loopback"));
        if (file is not null && issuer is null && !faulty)
            faults.Add(new ConfigurationFault(AccessKeys.JwtIssuer.Path, "must be given with KeyFile"));
        if (!values.IsGiven(AccessKeys.JwtAudience.Path))
            faults.Add(new ConfigurationFault(AccessKeys.JwtAudience.Path, "must be given: tokens for other services of the same issuer would open this one"));
        return new JwtConfiguration
        {
            Authority = authority,
            KeyFile = file,
            Issuer = issuer,
            Audiences = string.Join(' ', values.Get(AccessKeys.JwtAudience)),
            NameClaim = values.Get(AccessKeys.JwtNameClaim) ?? AccessKeys.JwtNameClaim.Default!,
            ScopeClaim = values.Get(AccessKeys.JwtScopeClaim) ?? AccessKeys.JwtScopeClaim.Default!,
            ScopePrefix = values.Get(AccessKeys.JwtScopePrefix) ?? "",
            ServicesClaim = values.Get(AccessKeys.JwtServicesClaim),
            ClockSkew = values.Get(AccessKeys.JwtClockSkew),
        };
    }

    private static ImmutableArray<ClientCertificate> ReadClientCertificates(ConfigurationValues values, List<ConfigurationFault> faults)
    {
        var certificates = ImmutableArray.CreateBuilder<ClientCertificate>();
        foreach (var name in values.Names(AccessKeys.Certificates))
        {
            var path = $"{AccessKeys.Certificates}:{name}";
            var fingerprint = values.Get(AccessKeys.CertificateSha256, name);
            var subject = values.Get(AccessKeys.CertificateSubject, name);
            var authorities = values.Get(AccessKeys.CertificateCaFile, name);
            NeedScopes(values, path, faults);
            if ((fingerprint is null) == (subject is null) && !values.Faults.Any(f => f.Key.StartsWith(path + ":S", StringComparison.OrdinalIgnoreCase)))
                faults.Add(new ConfigurationFault(path, fingerprint is null ? "needs Sha256 or Subject" : "takes Sha256 or Subject, not both"));
            // Anybody can write a subject into a certificate; only its authority vouches for it.
            if (subject is not null && authorities is null)
                faults.Add(new ConfigurationFault(path, "Subject needs CaFile as well"));
            if (subject is not null && CanonicalSubject(subject) is null)
                faults.Add(new ConfigurationFault(path + ":Subject", "must be a distinguished name such as CN=ci, O=Alicia"));
            certificates.Add(new ClientCertificate(
                name,
                fingerprint is null ? [] : [.. Convert.FromHexString(fingerprint.Replace(":", "", StringComparison.Ordinal))],
                subject is null ? null : CanonicalSubject(subject),
                authorities,
                Scopes(values.Get(AccessKeys.CertificateScopes, name)),
                Services(values, AccessKeys.CertificateServices, name)));
        }

        return certificates.ToImmutable();
    }

    private static string? CanonicalSubject(string text)
    {
        try
        {
            return new X500DistinguishedName(text).Name;
        }
        catch (CryptographicException)
        {
            return null;
        }
    }

    private static void NeedScopes(ConfigurationValues values, string path, List<ConfigurationFault> faults)
    {
        if (!values.IsGiven(path + ":Scopes"))
            faults.Add(new ConfigurationFault(path + ":Scopes", "must be given: " + ConfigurationKeys.ApiKeyScopes.Codec.Rule));
    }

    private static ApiScopes Scopes(ImmutableArray<string> words) => words.Aggregate(ApiScopes.None, (all, word) => all | word switch
    {
        "read" => ApiScopes.Read,
        "register" => ApiScopes.Register,
        _ => ApiScopes.Admin,
    });

    private static ImmutableSortedSet<string>? Services(ConfigurationValues values, ConfigurationKey<ImmutableArray<string>> key, string name) =>
        values.TryGet(key, out var services, name) ? services.ToImmutableSortedSet(StringComparer.Ordinal) : null;
}

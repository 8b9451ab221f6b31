using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.IdentityModel.Tokens;

namespace Alicia.Proxy.Security;

/// <summary>Reads an issuer's public keys from a file, so that tokens are checked without a network: JWKS, or PEM with public keys or certificates.</summary>
internal static class JwtKeyFile
{
    private const int MaxBytes = 1024 * 1024;

    /// <summary>Shorter RSA keys can be broken.</summary>
    private const int MinRsaBits = 2048;

    /// <returns>The keys; or, with none, what is wrong with the file. Never anything of its content.</returns>
    public static (IReadOnlyList<SecurityKey> Keys, string? Fault) Read(string path)
    {
        try
        {
            if (new FileInfo(path).Length > MaxBytes)
                return ([], "is larger than 1 MiB");
            var text = File.ReadAllText(path);
            if (text.Contains("PRIVATE KEY-----", StringComparison.Ordinal))
                return ([], "holds a private key; the issuer's public keys are wanted");
            SecurityKey[] keys = [.. (text.TrimStart().StartsWith('{') ? FromJwks(text) : FromPem(text)).Where(IsStrong)];
            return keys.Length > 0 ? (keys, null) : ([], "holds no public key that is taken: RSA of at least 2048 bits, or ECDSA");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return ([], $"cannot be read: {e.Message}");
        }
        catch (Exception e) when (e is ArgumentException or CryptographicException or System.Text.Json.JsonException)
        {
            return ([], "is neither JWKS nor PEM");
        }
    }

    // A symmetric key in the set is none of the issuer's public keys: with it, whoever may check tokens could make them.
    private static IEnumerable<SecurityKey> FromJwks(string text) =>
        new JsonWebKeySet(text).GetSigningKeys().Where(k => k is RsaSecurityKey or ECDsaSecurityKey or X509SecurityKey);

    private static List<SecurityKey> FromPem(string text)
    {
        var keys = new List<SecurityKey>();
        for (var rest = text.AsSpan(); PemEncoding.TryFind(rest, out var found); rest = rest[found.Location.End..])
        {
            var pem = rest[found.Location];
            switch (rest[found.Label])
            {
                case "CERTIFICATE":
                    keys.Add(new X509SecurityKey(X509Certificate2.CreateFromPem(pem)));
                    break;
                case "PUBLIC KEY" or "RSA PUBLIC KEY":
                    keys.Add(PublicKey(pem));
                    break;
            }
        }

        return keys;
    }

    private static AsymmetricSecurityKey PublicKey(ReadOnlySpan<char> pem)
    {
        var rsa = RSA.Create();
        try
        {
            rsa.ImportFromPem(pem);
            return new RsaSecurityKey(rsa);
        }
        catch (CryptographicException)
        {
            rsa.Dispose();
        }

        var ecdsa = ECDsa.Create();
        ecdsa.ImportFromPem(pem);
        return new ECDsaSecurityKey(ecdsa);
    }

    private static bool IsStrong(SecurityKey key) => key switch
    {
        RsaSecurityKey => key.KeySize >= MinRsaBits,
        X509SecurityKey { PublicKey: RSA } => key.KeySize >= MinRsaBits,
        _ => true,
    };
}

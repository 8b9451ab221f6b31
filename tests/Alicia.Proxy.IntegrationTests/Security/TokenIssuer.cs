using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Alicia.Proxy.IntegrationTests.Security;

/// <summary>Signs tokens by hand, so that tests can also make those that no library would.</summary>
internal sealed class TokenIssuer : IDisposable
{
    public const string Name = "https://issuer.test";
    public const string Audience = "alicia";

    private readonly RSA _key = RSA.Create(2048);

    /// <summary>The public key as PEM.</summary>
    public string Pem => _key.ExportSubjectPublicKeyInfoPem();

    /// <summary>The public key as a set with this key id, and with a symmetric key that no token may be signed with.</summary>
    public string Jwks(string kid)
    {
        var parameters = _key.ExportParameters(false);
        return new JsonObject
        {
            ["keys"] = new JsonArray(
                new JsonObject { ["kty"] = "RSA", ["use"] = "sig", ["kid"] = kid, ["n"] = Base64Url.EncodeToString(parameters.Modulus), ["e"] = Base64Url.EncodeToString(parameters.Exponent) },
                new JsonObject { ["kty"] = "oct", ["kid"] = "shared", ["k"] = Base64Url.EncodeToString("a symmetric key of thirty-two byte"u8) }),
        }.ToJsonString();
    }

    /// <summary>Good claims for ten minutes; <paramref name="changes"/> go over them, null takes one away.</summary>
    public static JsonObject Claims(object? changes = null)
    {
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();
        var claims = new JsonObject { ["iss"] = Name, ["aud"] = Audience, ["sub"] = "alice", ["scope"] = "read register admin", ["iat"] = now, ["nbf"] = now - 5, ["exp"] = now + 600 };
        foreach (var (claim, value) in JsonSerializer.SerializeToNode(changes ?? new { })!.AsObject().ToArray())
        {
            if (value is null)
                claims.Remove(claim);
            else
                claims[claim] = value.DeepClone();
        }

        return claims;
    }

    public string Sign(object? changes = null, string? kid = null) => Sign("RS256", Claims(changes), kid, bytes => _key.SignData(bytes, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1));

    /// <summary>With the public key as if it were a secret.</summary>
    public string SignWithThePublicKey(string key) => Sign("HS256", Claims(), null, bytes => HMACSHA256.HashData(Encoding.UTF8.GetBytes(key), bytes));

    public static string Unsigned(string algorithm) => Sign(algorithm, Claims(), null, _ => []);

    private static string Sign(string algorithm, JsonObject claims, string? kid, Func<byte[], byte[]> sign)
    {
        var head = new JsonObject { ["alg"] = algorithm, ["typ"] = "JWT" };
        if (kid is not null)
            head["kid"] = kid;
        var text = Part(head) + "." + Part(claims);
        return text + "." + Base64Url.EncodeToString(sign(Encoding.ASCII.GetBytes(text)));
    }

    private static string Part(JsonObject json) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(json.ToJsonString()));

    public void Dispose() => _key.Dispose();
}

using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Alicia.Proxy.IntegrationTests.Http2;

/// <summary>A certificate authority of the test's own, and what it signs, as files that any server reads.</summary>
internal sealed class TestAuthority : IDisposable
{
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly X509Certificate2 _certificate;
    private readonly string _directory = Directory.CreateTempSubdirectory("alicia-ca-").FullName;

    public TestAuthority()
    {
        var request = new CertificateRequest("CN=Test Authority", _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, true));
        var now = TimeProvider.System.GetUtcNow();
        _certificate = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(2));
        File.WriteAllText(Path.Combine(_directory, "ca.pem"), _certificate.ExportCertificatePem());
    }

    /// <summary>For <c>SSL_CERT_FILE</c>: whoever reads it trusts this authority.</summary>
    public string BundleFile => Path.Combine(_directory, "ca.pem");

    /// <summary>A certificate and key for <paramref name="name"/>, a DNS name or an address; good for a server and for a client.</summary>
    /// <param name="name">Stands in the files' names too: once more for the same name replaces them.</param>
    /// <param name="further">Further names.</param>
    public (string Certificate, string Key) Issue(string name, params string[] further)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var signed = Sign(key, [name, .. further]);
        var files = (Path.Combine(_directory, name + ".pem"), Path.Combine(_directory, name + ".key"));
        File.WriteAllText(files.Item1, signed.ExportCertificatePem());
        File.WriteAllText(files.Item2, key.ExportPkcs8PrivateKeyPem());
        return files;
    }

    /// <summary>The same as one file with a password.</summary>
    public string IssuePkcs12(string name, string password)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var signed = Sign(key, [name]);
        using var whole = signed.CopyWithPrivateKey(key);
        var file = Path.Combine(_directory, name + ".pfx");
        File.WriteAllBytes(file, whole.Export(X509ContentType.Pkcs12, password));
        return file;
    }

    public void Dispose()
    {
        _certificate.Dispose();
        _key.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private X509Certificate2 Sign(ECDsa key, string[] all)
    {
        var request = new CertificateRequest($"CN={all[0]}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        foreach (var name in all)
        {
            if (IPAddress.TryParse(name, out var address))
                names.AddIpAddress(address);
            else
                names.AddDnsName(name);
        }

        request.CertificateExtensions.Add(names.Build());
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1"), new Oid("1.3.6.1.5.5.7.3.2")], false));
        var now = TimeProvider.System.GetUtcNow();
        return request.Create(_certificate, now.AddHours(-1), now.AddDays(1), RandomNumberGenerator.GetBytes(8));
    }
}

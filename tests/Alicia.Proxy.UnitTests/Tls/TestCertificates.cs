using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Alicia.Proxy.Configuration;
using Alicia.Proxy.UnitTests.Configuration;

namespace Alicia.Proxy.UnitTests.Tls;

/// <summary>Certificates made for a test, in files of its own.</summary>
internal sealed class TestCertificates : IDisposable
{
    private readonly TempDirectory _directory = new();

    public string Path(string file) => System.IO.Path.Combine(_directory.Path, file);

    public string Write(string file, string text) => _directory.Write(file, text);

    /// <summary>Writes <c>{file}.pem</c> and <c>{file}.key</c> for these names, signed by itself.</summary>
    public void Issue(string file, string[] names, DateTimeOffset ends, string? password = null)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = Sign(key, names, ends);
        Write(file + ".pem", certificate.ExportCertificatePem());
        Write(file + ".key", password is null
            ? key.ExportPkcs8PrivateKeyPem()
            : key.ExportEncryptedPkcs8PrivateKeyPem(password, new PbeParameters(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, 1000)));
    }

    public void IssuePkcs12(string file, string[] names, DateTimeOffset ends, string? password)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = Sign(key, names, ends);
        File.WriteAllBytes(Path(file), certificate.Export(X509ContentType.Pkcs12, password));
    }

    /// <summary>A configured certificate in the files that <see cref="Issue"/> writes.</summary>
    public TlsCertificateConfiguration Configured(string name, string? file = null, string? password = null, params string[] names) =>
        new(name, new CertificateLocation("Tls:Certificates:" + name, Path((file ?? name) + ".pem"), Path((file ?? name) + ".key"), password), [.. names]);

    public void Dispose() => _directory.Dispose();

    private static X509Certificate2 Sign(ECDsa key, string[] names, DateTimeOffset ends)
    {
        var request = new CertificateRequest("CN=common.example", key, HashAlgorithmName.SHA256);
        if (names.Length > 0)
        {
            var builder = new SubjectAlternativeNameBuilder();
            foreach (var name in names)
            {
                if (IPAddress.TryParse(name, out var address))
                    builder.AddIpAddress(address);
                else
                    builder.AddDnsName(name);
            }

            request.CertificateExtensions.Add(builder.Build());
        }

        return request.CreateSelfSigned(ends.AddDays(-100), ends);
    }
}

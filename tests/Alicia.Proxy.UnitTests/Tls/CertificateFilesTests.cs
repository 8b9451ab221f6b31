using Alicia.Proxy.Configuration;
using Alicia.Proxy.Tls;

namespace Alicia.Proxy.UnitTests.Tls;

public sealed class CertificateFilesTests : IDisposable
{
    private const string Password = "not the proxy's business";
    private static readonly DateTimeOffset Ends = DateTimeOffset.UtcNow.AddDays(30);

    private readonly TestCertificates _files = new();

    public CertificateFilesTests()
    {
        _files.Issue("a", ["a.example"], Ends);
        _files.Issue("b", ["b.example"], Ends);
        _files.Issue("locked", ["locked.example"], Ends, Password);
        _files.IssuePkcs12("open.pfx", ["open.example"], Ends, null);
        _files.IssuePkcs12("locked.pfx", ["pfx.example"], Ends, Password);
        _files.Write("both.pem", $"{File.ReadAllText(_files.Path("a.pem"))}\n{File.ReadAllText(_files.Path("b.pem"))}\n{File.ReadAllText(_files.Path("a.key"))}");
        _files.Write("key-first.pem", $"{File.ReadAllText(_files.Path("a.key"))}\n{File.ReadAllText(_files.Path("a.pem"))}");
        _files.Write("text.pem", "nothing of the kind");
        _files.Write("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        _files.Write("broken.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    }

    public void Dispose() => _files.Dispose();

    [Theory]
    [InlineData("a.pem", "a.key", null, 0)]
    [InlineData("both.pem", null, null, 1)]
    [InlineData("key-first.pem", null, null, 0)]
    [InlineData("locked.pem", "locked.key", Password, 0)]
    [InlineData("open.pfx", null, null, 0)]
    [InlineData("locked.pfx", null, Password, 0)]
    [InlineData("a.pem", "a.key", "a password that is not needed", 0)]
    public void Such_files_make_a_certificate_with_its_key(string certificate, string? key, string? password, int chain)
    {
        var loaded = CertificateFiles.Load(At(certificate, key, password));

        loaded.Leaf.HasPrivateKey.Should().BeTrue();
        loaded.Leaf.NotAfter.ToUniversalTime().Should().BeCloseTo(Ends.UtcDateTime, TimeSpan.FromSeconds(2));
        loaded.Chain.Should().HaveCount(chain);
    }

    [Theory]
    [InlineData("missing.pem", null, null, "CertificateFile", "there is no file")]
    [InlineData(".", null, null, "CertificateFile", "is a directory")]
    [InlineData("text.pem", null, null, "CertificateFile", "neither a PEM nor a PKCS #12 file")]
    [InlineData("broken.pem", "a.key", null, "CertificateFile", "a certificate in")]
    [InlineData("a.key", null, null, "CertificateFile", "holds no certificate")]
    [InlineData("a.pem", null, null, "CertificateFile", "holds no private key; name the file")]
    [InlineData("a.pem", "missing.key", null, "KeyFile", "there is no file")]
    [InlineData("a.pem", "b.pem", null, "KeyFile", "holds no private key in PEM")]
    [InlineData("a.pem", "broken.key", null, "KeyFile", "cannot be read")]
    [InlineData("a.pem", "b.key", null, "KeyFile", "does not belong to the first certificate")]
    [InlineData("a.pem", "locked.key", Password, "KeyFile", "does not belong to the first certificate")]
    [InlineData("locked.pem", "locked.key", null, "Password", "must be given")]
    [InlineData("locked.pem", "locked.key", "wrong", "Password", "does not open")]
    [InlineData("locked.pfx", null, null, "Password", "must be given")]
    [InlineData("locked.pfx", null, "wrong", "Password", "does not open")]
    [InlineData("open.pfx", "a.key", null, "CertificateFile", "is no PEM file")]
    public void What_is_wrong_with_others_is_said_with_the_key_that_names_them(string certificate, string? key, string? password, string fault, string rule)
    {
        var thrown = FluentActions.Invoking(() => CertificateFiles.Load(At(certificate, key, password))).Should().Throw<CertificateFileException>().Which;

        thrown.Fault.Key.Should().Be("Tls:Certificates:x:" + fault);
        thrown.Fault.Message.Should().Contain(rule).And.NotContain(Password);
    }

    private CertificateLocation At(string certificate, string? key, string? password) =>
        new("Tls:Certificates:x", _files.Path(certificate), key is null ? null : _files.Path(key), password);
}

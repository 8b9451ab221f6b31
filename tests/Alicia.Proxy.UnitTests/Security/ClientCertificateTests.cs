using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Alicia.Proxy.Configuration;
using Alicia.Proxy.Security;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace Alicia.Proxy.UnitTests.Security;

/// <summary>Which entry of configuration a client certificate is: by fingerprint, or by a subject that its authority vouches for.</summary>
public sealed class ClientCertificateTests : IDisposable
{
    private const string ForClients = "1.3.6.1.5.5.7.3.2";
    private const string ForServers = "1.3.6.1.5.5.7.3.1";
    private static readonly DateTimeOffset Now = new(2026, 6, 1, 12, 0, 0, TimeSpan.Zero);

    private readonly string _directory = Directory.CreateTempSubdirectory("alicia-certificates-").FullName;
    private readonly FakeTimeProvider _time = new(Now);
    private readonly X509Certificate2 _authority = Authority();
    private readonly ClientCertificates _certificates;

    public ClientCertificateTests()
    {
        _certificates = new ClientCertificates(_time, NullLogger<ClientCertificates>.Instance);
        File.WriteAllText(CaFile, _authority.ExportCertificatePem());
    }

    private string CaFile => Path.Combine(_directory, "ca.pem");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void A_fingerprint_is_one_certificate_in_its_time()
    {
        using var mine = Issue("CN=ci", _authority);
        using var twin = Issue("CN=ci", _authority);
        ClientCertificate[] entries = [new("ci", [.. SHA256.HashData(mine.RawData)], null, null, ApiScopes.Read, null)];

        _certificates.Find(entries, mine).Should().BeSameAs(entries[0]);
        _certificates.Find(entries, twin).Should().BeNull();
        _time.SetUtcNow(Now.AddDays(40));
        _certificates.Find(entries, mine).Should().BeNull("its time is over");
    }

    [Fact]
    public void A_subject_is_believed_of_its_authority_only()
    {
        using var stranger = Authority();
        using var mine = Issue("CN=ci, O=Alicia", _authority);
        using var forged = Issue("CN=ci, O=Alicia", stranger);
        using var other = Issue("CN=cd, O=Alicia", _authority);
        using var longer = Issue("CN=ci, O=Alicia, C=AT", _authority);
        using var server = Issue("CN=ci, O=Alicia", _authority, ForServers);
        ClientCertificate[] entries = [new("ci", [], new X500DistinguishedName("CN=ci, O=Alicia").Name, CaFile, ApiScopes.Register, ["tts"])];

        _certificates.Find(entries, mine).Should().BeSameAs(entries[0]);
        foreach (var wrong in new[] { forged, other, longer, server })
            _certificates.Find(entries, wrong).Should().BeNull();
    }

    [Fact]
    public void Authorities_are_read_again_when_their_file_changes_and_a_broken_file_leaves_them()
    {
        using var next = Authority();
        using var mine = Issue("CN=ci", _authority);
        using var newer = Issue("CN=ci", next);
        ClientCertificate[] entries = [new("ci", [], "CN=ci", CaFile, ApiScopes.Read, null)];
        _certificates.Find(entries, mine).Should().NotBeNull();

        File.WriteAllText(CaFile, "not a certificate");
        _certificates.Find(entries, mine).Should().NotBeNull();
        ClientCertificates.FaultOf(CaFile).Should().NotBeNull();

        File.WriteAllText(CaFile, next.ExportCertificatePem() + "\n");
        _certificates.Find(entries, newer).Should().NotBeNull();
        _certificates.Find(entries, mine).Should().BeNull();
    }

    private static X509Certificate2 Authority()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=Test Authority", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        return request.CreateSelfSigned(Now.AddDays(-60), Now.AddDays(60));
    }

    private static X509Certificate2 Issue(string subject, X509Certificate2 authority, string purpose = ForClients)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(subject, key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(purpose)], false));
        return request.Create(authority, Now.AddDays(-30), Now.AddDays(30), RandomNumberGenerator.GetBytes(8));
    }
}

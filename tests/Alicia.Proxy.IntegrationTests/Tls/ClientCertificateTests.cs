using System.Net;
using System.Security.Cryptography.X509Certificates;
using Alicia.Proxy.IntegrationTests.Harness;
using Alicia.Proxy.IntegrationTests.Http2;

namespace Alicia.Proxy.IntegrationTests.Tls;

/// <summary>Management over TLS lets callers in by their certificate, as far as its scopes go.</summary>
public sealed class ClientCertificateTests : IDisposable
{
    private readonly TestAuthority _authority = new();
    private readonly TestAuthority _stranger = new();

    public void Dispose()
    {
        _authority.Dispose();
        _stranger.Dispose();
    }

    [NeedsPackageFact("openssl")]
    public async Task A_caller_s_certificate_is_asked_for_and_opens_what_it_may_open()
    {
        var server = _authority.Issue("site.test");
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions
        {
            ListenManagement = "https://127.0.0.1:0",
            Arguments =
            [
                $"--Tls:Certificates:site:CertificateFile={server.Certificate}", $"--Tls:Certificates:site:KeyFile={server.Key}",
                "--Management:ClientCertificates:reader:Subject=CN=reader", $"--Management:ClientCertificates:reader:CaFile={_authority.BundleFile}",
                "--Management:ClientCertificates:reader:Scopes=read",
            ],
        });

        (await StatusAsync(proxy, null, "/health")).Should().Be(HttpStatusCode.OK, "the health check of a container has no certificate");
        (await StatusAsync(proxy, null, "/services")).Should().Be(HttpStatusCode.Unauthorized);
        foreach (var http2 in new[] { false, true })
        {
            (await StatusAsync(proxy, _authority.Issue("reader"), "/services", http2)).Should().Be(HttpStatusCode.OK);
            (await StatusAsync(proxy, _stranger.Issue("reader"), "/services", http2)).Should().Be(HttpStatusCode.Unauthorized, "another authority's word does not count");
            (await StatusAsync(proxy, _authority.Issue("writer"), "/services", http2)).Should().Be(HttpStatusCode.Unauthorized);
        }

        using var client = Client(proxy, _authority.Issue("reader"), http2: false);
        using var refused = await client.DeleteAsync("/services/x");
        refused.StatusCode.Should().Be(HttpStatusCode.Forbidden);

        var asked = await OpenSsl.HandshakeAsync(proxy.ManagementAddress, _authority.BundleFile, "-tls1_2");
        asked.Said.Should().Contain("Client Certificate Types");
    }

    private static async Task<HttpStatusCode> StatusAsync(ProxyProcess proxy, (string Certificate, string Key)? own, string path, bool http2 = false)
    {
        using var client = Client(proxy, own, http2);
        using var answer = await client.GetAsync(path);
        return answer.StatusCode;
    }

    private static HttpClient Client(ProxyProcess proxy, (string Certificate, string Key)? own, bool http2)
    {
        var handler = new SocketsHttpHandler { UseProxy = false, SslOptions = { RemoteCertificateValidationCallback = static (_, _, _, _) => true } };
        if (own is { } files)
            handler.SslOptions.ClientCertificates = [X509Certificate2.CreateFromPemFile(files.Certificate, files.Key)];
        return new HttpClient(handler)
        {
            BaseAddress = proxy.ManagementAddress,
            DefaultRequestVersion = http2 ? HttpVersion.Version20 : HttpVersion.Version11,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Timeout = Deadlines.Wait,
        };
    }
}

using Alicia.Proxy.IntegrationTests.Harness;
using Alicia.Proxy.IntegrationTests.Http2;

namespace Alicia.Proxy.IntegrationTests.Tls;

/// <summary>
/// A proxy that listens with and without TLS on both planes, and a backend as the service <c>web</c>. Its certificates: <c>site.test</c> in PEM (the default), <c>*.wild.test</c> in
/// PEM, <c>locked.test</c> in a PKCS #12 file with a password.
/// </summary>
public sealed class SecureProxy : IAsyncLifetime
{
    private const string Password = "made for this test";

    internal TestAuthority Authority { get; } = new();

    internal ProxyProcess Proxy { get; private set; } = null!;

    internal Backend Backend { get; private set; } = null!;

    /// <summary>The listener that sends callers to TLS.</summary>
    internal Uri Redirect { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        var (site, wild) = (Authority.Issue("site.test"), Authority.Issue("*.wild.test"));
        Backend = await Backend.StartAsync("a");
        Proxy = await ProxyProcess.StartAsync(new ProxyOptions
        {
            Listen = "http://127.0.0.1:0;https://127.0.0.1:0",
            ListenManagement = "https://127.0.0.1:0",
            Arguments =
            [
                "--Listen:Redirect=http://127.0.0.1:0",
                $"--Tls:Certificates:site:CertificateFile={site.Certificate}",
                $"--Tls:Certificates:site:KeyFile={site.Key}",
                $"--Tls:Certificates:wild:CertificateFile={wild.Certificate}",
                $"--Tls:Certificates:wild:KeyFile={wild.Key}",
                $"--Tls:Certificates:locked:CertificateFile={Authority.IssuePkcs12("locked.test", Password)}",
                $"--Tls:Certificates:locked:Password={Password}",
                "--Tls:DefaultCertificate=site",
            ],
        });
        const string Ready = "redirect listening on ";
        Redirect = new Uri((await Proxy.Process.WaitForLineAsync(line => line.StartsWith(Ready, StringComparison.Ordinal)))[Ready.Length..]);
        await Proxy.Registry.RegisterActiveAsync("web", Backend);
    }

    public async Task DisposeAsync()
    {
        if (Proxy is not null)
            await Proxy.DisposeAsync();
        if (Backend is not null)
            await Backend.DisposeAsync();
        Authority.Dispose();
    }
}

using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Alicia.Proxy.Configuration;

namespace Alicia.Proxy.Tls;

/// <summary>A way to do TLS with instances: whom to trust, and what to show. Immutable: changed files make a new one.</summary>
internal sealed class InstanceProfile
{
    /// <summary>For services that choose none: the system's authorities, no certificate.</summary>
    public static readonly InstanceProfile System = new(new TlsProfileConfiguration("", null, null), null, null);

    private readonly X509Certificate2Collection? _authorities;
    private readonly SslStreamCertificateContext? _client;

    public InstanceProfile(TlsProfileConfiguration configuration, X509Certificate2Collection? authorities, CertifiedKey? client)
    {
        Configuration = configuration;
        _authorities = authorities;
        if (client is null)
            return;
        _client = SslStreamCertificateContext.Create(client.Leaf, client.Chain, offline: true);
        Ends = client.Leaf.NotAfter.ToUniversalTime();
    }

    public TlsProfileConfiguration Configuration { get; }

    public string Name => Configuration.Name;

    /// <summary>When the certificate that is shown ceases to be valid, UTC; null without one.</summary>
    public DateTime? Ends { get; }

    /// <summary>Options of one handshake.</summary>
    /// <param name="name">Name that the instance's certificate must be for.</param>
    /// <param name="http2">What to agree on: HTTP/2 or HTTP/1.1.</param>
    public SslClientAuthenticationOptions Options(string name, bool http2)
    {
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = name,
            ApplicationProtocols = [http2 ? SslApplicationProtocol.Http2 : SslApplicationProtocol.Http11],
            ClientCertificateContext = _client,
        };
        if (_authorities is not null)
        {
            options.CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                RevocationMode = X509RevocationMode.NoCheck,
                DisableCertificateDownloads = true,
            };
            options.CertificateChainPolicy.CustomTrustStore.AddRange(_authorities);
        }

        return options;
    }
}

using System.Collections.Immutable;
using System.Net;

namespace Alicia.Proxy.Configuration;

/// <summary>TLS with callers and with instances.</summary>
/// <param name="Certificates">What <c>https://</c> listeners show, by name.</param>
/// <param name="DefaultCertificate">Name of the one for callers that no other is for; null: the first.</param>
/// <param name="RefuseUnknownNames">Whether callers that ask for a name that no certificate is for, or for none, get no handshake at all.</param>
/// <param name="Only13">Whether TLS 1.2 is refused.</param>
/// <param name="HandshakeTimeout">Default 10 s; changes need a restart.</param>
/// <param name="ExpiryWarning">A certificate that ends within so long is warned of; default 14 days.</param>
/// <param name="Profiles">What services may choose for their instances, by name.</param>
internal sealed record TlsConfiguration(
    ImmutableArray<TlsCertificateConfiguration> Certificates, string? DefaultCertificate, bool RefuseUnknownNames, bool Only13, TimeSpan HandshakeTimeout,
    TimeSpan ExpiryWarning, ImmutableArray<TlsProfileConfiguration> Profiles);

/// <summary>Where a certificate and its key are. Paths are absolute.</summary>
/// <param name="ConfigKey">Such as <c>Tls:Certificates:site</c>; below it <c>CertificateFile</c>, <c>KeyFile</c>, <c>Password</c>.</param>
/// <param name="CertificateFile">PEM, or PKCS #12.</param>
/// <param name="KeyFile">PEM, or null when the certificate's file holds the key.</param>
/// <param name="Password">Of the key or the PKCS #12 file, or null.</param>
internal sealed record CertificateLocation(string ConfigKey, string CertificateFile, string? KeyFile, string? Password)
{
    /// <summary>Every file that is read.</summary>
    public IEnumerable<string> Files => KeyFile is null ? [CertificateFile] : [CertificateFile, KeyFile];

    /// <summary>Keeps the password out of logs and failure messages.</summary>
    public override string ToString() => CertificateFile;
}

/// <summary>One certificate for callers.</summary>
/// <param name="Name">For logs and metrics.</param>
/// <param name="Location">Where it is.</param>
/// <param name="Names">DNS names in lower case that it is shown for, or empty for those in the certificate.</param>
internal sealed record TlsCertificateConfiguration(string Name, CertificateLocation Location, ImmutableArray<string> Names);

/// <summary>How the proxy does TLS with the instances of services that choose this profile.</summary>
/// <param name="Name">What a service's <c>Tls:Profile</c> says.</param>
/// <param name="CaFile">PEM of the authorities to trust, absolute, or null for the system's.</param>
/// <param name="Client">The certificate that the proxy shows, or null for none.</param>
internal sealed record TlsProfileConfiguration(string Name, string? CaFile, CertificateLocation? Client)
{
    public string ConfigKey => "Tls:Instances:" + Name;
}

/// <summary>Listeners whose connections begin with a PROXY header.</summary>
/// <param name="Trusted">Who may speak to them.</param>
/// <param name="Timeout">For the header; default 5 s.</param>
internal sealed record ProxyProtocolConfiguration(ImmutableArray<IPNetwork> Trusted, TimeSpan Timeout);

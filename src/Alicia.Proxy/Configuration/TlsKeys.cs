using System.Collections.Immutable;
using System.Net;
using System.Text.RegularExpressions;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Configuration;

/// <summary>The keys of what a connection goes through before HTTP: the PROXY protocol and TLS, and TLS towards instances.</summary>
internal static partial class TlsKeys
{
    private const string Certificates = "Tls:Certificates:{name}:";
    private const string Instances = "Tls:Instances:{name}:";
    private static readonly List<ConfigurationKey> Declared = [];

    public static readonly ConfigurationKey<string?> CertificateFile = Add(Certificates + "CertificateFile", (string?)null, File(),
        "PEM file of the certificate and, behind it, those that lead to its authority; or a PKCS #12 file (.pfx, .p12) with the key in it.");

    public static readonly ConfigurationKey<string?> KeyFile = Add(Certificates + "KeyFile", (string?)null, File(),
        "PEM file of the private key. None: CertificateFile holds it.");

    public static readonly ConfigurationKey<string?> Password = Add(Certificates + "Password", (string?)null, Line(),
        "Password of the private key or of the PKCS #12 file.", secret: true);

    public static readonly ConfigurationKey<ImmutableArray<string>> Names = Add(Certificates + "Names", ImmutableArray<string>.Empty,
        new WordsCodec(ServerNamePattern(), "a list of at least one DNS name, exact or with *. in front", min: 1),
        "Names of callers' hellos (SNI) that this certificate is for. Left out: the names in the certificate.");

    public static readonly ConfigurationKey<string?> DefaultCertificate = Add("Tls:DefaultCertificate", (string?)null,
        new PatternCodec(NamePattern(), "a name below Tls:Certificates"),
        "Certificate for callers that name no host or one that no certificate is for. Left out: the first by name.");

    public static readonly ConfigurationKey<string> UnknownName = Add("Tls:UnknownName", "default", new ChoiceCodec("default", "refuse"),
        "What such callers get: the default certificate, or no handshake.");

    public static readonly ConfigurationKey<string> MinimumVersion = Add("Tls:MinimumVersion", "1.2", new ChoiceCodec("1.2", "1.3"),
        "Oldest version of TLS that https:// listeners speak.");

    public static readonly ConfigurationKey<TimeSpan> HandshakeTimeout = Add("Tls:HandshakeTimeout", TimeSpan.FromSeconds(10),
        new DurationCodec(TimeSpan.FromMilliseconds(100), TimeSpan.FromMinutes(10)), "How long a handshake with a caller may take.", restart: true);

    public static readonly ConfigurationKey<TimeSpan> ExpiryWarning = Add("Tls:ExpiryWarning", TimeSpan.FromDays(14),
        new DurationCodec(TimeSpan.Zero, TimeSpan.FromDays(365)), "A certificate that ends within so long is warned of in the log.");

    public static readonly ConfigurationKey<string?> InstanceCaFile = Add(Instances + "CaFile", (string?)null, File(),
        "PEM file of the authorities that instances' certificates must come from. None: the system's.");

    public static readonly ConfigurationKey<string?> InstanceCertificateFile = Add(Instances + "CertificateFile", (string?)null, File(),
        "PEM or PKCS #12 file of the certificate that the proxy shows to instances.");

    public static readonly ConfigurationKey<string?> InstanceKeyFile = Add(Instances + "KeyFile", (string?)null, File(),
        "PEM file of its private key. None: CertificateFile holds it.");

    public static readonly ConfigurationKey<string?> InstancePassword = Add(Instances + "Password", (string?)null, Line(),
        "Password of the private key or of the PKCS #12 file.", secret: true);

    public static readonly ConfigurationKey<ImmutableArray<IPNetwork>> ProxyProtocolTrusted = Add("ProxyProtocol:Trusted", ImmutableArray<IPNetwork>.Empty,
        new NetworksCodec(bareAddresses: true, linkLocal: true), "Networks of the proxies in front that may speak to proxy+ listeners. Needed by those; everybody else is cut off there.");

    public static readonly ConfigurationKey<TimeSpan> ProxyProtocolTimeout = Add("ProxyProtocol:Timeout", TimeSpan.FromSeconds(5),
        new DurationCodec(TimeSpan.FromMilliseconds(100), TimeSpan.FromMinutes(10)), "How long a connection to a proxy+ listener may take to say whom it is for.");

    public static IReadOnlyList<ConfigurationKey> All => Declared;

    private static PatternCodec File() => new(LinePattern(), "a file path");

    private static PatternCodec Line() => new(LinePattern(), "one line of text");

    private static ConfigurationKey<T> Add<T>(
        string path, T defaultValue, SettingCodec<T> codec, string purpose, bool restart = false, bool secret = false)
    {
        var key = new ConfigurationKey<T>(path, defaultValue, codec, purpose) { NeedsRestart = restart, Secret = secret };
        Declared.Add(key);
        return key;
    }

    [GeneratedRegex(@"^[^\x00-\x1f]{1,1024}$", RegexOptions.CultureInvariant)]
    private static partial Regex LinePattern();

    [GeneratedRegex(@"^[A-Za-z0-9_.-]{1,64}$", RegexOptions.CultureInvariant)]
    private static partial Regex NamePattern();

    [GeneratedRegex(@"^(\*\.)?[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*$", RegexOptions.CultureInvariant)]
    private static partial Regex ServerNamePattern();
}

using System.Collections.Immutable;
using System.Net;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Configuration;

/// <summary>
/// The whole configuration as one immutable value: what the layers of files, environment and command line came to, read and checked. A
/// reload makes a new one; nobody sees half of it.
/// </summary>
internal sealed record ProxyConfiguration
{
    public required ListenConfiguration Listen { get; init; }

    public required RoutingConfiguration Routing { get; init; }

    public required RegistryConfiguration Registry { get; init; }

    /// <summary>Keys to the management listener, by name; empty when management is open to this machine.</summary>
    public required ImmutableArray<ApiKey> ApiKeys { get; init; }

    /// <summary>Tokens that management takes, or null for none.</summary>
    public JwtConfiguration? Jwt { get; init; }

    /// <summary>Client certificates that management takes, by name.</summary>
    public ImmutableArray<ClientCertificate> ClientCertificates { get; init; } = [];

    /// <summary>True when management asks everybody who they are; false when it is open to this machine.</summary>
    public bool AsksForCredentials => !ApiKeys.IsEmpty || Jwt is not null || !ClientCertificates.IsEmpty;

    public required MqttConfiguration Mqtt { get; init; }

    public required TlsConfiguration Tls { get; init; }

    public required ProxyProtocolConfiguration ProxyProtocol { get; init; }

    /// <summary>What <c>Defaults:</c> sets for every service.</summary>
    public required SettingOverrides Defaults { get; init; }

    /// <summary>Static services, by name.</summary>
    public required ImmutableArray<ServiceConfiguration> Services { get; init; }

    public required ShutdownConfiguration Shutdown { get; init; }

    /// <summary>Networks whose <c>X-Forwarded-*</c> fields are kept; none by default.</summary>
    public required ImmutableArray<IPNetwork> ForwardedTrusted { get; init; }

    /// <summary>Cookies of session affinity.</summary>
    public required AffinityConfiguration Affinity { get; init; }

    public required LimitsConfiguration Limits { get; init; }

    /// <summary>Callers of one service that have a rate limit of their own at once; default 10,000.</summary>
    public int RateLimitPartitions { get; init; } = 10_000;

    public required MetricsConfiguration Metrics { get; init; }

    public required LoggingConfiguration Logging { get; init; }

    /// <summary>Where traces and metrics are sent over OTLP, or null for nowhere.</summary>
    public required Uri? OtlpEndpoint { get; init; }

    /// <summary>Requests of a second that are traced at most; 0 and up.</summary>
    public required int OtlpTracesPerSecond { get; init; }

    public required Http1Forwarding ForwardingHttp1 { get; init; }

    /// <summary>What each key came to; a reload is told from it.</summary>
    public required ConfigurationFingerprint Fingerprint { get; init; }

    /// <summary>Whether <c>/metrics</c> needs no key: as configured, else when only this machine can reach management.</summary>
    public bool MetricsArePublic => Metrics.Public ?? Listen.Management.All(address => address.IsLoopback);

    /// <summary>
    /// This configuration as a running proxy can take it: what needs a restart stays as it runs. Keep in step with the keys that
    /// <see cref="ConfigurationKeys"/> marks; a test does.
    /// </summary>
    public ProxyConfiguration KeepingWhatNeedsRestart(ProxyConfiguration running) => this with
    {
        // How a redirect is answered is no matter of sockets.
        Listen = running.Listen with { RedirectStatus = Listen.RedirectStatus, RedirectPort = Listen.RedirectPort },
        Tls = Tls with { HandshakeTimeout = running.Tls.HandshakeTimeout },
        Registry = Registry with { Store = running.Registry.Store, Path = running.Registry.Path },
        Mqtt = running.Mqtt,
        Logging = Logging with { Format = running.Logging.Format },
        Affinity = running.Affinity,
        ForwardingHttp1 = running.ForwardingHttp1,
        Fingerprint = running.Fingerprint.With(Fingerprint),
    };
}

/// <summary>Where the proxy listens. Changes of addresses need a restart.</summary>
/// <param name="Proxy">Data plane; default <c>http://127.0.0.1:8080</c>.</param>
/// <param name="Management">REST, metrics, docs, status page; default <c>http://127.0.0.1:8023</c>.</param>
/// <param name="Redirect">Where callers without TLS are sent on from; none by default.</param>
/// <param name="RedirectStatus">301 or 308 (the default).</param>
/// <param name="RedirectPort">Port that they are sent to, or null for that of the first <c>https://</c> listener of the data plane.</param>
internal sealed record ListenConfiguration(
    ImmutableArray<ListenAddress> Proxy, ImmutableArray<ListenAddress> Management, ImmutableArray<ListenAddress> Redirect, int RedirectStatus, int? RedirectPort)
{
    /// <summary>Every address and port as they are written; 0 where the system is to pick a port.</summary>
    public IEnumerable<IPEndPoint> Endpoints => Proxy.Concat(Management).Concat(Redirect).SelectMany(a => a.Endpoints);
}

/// <summary>How a request names its service.</summary>
/// <param name="Domain">Domain in lower case under which each service has a host; default <c>alicia.local</c>.</param>
/// <param name="PathPrefix">Whether the first path segment may name the service; default true.</param>
/// <param name="DefaultService">Service of requests that name none, or null for 404.</param>
internal sealed record RoutingConfiguration(string Domain, bool PathPrefix, string? DefaultService);

internal enum RegistryStore
{
    /// <summary>A file on disk (the default).</summary>
    Sqlite,

    /// <summary>Forgotten at exit.</summary>
    Memory,
}

/// <summary>What the registry keeps, where, and which instances it accepts.</summary>
/// <param name="Store">Default sqlite; changes need a restart.</param>
/// <param name="Path">Database file; default <c>data/registry.db</c>, relative to the working directory. Changes need a restart.</param>
/// <param name="RemoveAfter">An instance that is unhealthy for so long is removed; default one day.</param>
/// <param name="AllowedNetworks">Networks an instance may live in; default loopback, RFC 1918 and ULA. Link-local is never among them.</param>
internal sealed record RegistryConfiguration(RegistryStore Store, string Path, TimeSpan RemoveAfter, ImmutableArray<IPNetwork> AllowedNetworks);

/// <summary>What a key to the management listener opens.</summary>
[Flags]
internal enum ApiScopes
{
    None = 0,

    /// <summary>Every GET.</summary>
    Read = 1,

    /// <summary>Registering, heartbeats and removal of instances.</summary>
    Register = 2,

    /// <summary>The rest.</summary>
    Admin = 4,
}

/// <summary>One key to the management listener. Only its hash is kept.</summary>
/// <param name="Name">Name for logs; not secret.</param>
/// <param name="KeySha256">SHA-256 of the key's UTF-8 text, 32 bytes.</param>
/// <param name="Scopes">At least one.</param>
/// <param name="Services">The only services that the key is good for, or null for all.</param>
internal sealed record ApiKey(string Name, ImmutableArray<byte> KeySha256, ApiScopes Scopes, ImmutableSortedSet<string>? Services)
{
    /// <summary>Keeps the hash out of logs and failure messages.</summary>
    public override string ToString() => $"{Name} ({Scopes})";
}

/// <summary>The message bus. Changes need a restart.</summary>
internal sealed record MqttConfiguration
{
    /// <summary>Broker; null switches the bus off (the default).</summary>
    public string? Host { get; init; }

    /// <summary>Default 1883.</summary>
    public int Port { get; init; }

    public string? Username { get; init; }

    public string? Password { get; init; }

    /// <summary>Null: <c>load_balancer_</c> and something random.</summary>
    public string? ClientId { get; init; }

    /// <summary>First topic level; default <c>alicia</c>.</summary>
    public required string Root { get; init; }

    /// <summary>TLS towards the broker, or null for clear text.</summary>
    public MqttTlsConfiguration? Tls { get; init; }

    /// <summary>Addresses of services that announce themselves without one, by service name.</summary>
    public required ImmutableSortedDictionary<string, InstanceAddress> Addresses { get; init; }

    /// <summary>Address of the others, with <c>{service_name}</c> in the host; null refuses them.</summary>
    public InstanceAddress? AddressTemplate { get; init; }

    /// <summary>Address of a service that announced itself without one, or null when configuration has none for it.</summary>
    public InstanceAddress? AddressOf(string serviceName) => Addresses.TryGetValue(serviceName, out var address)
        ? address
        : AddressTemplate?.For(serviceName);

    /// <summary>Keeps user name and password out of logs and failure messages.</summary>
    public override string ToString() => Host is null ? "off" : $"{Host}:{Port}";
}

/// <summary>TLS towards the broker. Paths are absolute.</summary>
/// <param name="CaFile">PEM file of the authorities to trust, or null for the system's.</param>
/// <param name="CertificateFile">PEM file of the client certificate, or null for none.</param>
/// <param name="KeyFile">PEM file of its private key, or null when the certificate's file holds it.</param>
/// <param name="KeyPassword">Password of the private key, or null.</param>
internal sealed record MqttTlsConfiguration(string? CaFile, string? CertificateFile, string? KeyFile, string? KeyPassword)
{
    /// <summary>Keeps the password out of logs and failure messages.</summary>
    public override string ToString() => $"CA {CaFile ?? "of the system"}, certificate {CertificateFile ?? "none"}";
}

/// <summary>
/// A static service. Rules for names, routes and instances are the registry's; it reports a fault under <see cref="ConfigKey"/>.
/// </summary>
/// <param name="Name">Already held against the rule for service names.</param>
/// <param name="Settings">What the section sets.</param>
/// <param name="Routes">Its routes, or null when the section names none (an empty list takes the API's away).</param>
/// <param name="Instances">In the order of their positions.</param>
internal sealed record ServiceConfiguration(
    string Name, SettingOverrides Settings, ImmutableArray<RouteConfiguration>? Routes, ImmutableArray<InstanceConfiguration> Instances)
{
    /// <summary>Such as <c>Services:tts</c>.</summary>
    public string ConfigKey => "Services:" + Name;
}

/// <summary>A declared route as it was written; not yet checked.</summary>
/// <param name="ConfigKey">Such as <c>Services:tts:Routes:0</c>; below it <c>Hosts</c>, <c>Path</c>, <c>StripPrefix</c>.</param>
/// <param name="Route">Hosts in lower case.</param>
internal sealed record RouteConfiguration(string ConfigKey, DeclaredRoute Route);

/// <summary>A static instance as it was written: the fields that are given, in their types, not yet checked. Null is "not given".</summary>
internal sealed record InstanceConfiguration
{
    /// <summary>Such as <c>Services:tts:Instances:0</c>; below it the names of the properties.</summary>
    public required string ConfigKey { get; init; }

    public string? InstanceId { get; init; }

    public string? Host { get; init; }

    public int? Port { get; init; }

    /// <summary><c>http</c> or <c>https</c>.</summary>
    public string? Scheme { get; init; }

    public UpstreamProtocol? Protocol { get; init; }

    public int? Weight { get; init; }

    public int? MaxConnections { get; init; }

    public int? Priority { get; init; }

    /// <summary>Probe settings of this instance alone.</summary>
    public SettingOverrides HealthCheck { get; init; } = SettingOverrides.Empty;

    public ImmutableSortedDictionary<string, string> Metadata { get; init; } = ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal);
}

/// <summary>How the proxy leaves.</summary>
/// <param name="Grace">Not ready, but still accepting; default 2 s.</param>
/// <param name="Timeout">Then finishing what is in flight; default 8 s.</param>
internal sealed record ShutdownConfiguration(TimeSpan Grace, TimeSpan Timeout);

/// <summary>What session affinity has for all services. Changes need a restart.</summary>
/// <param name="Key">Secret that cookies are made with, or null for a random one at each start.</param>
internal sealed record AffinityConfiguration(string? Key)
{
    /// <summary>Keeps the secret out of logs and failure messages.</summary>
    public override string ToString() => Key is null ? "random key" : "own key";
}

/// <summary>What is measured and who may read it.</summary>
/// <param name="PerInstance">Whether series carry the instance; default true.</param>
/// <param name="Public">Whether <c>/metrics</c> needs no key; null: when management listens on loopback only.</param>
internal sealed record MetricsConfiguration(bool PerInstance, bool? Public);

internal enum LogFormat
{
    /// <summary>For people (the default).</summary>
    Text,

    /// <summary>One object a line.</summary>
    Json,
}

/// <summary>How a line of the access log is written.</summary>
internal enum AccessLogFormat
{
    /// <summary>One object a line (the default).</summary>
    Json,

    /// <summary>The Combined Log Format of web servers, with the proxy's fields behind it.</summary>
    Combined,
}

/// <summary>What is logged and how.</summary>
/// <param name="Format">Default text; changes need a restart.</param>
/// <param name="AccessLog">Share of the requests that the access log has a line for, 0–1; default 0, off.</param>
/// <param name="AccessLogFormat">Default JSON.</param>
/// <param name="Levels">Least level by category; <c>Default</c> is for categories without an entry.</param>
internal sealed record LoggingConfiguration(LogFormat Format, double AccessLog, AccessLogFormat AccessLogFormat, ImmutableSortedDictionary<string, LogLevel> Levels);

/// <summary>How HTTP/1.1 requests are sent to an instance. Changes need a restart.</summary>
internal enum Http1Forwarding
{
    /// <summary>YARP's forwarder, with .NET's HTTP client.</summary>
    Yarp,

    /// <summary>The proxy's own, to clear-text instances; all else as with <see cref="Yarp"/>. The default.</summary>
    Direct,
}

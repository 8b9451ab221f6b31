using System.Collections.Immutable;
using System.Net;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Configuration;

/// <summary>
/// The list of configuration keys, but for the per-service settings, which <see cref="SettingKeys"/> lists and <see cref="All"/> takes in
/// where they may stand. Reading, the search for unknown keys and the JSON schema all work from this list.
/// </summary>
internal static partial class ConfigurationKeys
{
    private static readonly List<ConfigurationKey> Declared = [];
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);

    public static readonly ConfigurationKey<ImmutableArray<ListenAddress>> ListenProxy =
        Add("Listen:Proxy", Listener("http://127.0.0.1:8080"),
        new ListenCodec(ListenScheme.Http, ListenScheme.H2c, ListenScheme.Https),
        "Where requests for the services arrive. h2c:// is HTTP/2 in clear text; proxy+ in front expects the PROXY protocol.", restart: true);

    public static readonly ConfigurationKey<ImmutableArray<ListenAddress>> ListenManagement = Add("Listen:Management",
        Listener("http://127.0.0.1:8023"), new ListenCodec(ListenScheme.Http, ListenScheme.Https),
        "Where REST, metrics, docs and the status page are. Without an API key only loopback is allowed.", restart: true);

    public static readonly ConfigurationKey<ImmutableArray<ListenAddress>> ListenRedirect = Add("Listen:Redirect", ImmutableArray<ListenAddress>.Empty,
        new ListenCodec(ListenScheme.Http), "Where callers that come without TLS are sent to the same place with https://.", restart: true);

    public static readonly ConfigurationKey<int> ListenRedirectStatus = Add("Listen:RedirectStatus", 308, new RedirectStatusCodec(),
        "Status of that answer; 308 has callers keep method and body.");

    public static readonly ConfigurationKey<int> ListenRedirectPort = Add("Listen:RedirectPort", 0, new IntegerCodec(1, 65535),
        "Port that callers are sent to. Left out: that of the first https:// listener of Listen:Proxy.", hasDefault: false);

    public static readonly ConfigurationKey<string?> RoutingDomain = Add("Routing:Domain", (string?)"alicia.local",
        new TextCodec(DomainPattern(), 253, "a DNS domain such as alicia.local"), "Domain under which each service has a host of its own.");

    public static readonly ConfigurationKey<bool> RoutingPathPrefix = Add("Routing:PathPrefix", true, new BooleanCodec(),
        "Whether the first path segment may name the service.");

    public static readonly ConfigurationKey<string?> RoutingDefaultService = Add("Routing:DefaultService", (string?)null,
        new PatternCodec(ServiceNamePattern(), ServiceNameRule), "Service of requests that name none. None: 404.");

    public static readonly ConfigurationKey<RegistryStore?> RegistryStore =
        Add("Registry:Store", (RegistryStore?)Configuration.RegistryStore.Sqlite,
        Lower<RegistryStore>(), "Where the registry is kept; memory forgets it at exit.", restart: true);

    public static readonly ConfigurationKey<string?> RegistryPath = Add("Registry:Path", (string?)"data/registry.db",
        new TextCodec(AnyPattern(), 1024, "a file path"), "Database file, relative to the working directory.", restart: true);

    public static readonly ConfigurationKey<TimeSpan> RegistryRemoveAfter = Add("Registry:RemoveAfter", TimeSpan.FromDays(1),
        new DurationCodec(TimeSpan.FromSeconds(1), TimeSpan.FromDays(365)), "An instance that stays unhealthy for so long is removed.");

    public static readonly ConfigurationKey<ImmutableArray<IPNetwork>> RegistryAllowedNetworks = Add("Registry:AllowedNetworks",
        Networks("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"),
        new NetworksCodec(bareAddresses: false, linkLocal: false, min: 1),
        "Networks that an instance may live in. Link-local is never allowed.");

    public static readonly ConfigurationKey<string?> ApiKeyText = Add("Management:ApiKeys:{name}:Key", (string?)null,
        new PatternCodec(KeyPattern(), "16 to 512 visible ASCII characters without spaces"),
        "The key itself. KeySha256 keeps it out of the file.", secret: true);

    public static readonly ConfigurationKey<string?> ApiKeySha256 = Add("Management:ApiKeys:{name}:KeySha256", (string?)null,
        new PatternCodec(Sha256Pattern(), "64 hexadecimal digits"), "SHA-256 of the key in hexadecimal.", secret: true);

    public static readonly ConfigurationKey<ImmutableArray<string>> ApiKeyScopes =
        Add("Management:ApiKeys:{name}:Scopes", ImmutableArray<string>.Empty,
        ScopesCodec(), "What the key opens.");

    public static readonly ConfigurationKey<ImmutableArray<string>> ApiKeyServices =
        Add("Management:ApiKeys:{name}:Services", ImmutableArray<string>.Empty,
        ServicesCodec(),
        "The only services that the key is good for. Left out: all.");

    public static readonly ConfigurationKey<string?> MqttHost =
        Add("Mqtt:Host", (string?)null, new PatternCodec(HostPattern(), "a host name or an IP address"),
        "Broker. None: the bus is off. Alias: MQTT_BROKER.", restart: true);

    public static readonly ConfigurationKey<int> MqttPort =
        Add("Mqtt:Port", 1883, new IntegerCodec(1, 65535), "Port of the broker. Alias: MQTT_PORT.", restart: true);

    public static readonly ConfigurationKey<string?> MqttUsername =
        Add("Mqtt:Username", (string?)null, new PatternCodec(LinePattern(), "one line of text"),
        "User name at the broker. Alias: MQTT_USERNAME.", restart: true);

    public static readonly ConfigurationKey<string?> MqttPassword =
        Add("Mqtt:Password", (string?)null, new PatternCodec(LinePattern(), "one line of text"),
        "Password at the broker. Alias: MQTT_PASSWORD.", restart: true, secret: true);

    public static readonly ConfigurationKey<string?> MqttClientId =
        Add("Mqtt:ClientId", (string?)null, new PatternCodec(ClientIdPattern(), "1 to 128 visible ASCII characters"),
        "Client id. None: load_balancer_ and something random.", restart: true);

    public static readonly ConfigurationKey<string?> MqttRoot = Add("Mqtt:Root", (string?)"alicia",
        new TextCodec(TopicPattern(), 128, "topic levels such as alicia or home/alicia, without + and #"),
        "First levels of every topic.", restart: true);

    public static readonly ConfigurationKey<bool?> MqttTlsEnabled = Add("Mqtt:Tls:Enabled", (bool?)null, new SwitchCodec(),
        "Whether the broker is reached over TLS. Left out: when another key of this section is set.", restart: true);

    public static readonly ConfigurationKey<string?> MqttTlsCaFile = Add("Mqtt:Tls:CaFile", (string?)null, File(),
        "PEM file of the authorities to trust. None: the system's.", restart: true);

    public static readonly ConfigurationKey<string?> MqttTlsCertificateFile = Add("Mqtt:Tls:CertificateFile", (string?)null, File(),
        "PEM file of the client certificate.", restart: true);

    public static readonly ConfigurationKey<string?> MqttTlsKeyFile = Add("Mqtt:Tls:KeyFile", (string?)null, File(),
        "PEM file of the client certificate's private key. None: CertificateFile holds it.", restart: true);

    public static readonly ConfigurationKey<string?> MqttTlsKeyPassword = Add("Mqtt:Tls:KeyPassword", (string?)null,
        new PatternCodec(LinePattern(), "one line of text"), "Password of the private key.", restart: true, secret: true);

    public static readonly ConfigurationKey<InstanceAddress?> MqttAddress = Add("Mqtt:Addresses:{service}", (InstanceAddress?)null,
        new InstanceAddressCodec(template: false), "Address of a service that announces itself without one.", restart: true);

    public static readonly ConfigurationKey<InstanceAddress?> MqttAddressTemplate = Add("Mqtt:AddressTemplate", (InstanceAddress?)null,
        new InstanceAddressCodec(template: true),
        "Address of services that announce themselves without one and are not in Addresses.", restart: true);

    public static readonly ConfigurationKey<TimeSpan> ShutdownGrace =
        Add("Shutdown:Grace", TimeSpan.FromSeconds(2), new DurationCodec(TimeSpan.Zero, Hour),
        "How long the proxy still accepts requests after it has said that it is not ready.");

    public static readonly ConfigurationKey<TimeSpan> ShutdownTimeout =
        Add("Shutdown:Timeout", TimeSpan.FromSeconds(8), new DurationCodec(TimeSpan.Zero, Hour),
        "How long requests in flight may then take to finish.");

    public static readonly ConfigurationKey<ImmutableArray<IPNetwork>> ForwardedTrusted =
        Add("Forwarded:Trusted", ImmutableArray<IPNetwork>.Empty,
        new NetworksCodec(bareAddresses: true, linkLocal: true), "Networks of proxies whose X-Forwarded-* fields are kept.");

    public static readonly ConfigurationKey<string?> AffinityKey = Add("Affinity:Key", (string?)null,
        new PatternCodec(KeyPattern(), "16 to 512 visible ASCII characters without spaces"),
        "Secret that cookies of session affinity are made with; the same on every proxy of a service. None: a random one at each start, so that callers are spread anew.",
        restart: true, secret: true);

    public static readonly ConfigurationKey<int> RateLimitPartitions = Add("RateLimit:Partitions", 10_000, new IntegerCodec(1, 1_000_000),
        "Callers of one service that have a rate limit of their own at once; those beyond share one.");

    public static readonly ConfigurationKey<bool> MetricsPerInstance = Add("Metrics:PerInstance", true, new BooleanCodec(),
        "Whether metrics have a series for each instance.");

    public static readonly ConfigurationKey<bool?> MetricsPublic = Add("Metrics:Public", (bool?)null, new SwitchCodec(),
        "Whether /metrics needs no key. Left out: true when management listens on loopback only.");

    public static readonly ConfigurationKey<LogFormat?> LoggingFormat =
        Add("Logging:Format", (LogFormat?)LogFormat.Text, Lower<LogFormat>(),
        "Lines for people, or one JSON object a line.", restart: true);

    public static readonly ConfigurationKey<double> LoggingAccessLog =
        Add("Logging:AccessLog", 0.0, new ShareCodec(), "One line a request on standard output: on, off, or for a share of the requests such as 0.01.");

    public static readonly ConfigurationKey<AccessLogFormat?> LoggingAccessLogFormat =
        Add("Logging:AccessLogFormat", (AccessLogFormat?)AccessLogFormat.Json, Lower<AccessLogFormat>(),
        "Lines of the access log: one JSON object each, or the combined format with the proxy's fields behind it.");

    public static readonly ConfigurationKey<LogLevel?> LoggingLevel = Add("Logging:LogLevel:{category}", (LogLevel?)null,
        new EnumCodec<LogLevel>(word => word), "Least level that is logged; the category Default is for all that have no entry.");

    public static readonly ConfigurationKey<Uri?> OtlpEndpoint =
        Add("Otlp:Endpoint", (Uri?)null, new UrlCodec(), "Where traces and metrics are sent over OTLP.");

    public static readonly ConfigurationKey<int> OtlpTracesPerSecond = Add("Otlp:TracesPerSecond", 100, new IntegerCodec(0, 1_000_000),
        "Requests of a second that are traced at most; the trace fields of the others go through as they came. 0: none are traced.");

    public static readonly ConfigurationKey<Http1Forwarding?> ForwardingHttp1 =
        Add("Forwarding:Http1", (Http1Forwarding?)Http1Forwarding.Direct,
        Lower<Http1Forwarding>(), "How HTTP/1.1 requests are sent to an instance.", restart: true);

    /// <summary>Sections whose keys are not settled yet: anything below them is taken.</summary>
    public static readonly ImmutableArray<(string Path, string Purpose)> OpenSections =
    [
    ];

    /// <summary>Every key, per-service settings included.</summary>
    public static IReadOnlyList<ConfigurationKey> All { get; } =
    [
        .. Declared,
        .. TlsKeys.All,
        .. SettingKeys.All.Select(key => Below("Defaults", key)),
        .. SettingKeys.All.Select(key => Below("Services:{service}", key)),
        .. LimitKeys.All,
        .. ServiceKeys.All,
        .. AccessKeys.All,
        .. SettingKeys.HealthCheck.Select(key => Below("Services:{service}:Instances:{index}", key)),
    ];

    private static ConfigurationKey Below(string section, SettingKey key) =>
        new($"{section}:{key.ConfigPath}", section == "Defaults" ? key.DefaultValue : null, key.Codec, key.Purpose) { Secret = key.Codec.IsMap };

    private static ConfigurationKey<T> Add<T>(
        string path, T defaultValue, SettingCodec<T> codec, string purpose, bool restart = false, bool secret = false, bool hasDefault = true)
    {
        var key = new ConfigurationKey<T>(path, defaultValue, codec, purpose) { NeedsRestart = restart, Secret = secret, HasDefault = hasDefault && defaultValue is not null };
        Declared.Add(key);
        return key;
    }

    private static EnumCodec<T> Lower<T>()
        where T : struct, Enum => new(word => word.ToLowerInvariant());

    /// <summary>Words for <see cref="ApiScopes"/>.</summary>
    public static WordsCodec ScopesCodec() => new(ScopePattern(), "a list of at least one of read, register, admin", min: 1);

    /// <summary>Names of services, at least one.</summary>
    public static WordsCodec ServicesCodec() => new(ServiceNamePattern(), "a list of at least one service name", min: 1);

    private static PatternCodec File() => new(LinePattern(), "a file path");

    private static ImmutableArray<ListenAddress> Listener(string text) =>
        ListenAddress.TryParse(text, out var address) ? [address] : throw new FormatException(text);

    private static ImmutableArray<IPNetwork> Networks(params string[] texts) => [.. texts.Select(IPNetwork.Parse)];
}

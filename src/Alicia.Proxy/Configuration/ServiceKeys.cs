using System.Collections.Immutable;
using System.Text.RegularExpressions;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Settings;
using Alicia.Proxy.Registry.Validation;

namespace Alicia.Proxy.Configuration;

/// <summary>
/// The keys of a static service besides its settings: routes and instances. They are read, not judged: whether a host or a route will do
/// is for the registry to say, which has the same rules for the REST API.
/// </summary>
internal static partial class ServiceKeys
{
    private const string Routes = "Services:{service}:Routes:{index}:";
    private const string Instances = "Services:{service}:Instances:{index}:";
    private static readonly List<ConfigurationKey> Declared = [];

    public static readonly ConfigurationKey<ImmutableArray<string>> RouteHosts = Add(Routes + "Hosts", ImmutableArray<string>.Empty,
        new WordsCodec(TextPattern(), "a list of hosts"), "Hosts, exact or with *. in front. Left out: any host.");

    public static readonly ConfigurationKey<string?> RoutePath = Add(Routes + "Path", (string?)null, Text(),
        "Path template such as /v1/tts/{**rest}. Left out: any path.");

    public static readonly ConfigurationKey<string?> RouteStripPrefix = Add(Routes + "StripPrefix", (string?)null, Text(),
        "Beginning of the path that the instance does not see.");

    public static readonly ConfigurationKey<string?> InstanceId = Add(Instances + "InstanceId", (string?)null, Text(),
        "Name of the instance. Left out: made from host and port.");

    public static readonly ConfigurationKey<string?> InstanceHost = Add(Instances + "Host", (string?)null, Text(),
        "DNS name or IP address, inside Registry:AllowedNetworks. Required.");

    public static readonly ConfigurationKey<int> InstancePort =
        Add(Instances + "Port", 0, new IntegerCodec(1, 65535), "Required.", hasDefault: false);

    public static readonly ConfigurationKey<string> InstanceScheme = Add(Instances + "Scheme", "http", new ChoiceCodec("http", "https"),
        "How the instance is reached.");

    public static readonly ConfigurationKey<UpstreamProtocol?> InstanceProtocol =
        Add(Instances + "Protocol", (UpstreamProtocol?)UpstreamProtocol.Http1,
        new EnumCodec<UpstreamProtocol>(word => word.ToLowerInvariant()), "HTTP/1.1, HTTP/2 over TLS, or HTTP/2 in clear text.");

    public static readonly ConfigurationKey<int> InstanceWeight =
        Add(Instances + "Weight", 1, new IntegerCodec(1, 1000), "Share of traffic, for weighted_round_robin.");

    public static readonly ConfigurationKey<int> InstanceMaxConnections = Add(Instances + "MaxConnections", 0, new IntegerCodec(1, 100000),
        "Requests in flight to the instance at once. Left out: the service's MaxConnections.", hasDefault: false);

    public static readonly ConfigurationKey<int> InstancePriority = Add(Instances + "Priority", 0, new IntegerCodec(0, InstanceRules.MaxPriority),
        "Instances of a higher number get traffic only while none of a lower is usable.");

    public static readonly ConfigurationKey<string?> InstanceMetadata =
        Add(Instances + "Metadata:{key}", (string?)null, Text(), "Free text for people and tools.");

    public static IReadOnlyList<ConfigurationKey> All => Declared;

    private static PatternCodec Text() => new(TextPattern(), "one line of at most 4096 characters");

    private static ConfigurationKey<T> Add<T>(string path, T defaultValue, SettingCodec<T> codec, string purpose, bool hasDefault = true)
    {
        var key = new ConfigurationKey<T>(path, defaultValue, codec, purpose) { HasDefault = hasDefault && defaultValue is not null };
        Declared.Add(key);
        return key;
    }

    [GeneratedRegex(@"^[^\x00-\x1f]{1,4096}$", RegexOptions.CultureInvariant)]
    private static partial Regex TextPattern();
}

using System.Collections.Immutable;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Configuration;

/// <summary>
/// Turns layered configuration into a <see cref="ProxyConfiguration"/>, or into the list of everything that is wrong with it.
/// </summary>
internal static partial class ConfigurationReader
{
    /// <summary>Reads the whole configuration. The value is null exactly when there are faults.</summary>
    public static (ProxyConfiguration? Value, IReadOnlyList<ConfigurationFault> Faults) Read(IConfiguration configuration)
    {
        var (value, faults) = ReadAll(configuration);
        return (faults.Count == 0 ? value : null, faults);
    }

    /// <summary>Reads the whole configuration; where something is at fault, the value has the default, or nothing, in its place.</summary>
    public static (ProxyConfiguration Value, IReadOnlyList<ConfigurationFault> Faults) ReadAll(IConfiguration configuration)
    {
        var values = ConfigurationValues.Of(configuration);
        var faults = new List<ConfigurationFault>(values.Faults);
        var defaults = values.Overrides("Defaults", SettingKeys.All);
        var read = new ProxyConfiguration
        {
            Listen = ReadListeners(values, faults),
            Routing = new RoutingConfiguration(
                values.Get(ConfigurationKeys.RoutingDomain)!.ToLowerInvariant(),
                values.Get(ConfigurationKeys.RoutingPathPrefix),
                values.Get(ConfigurationKeys.RoutingDefaultService)),
            Registry = new RegistryConfiguration(
                values.Get(ConfigurationKeys.RegistryStore)!.Value,
                values.Get(ConfigurationKeys.RegistryPath)!,
                values.Get(ConfigurationKeys.RegistryRemoveAfter),
                values.Get(ConfigurationKeys.RegistryAllowedNetworks)),
            ApiKeys = ReadApiKeys(values, faults),
            Jwt = ReadJwt(values, faults),
            ClientCertificates = ReadClientCertificates(values, faults),
            Mqtt = ReadMqtt(values, faults),
            Tls = ReadTls(values, faults),
            ProxyProtocol = new ProxyProtocolConfiguration(values.Get(TlsKeys.ProxyProtocolTrusted), values.Get(TlsKeys.ProxyProtocolTimeout)),
            Defaults = defaults,
            Services = ReadServices(values, defaults, faults),
            Shutdown = new ShutdownConfiguration(values.Get(ConfigurationKeys.ShutdownGrace), values.Get(ConfigurationKeys.ShutdownTimeout)),
            ForwardedTrusted = values.Get(ConfigurationKeys.ForwardedTrusted),
            Limits = ReadLimits(values),
            RateLimitPartitions = values.Get(ConfigurationKeys.RateLimitPartitions),
            Metrics = new MetricsConfiguration(values.Get(ConfigurationKeys.MetricsPerInstance), values.Get(ConfigurationKeys.MetricsPublic)),
            Logging = ReadLogging(values),
            OtlpEndpoint = values.Get(ConfigurationKeys.OtlpEndpoint),
            Affinity = new AffinityConfiguration(values.Get(ConfigurationKeys.AffinityKey)),
            OtlpTracesPerSecond = values.Get(ConfigurationKeys.OtlpTracesPerSecond),
            ForwardingHttp1 = values.Get(ConfigurationKeys.ForwardingHttp1)!.Value,
            Fingerprint = ConfigurationFingerprint.Of(values),
        };
        if (values.Names("Management:ApiKeys").Count == 0 && read.Jwt is null && values.Names(AccessKeys.Certificates).Count == 0)
            faults.AddRange(OpenManagementFaults(read));
        return (read, faults);
    }

    /// <summary>
    /// Without a credential to ask for, management is open to whoever reaches it, and so it must be this machine only. A PROXY header says that somebody stands in front, for others.
    /// </summary>
    public static IEnumerable<ConfigurationFault> OpenManagementFaults(ProxyConfiguration configuration)
    {
        if (configuration.AsksForCredentials)
            yield break;
        foreach (var address in configuration.Listen.Management.Where(address => !address.IsLoopback || address.ProxyProtocol))
        {
            yield return new ConfigurationFault(ConfigurationKeys.ListenManagement.Path,
                $"{address} can be reached from other machines and there is no API key: listen on 127.0.0.1, [::1] or localhost, "
                + "or add a key under Management:ApiKeys:{name} (Key or KeySha256, and Scopes)");
        }
    }

    private static ListenConfiguration ReadListeners(ConfigurationValues values, List<ConfigurationFault> faults)
    {
        var listen = new ListenConfiguration(values.Get(ConfigurationKeys.ListenProxy), values.Get(ConfigurationKeys.ListenManagement),
            values.Get(ConfigurationKeys.ListenRedirect), values.Get(ConfigurationKeys.ListenRedirectStatus),
            values.TryGet(ConfigurationKeys.ListenRedirectPort, out var port) ? port : null);
        AddListenerFaults(values, listen, faults);
        var all = listen.Proxy.Select(address => (ConfigurationKeys.ListenProxy.Path, Address: address))
            .Concat(listen.Management.Select(address => (ConfigurationKeys.ListenManagement.Path, Address: address)))
            .Concat(listen.Redirect.Select(address => (ConfigurationKeys.ListenRedirect.Path, Address: address)))
            .ToList();
        for (var later = 1; later < all.Count; later++)
        {
            for (var earlier = 0; earlier < later; earlier++)
            {
                if (all[earlier].Address.CollidesWith(all[later].Address))
                    faults.Add(new ConfigurationFault(all[later].Path,
                        $"{all[later].Address} collides with {all[earlier].Address} of {all[earlier].Path}"));
            }
        }

        return listen;
    }

    private static MqttConfiguration ReadMqtt(ConfigurationValues values, List<ConfigurationFault> faults)
    {
        var tls = new MqttTlsConfiguration(
            values.Get(ConfigurationKeys.MqttTlsCaFile),
            values.Get(ConfigurationKeys.MqttTlsCertificateFile),
            values.Get(ConfigurationKeys.MqttTlsKeyFile),
            values.Get(ConfigurationKeys.MqttTlsKeyPassword));
        if (tls is { KeyFile: not null, CertificateFile: null })
            faults.Add(new ConfigurationFault(ConfigurationKeys.MqttTlsKeyFile.Path, "needs Mqtt:Tls:CertificateFile as well"));
        if (tls is { KeyPassword: not null, CertificateFile: null })
            faults.Add(new ConfigurationFault(ConfigurationKeys.MqttTlsKeyPassword.Path, "needs Mqtt:Tls:CertificateFile as well"));
        var tlsOn = values.Get(ConfigurationKeys.MqttTlsEnabled)
            ?? tls is not { CaFile: null, CertificateFile: null, KeyFile: null, KeyPassword: null };

        var mqtt = new MqttConfiguration
        {
            Host = values.Get(ConfigurationKeys.MqttHost),
            Port = values.Get(ConfigurationKeys.MqttPort),
            Username = values.Get(ConfigurationKeys.MqttUsername),
            Password = values.Get(ConfigurationKeys.MqttPassword),
            ClientId = values.Get(ConfigurationKeys.MqttClientId),
            Root = values.Get(ConfigurationKeys.MqttRoot)!,
            Tls = tlsOn ? tls : null,
            Addresses = values.Names("Mqtt:Addresses")
                .Select(name => (name, Address: values.Get(ConfigurationKeys.MqttAddress, name)))
                .Where(entry => entry.Address is not null)
                .ToImmutableSortedDictionary(entry => entry.name, entry => entry.Address!, StringComparer.Ordinal),
            AddressTemplate = values.Get(ConfigurationKeys.MqttAddressTemplate),
        };
        if (mqtt is { Password: not null, Username: null } && !values.IsGiven(ConfigurationKeys.MqttUsername.Path))
            faults.Add(new ConfigurationFault(ConfigurationKeys.MqttPassword.Path, "needs Mqtt:Username as well"));
        return mqtt;
    }

    private static LimitsConfiguration ReadLimits(ConfigurationValues values) => new()
    {
        TargetBytes = values.Get(LimitKeys.TargetBytes),
        FieldBytes = values.Get(LimitKeys.FieldBytes),
        FieldCount = values.Get(LimitKeys.FieldCount),
        BodyBytes = values.Get(LimitKeys.BodyBytes),
        HeadTimeout = values.Get(LimitKeys.HeadTimeout),
        IdleTimeout = values.Get(LimitKeys.IdleTimeout),
        RequestBodyRate = values.Get(LimitKeys.RequestBodyRate),
        ResponseBodyRate = values.Get(LimitKeys.ResponseBodyRate),
        Connections = values.Get(LimitKeys.Connections),
        ConnectionsPerAddress = values.Get(LimitKeys.ConnectionsPerAddress),
        Http2Streams = values.Get(LimitKeys.Http2Streams),
    };

    private static LoggingConfiguration ReadLogging(ConfigurationValues values) => new(
        values.Get(ConfigurationKeys.LoggingFormat)!.Value,
        values.Get(ConfigurationKeys.LoggingAccessLog),
        values.Get(ConfigurationKeys.LoggingAccessLogFormat)!.Value,
        values.Names("Logging:LogLevel")
            .Select(category => (category, Level: values.Get(ConfigurationKeys.LoggingLevel, category)))
            .Where(entry => entry.Level is not null)
            .ToImmutableSortedDictionary(entry => entry.category, entry => entry.Level!.Value, StringComparer.OrdinalIgnoreCase));
}

using System.Collections.Immutable;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Configuration;

/// <summary>Reads <c>Defaults:</c> and <c>Services:{name}:</c>.</summary>
internal static partial class ConfigurationReader
{
    private static ImmutableArray<ServiceConfiguration> ReadServices(
        ConfigurationValues values, SettingOverrides defaults, List<ConfigurationFault> faults)
    {
        AddCrossFaults("Defaults", [defaults], faults);
        AddProfileFault(values, "Defaults", defaults, faults);
        var services = ImmutableArray.CreateBuilder<ServiceConfiguration>();
        foreach (var name in values.Names("Services"))
        {
            var path = "Services:" + name;
            var settings = values.Overrides(path, SettingKeys.All);
            AddCrossFaults(path, [defaults, settings], faults);
            AddProfileFault(values, path, settings, faults);
            var instances = values.Names(path + ":Instances").Select(index => ReadInstance(values, name, index)).ToImmutableArray();
            foreach (var instance in instances)
                AddCrossFaults(instance.ConfigKey, [defaults, settings, instance.HealthCheck], faults);
            ImmutableArray<RouteConfiguration>? routes = values.IsGiven(path + ":Routes")
                ? [.. values.Names(path + ":Routes").Select(index => ReadRoute(values, name, index))]
                : null;
            services.Add(new ServiceConfiguration(name, settings, routes, instances));
        }

        return services.ToImmutable();
    }

    private static RouteConfiguration ReadRoute(ConfigurationValues values, string service, string index) => new(
        $"Services:{service}:Routes:{index}",
        new DeclaredRoute(
            [.. values.Get(ServiceKeys.RouteHosts, service, index).Select(host => host.ToLowerInvariant())],
            values.Get(ServiceKeys.RoutePath, service, index),
            values.Get(ServiceKeys.RouteStripPrefix, service, index)));

    private static InstanceConfiguration ReadInstance(ConfigurationValues values, string service, string index)
    {
        var path = $"Services:{service}:Instances:{index}";
        return new InstanceConfiguration
        {
            ConfigKey = path,
            InstanceId = values.Get(ServiceKeys.InstanceId, service, index),
            Host = values.Get(ServiceKeys.InstanceHost, service, index),
            Port = values.TryGet(ServiceKeys.InstancePort, out var port, service, index) ? port : null,
            Scheme = values.TryGet(ServiceKeys.InstanceScheme, out var scheme, service, index) ? scheme : null,
            Protocol = values.TryGet(ServiceKeys.InstanceProtocol, out var protocol, service, index) ? protocol : null,
            Weight = values.TryGet(ServiceKeys.InstanceWeight, out var weight, service, index) ? weight : null,
            MaxConnections = values.TryGet(ServiceKeys.InstanceMaxConnections, out var cap, service, index) ? cap : null,
            Priority = values.TryGet(ServiceKeys.InstancePriority, out var priority, service, index) ? priority : null,
            HealthCheck = values.Overrides(path, SettingKeys.HealthCheck),
            Metadata = values.Names(path + ":Metadata").ToImmutableSortedDictionary(
                key => key, key => values.Get(ServiceKeys.InstanceMetadata, service, index, key) ?? "", StringComparer.Ordinal),
        };
    }

    private static void AddProfileFault(ConfigurationValues values, string path, SettingOverrides settings, List<ConfigurationFault> faults)
    {
        if (settings.TryGet(SettingKeys.TlsProfile, out var profile) && profile is string named && !values.Names("Tls:Instances").Contains(named))
            faults.Add(new ConfigurationFault($"{path}:{SettingKeys.TlsProfile.ConfigPath}", $"there is no Tls:Instances:{named}"));
    }

    /// <summary>Reports a rule between settings where the last layer breaks it; an earlier layer has its own report.</summary>
    private static void AddCrossFaults(string path, ReadOnlySpan<SettingOverrides> layers, List<ConfigurationFault> faults)
    {
        foreach (var (key, fault) in ServiceSettings.Resolve(layers).CrossFaults())
        {
            if (layers[^1].TryGet(key, out var value))
                faults.Add(new ConfigurationFault($"{path}:{key.ConfigPath}", $"{fault}; given: {key.Codec.ToText(value)}"));
        }
    }
}

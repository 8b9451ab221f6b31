using System.Text.RegularExpressions;
using Alicia.Proxy.Configuration;
using Alicia.Proxy.Events;
using Alicia.Proxy.Forwarding;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Changes;
using Alicia.Proxy.Registry.Validation;
using Alicia.Proxy.Security;
using Alicia.Proxy.Storage;
using Alicia.Proxy.Tls;

namespace Alicia.Proxy.Hosting;

/// <summary>Puts a configuration into force: at start and at each reload, through the same door, as a whole or not at all.</summary>
internal sealed partial class ConfigurationInForce(
    ServiceRegistry registry, OwnListeners own, ForwardingOptions forwarding, CertificateStore certificates, TimeProvider time, ILogger<ConfigurationInForce> logger)
{
    /// <summary>Lays the configuration over the registry; the rest follows only when the registry accepts.</summary>
    /// <returns>What the registry finds at fault, by configuration key; empty when it is in force.</returns>
    public async Task<IReadOnlyList<ConfigurationFault>> ApplyAsync(ProxyConfiguration configuration, CancellationToken cancellation)
    {
        // Read before and used after: files at fault leave everything as it is.
        var (loaded, faults) = CertificateStore.Load(configuration.Tls);
        if (loaded is null)
            return faults;
        var result = await registry.SubmitAsync(ChangeOf(configuration, own), cancellation);
        if (result.Rejection is { } rejection)
            return Faults(rejection);
        UseBesidesRegistry(configuration, loaded);
        return [];
    }

    /// <summary>
    /// Like <see cref="ApplyAsync"/>, for a reload: a store that cannot be written now is asked again, with growing pauses, until it can or the proxy stops. The files have not
    /// changed since, so nobody else would.
    /// </summary>
    public async Task<IReadOnlyList<ConfigurationFault>> ApplyWhenWritableAsync(ProxyConfiguration configuration, CancellationToken cancellation)
    {
        if (AccessFiles.Faults(configuration) is { Count: > 0 } faults)
            return faults;
        var pause = TimeSpan.FromSeconds(1);
        while (true)
        {
            var (loaded, unusable) = CertificateStore.Load(configuration.Tls);
            if (loaded is null)
                return unusable;
            var result = await registry.SubmitAsync(ChangeOf(configuration, own), cancellation);
            if (result.Rejection is not { Kind: RejectionKind.StoreUnavailable } rejection)
            {
                if (result.Accepted)
                    UseBesidesRegistry(configuration, loaded);
                return result.Rejection is null ? [] : Faults(result.Rejection);
            }

            LogWaiting(logger, pause.TotalSeconds, rejection.Detail);
            await Task.Delay(pause, time, cancellation);
            pause = TimeSpan.FromSeconds(Math.Min(60, pause.TotalSeconds * 2));
        }
    }

    private void UseBesidesRegistry(ProxyConfiguration configuration, LoadedCertificates loaded)
    {
        forwarding.Trusted = configuration.ForwardedTrusted;
        certificates.Use(loaded);
    }

    /// <summary>What a fresh start with an empty store would find at fault: in the files that are named, and in the registry.</summary>
    public static IReadOnlyList<ConfigurationFault> Check(ProxyConfiguration configuration, TimeProvider time)
    {
        var draft = new RegistryDraft(RegistrySnapshot.Empty, time.GetUtcNow());
        var own = new OwnListeners(time);
        own.Set(configuration.Listen.Endpoints);
        return [.. CertificateStore.Load(configuration.Tls).Faults, .. AccessFiles.Faults(configuration), .. ChangeOf(configuration, own).Apply(draft).Rejection is { } rejection ? Faults(rejection) : []];
    }

    private static ApplyConfiguration ChangeOf(ProxyConfiguration configuration, OwnListeners own) => new(
        new RegistryRules
        {
            Defaults = configuration.Defaults,
            AllowedNetworks = configuration.Registry.AllowedNetworks,
            Own = own,
            RateLimitPartitions = configuration.RateLimitPartitions,
            Domain = configuration.Routing.Domain,
            PathPrefix = configuration.Routing.PathPrefix,
            DefaultService = configuration.Routing.DefaultService,
            TlsProfiles = configuration.Tls.Profiles.Select(p => p.Name).ToHashSet(StringComparer.Ordinal),
        },
        [.. configuration.Services.Select(ServiceOf)]);

    private static StaticService ServiceOf(ServiceConfiguration service) => new(
        service.Name,
        service.Settings,
        service.Routes?.Select(r => new RouteRequest(r.Route.Hosts, r.Route.Path, r.Route.StripPrefix)).ToArray(),
        [.. service.Instances.Select(i => new RegistrationRequest
        {
            InstanceId = i.InstanceId,
            Host = i.Host,
            Port = i.Port,
            Scheme = i.Scheme,
            Protocol = i.Protocol is { } protocol ? InstanceRules.WireName(protocol) : null,
            Weight = i.Weight,
            MaxConnections = i.MaxConnections,
            Priority = i.Priority,
            HealthCheck = i.HealthCheck,
            Metadata = i.Metadata,
        })]);

    private static ConfigurationFault[] Faults(Rejection rejection) => rejection.Errors is { } errors
        ? [.. errors.SelectMany(e => e.Value.Select(message => new ConfigurationFault(KeyOf(e.Key), message)))]
        : [new ConfigurationFault("Registry", rejection.Detail)];

    /// <summary>The registry speaks of <c>Routes[0].strip_prefix</c>; configuration calls that <c>Routes:0:StripPrefix</c>.</summary>
    private static string KeyOf(string field)
    {
        var parts = IndexPattern().Replace(field, ":$1").Split(':', '.');
        return string.Join(':', parts.Select((part, i) => i < 2 ? part : Pascal(part)));
    }

    private static string Pascal(string snake) =>
        string.Concat(snake.Split('_').Select(word => word.Length == 0 ? word : char.ToUpperInvariant(word[0]) + word[1..]));

    [LoggerMessage(LogLevel.Warning, "Changed configuration waits {Seconds} s for the registry's store: {Reason}")]
    private static partial void LogWaiting(ILogger logger, double seconds, string reason);

    [GeneratedRegex(@"\[(\d+)\]", RegexOptions.CultureInvariant)]
    private static partial Regex IndexPattern();
}

internal static class StoreServices
{
    /// <summary>Adds the registry and the store that configuration names.</summary>
    public static IServiceCollection AddRegistry(this IServiceCollection services, RegistryConfiguration configuration)
    {
        if (configuration.Store == RegistryStore.Memory)
            services.AddSingleton<IRegistryStore, MemoryRegistryStore>();
        else
            services.AddSingleton<IRegistryStore>(s => new SqliteRegistryStore(configuration.Path, s.GetRequiredService<ILogger<SqliteRegistryStore>>()));
        return services.AddSingleton<ServiceRegistry>().AddSingleton(s => new OwnListeners(s.GetRequiredService<TimeProvider>())).AddSingleton<ConfigurationInForce>().AddSingleton<EventLog>().AddSingleton<RegistryEvents>();
    }
}

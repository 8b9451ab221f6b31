using System.Collections.Immutable;

namespace Alicia.Proxy.Configuration;

/// <summary>Reads <c>Tls:</c> and <c>ProxyProtocol:</c>, and what listeners need of them.</summary>
internal static partial class ConfigurationReader
{
    private static TlsConfiguration ReadTls(ConfigurationValues values, List<ConfigurationFault> faults)
    {
        var certificates = ImmutableArray.CreateBuilder<TlsCertificateConfiguration>();
        foreach (var name in values.Names("Tls:Certificates").Order(StringComparer.Ordinal))
        {
            var location = ReadLocation(values, $"Tls:Certificates:{name}", values.Get(TlsKeys.CertificateFile, name), values.Get(TlsKeys.KeyFile, name),
                values.Get(TlsKeys.Password, name), required: true, faults);
            ImmutableArray<string> names = [.. values.Get(TlsKeys.Names, name).Select(n => n.ToLowerInvariant()).Distinct(StringComparer.Ordinal)];
            foreach (var taken in certificates)
            {
                if (names.FirstOrDefault(n => taken.Names.Contains(n)) is { } twice)
                    faults.Add(new ConfigurationFault(TlsKeys.Names.At(name), $"'{twice}' stands in Tls:Certificates:{taken.Name}:Names too"));
            }

            if (location is not null)
                certificates.Add(new TlsCertificateConfiguration(name, location, names));
        }

        var fallback = values.Get(TlsKeys.DefaultCertificate);
        if (fallback is not null && !values.Names("Tls:Certificates").Contains(fallback))
            faults.Add(new ConfigurationFault(TlsKeys.DefaultCertificate.Path, $"there is no Tls:Certificates:{fallback}"));
        return new TlsConfiguration(certificates.ToImmutable(), fallback, values.Get(TlsKeys.UnknownName) == "refuse", values.Get(TlsKeys.MinimumVersion) == "1.3",
            values.Get(TlsKeys.HandshakeTimeout), values.Get(TlsKeys.ExpiryWarning), ReadProfiles(values, faults));
    }

    private static ImmutableArray<TlsProfileConfiguration> ReadProfiles(ConfigurationValues values, List<ConfigurationFault> faults)
    {
        var profiles = ImmutableArray.CreateBuilder<TlsProfileConfiguration>();
        foreach (var name in values.Names("Tls:Instances").Order(StringComparer.Ordinal))
        {
            var client = ReadLocation(values, $"Tls:Instances:{name}", values.Get(TlsKeys.InstanceCertificateFile, name), values.Get(TlsKeys.InstanceKeyFile, name),
                values.Get(TlsKeys.InstancePassword, name), required: false, faults);
            profiles.Add(new TlsProfileConfiguration(name, values.Get(TlsKeys.InstanceCaFile, name), client));
        }

        return profiles.ToImmutable();
    }

    private static CertificateLocation? ReadLocation(
        ConfigurationValues values, string path, string? certificate, string? key, string? password, bool required, List<ConfigurationFault> faults)
    {
        if (certificate is not null)
            return new CertificateLocation(path, certificate, key, password);
        if (values.Faults.Any(fault => fault.Key.Equals(path + ":CertificateFile", StringComparison.OrdinalIgnoreCase)))
            return null;
        if (required)
            faults.Add(new ConfigurationFault(path + ":CertificateFile", "must be given: a PEM or PKCS #12 file"));
        if (!required && key is not null)
            faults.Add(new ConfigurationFault(path + ":KeyFile", $"needs {path}:CertificateFile as well"));
        if (!required && password is not null)
            faults.Add(new ConfigurationFault(path + ":Password", $"needs {path}:CertificateFile as well"));
        return null;
    }

    /// <summary>Rules between listeners and the rest: certificates for <c>https://</c>, trusted networks for <c>proxy+</c>, somewhere to redirect to.</summary>
    private static void AddListenerFaults(ConfigurationValues values, ListenConfiguration listen, List<ConfigurationFault> faults)
    {
        (ConfigurationKey Key, ImmutableArray<ListenAddress> Addresses)[] planes =
            [(ConfigurationKeys.ListenProxy, listen.Proxy), (ConfigurationKeys.ListenManagement, listen.Management), (ConfigurationKeys.ListenRedirect, listen.Redirect)];
        foreach (var (key, addresses) in planes)
        {
            if (addresses.FirstOrDefault(a => a.Scheme == ListenScheme.Https) is { } tls && values.Names("Tls:Certificates").Count == 0)
                faults.Add(new ConfigurationFault(key.Path, $"{tls} needs a certificate: Tls:Certificates:{{name}}:CertificateFile"));
            if (addresses.FirstOrDefault(a => a.ProxyProtocol) is { } announced && !values.IsGiven(TlsKeys.ProxyProtocolTrusted.Path))
                faults.Add(new ConfigurationFault(key.Path, $"{announced} needs ProxyProtocol:Trusted: the networks of the proxies in front"));
        }

        if (!listen.Redirect.IsEmpty && listen.RedirectPort is null && !listen.Proxy.Any(a => a.Scheme == ListenScheme.Https))
        {
            faults.Add(new ConfigurationFault(ConfigurationKeys.ListenRedirect.Path,
                "has nowhere to send callers: Listen:Proxy has no https:// listener, and Listen:RedirectPort is not set"));
        }
    }
}

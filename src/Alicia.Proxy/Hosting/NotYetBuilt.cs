using Alicia.Proxy.Configuration;

namespace Alicia.Proxy.Hosting;

/// <summary>
/// Tells what configuration asks for and this version does not do. Keys are accepted ahead of their features, so that one file serves several versions; nobody should have to
/// find out by waiting for an effect.
/// </summary>
internal static class NotYetBuilt
{
    /// <summary>What would be wrong to go on without: a listener that promises TLS and speaks clear text.</summary>
    public static IReadOnlyList<ConfigurationFault> Faults(ProxyConfiguration configuration) =>
    [
        .. Tls("Listen:Proxy", configuration.Listen.Proxy),
        .. Tls("Listen:Management", configuration.Listen.Management),
    ];

    private static IEnumerable<ConfigurationFault> Tls(string key, IEnumerable<ListenAddress> addresses) =>
        addresses.Where(a => a.Scheme == ListenScheme.Https).Select(a => new ConfigurationFault(key, $"{a}: this version does not listen with TLS; use http:// or h2c://"));
}

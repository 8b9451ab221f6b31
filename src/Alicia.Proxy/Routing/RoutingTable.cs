using System.Diagnostics.CodeAnalysis;
using Alicia.Proxy.Balancing;
using Alicia.Proxy.Registry;

namespace Alicia.Proxy.Routing;

/// <summary>
/// Finds the service of a request by host, then by first path segment, then by default. Immutable; a new service or other rules make a new table. A look-up
/// allocates nothing and decodes nothing.
/// </summary>
internal sealed class RoutingTable
{
    public static readonly RoutingTable Empty = new(RegistryRules.Default, []);

    private readonly Dictionary<string, Upstream> _upstreams;
    private readonly Dictionary<string, Upstream>.AlternateLookup<ReadOnlySpan<char>> _bySpan;
    private readonly string _domainSuffix;
    private readonly bool _pathPrefix;
    private readonly Upstream? _default;

    public RoutingTable(RegistryRules rules, IEnumerable<Upstream> upstreams)
    {
        _upstreams = upstreams.ToDictionary(u => u.Name, StringComparer.Ordinal);
        _bySpan = _upstreams.GetAlternateLookup<ReadOnlySpan<char>>();
        _domainSuffix = "." + rules.Domain;
        _pathPrefix = rules.PathPrefix;
        _default = rules.DefaultService is { } name ? _upstreams.GetValueOrDefault(name) : null;
    }

    public IReadOnlyCollection<Upstream> Upstreams => _upstreams.Values;

    public bool TryGet(string service, [NotNullWhen(true)] out Upstream? upstream) => _upstreams.TryGetValue(service, out upstream);

    /// <summary>The service of a request that no declared route took, or null.</summary>
    /// <param name="host">The Host field, with or without a port.</param>
    /// <param name="pathAndQuery">Raw path and query.</param>
    /// <param name="prefixLength">Characters of <paramref name="pathAndQuery"/> that named the service and are stripped; 0 for none.</param>
    public Upstream? Find(string? host, string pathAndQuery, out int prefixLength)
    {
        prefixLength = 0;
        if (FindByHost(host) is { } byHost)
            return byHost;
        if (_pathPrefix)
        {
            var segment = RequestTarget.FirstSegment(pathAndQuery);
            if (segment.Length > 0 && _bySpan.TryGetValue(segment, out var byPrefix))
            {
                prefixLength = segment.Length + 1;
                return byPrefix;
            }
        }

        return _default;
    }

    private Upstream? FindByHost(ReadOnlySpan<char> host)
    {
        var colon = host.LastIndexOf(':');
        if (colon >= 0)
            host = host[..colon];
        if (host.EndsWith('.'))
            host = host[..^1];
        if (!host.EndsWith(_domainSuffix, StringComparison.OrdinalIgnoreCase))
            return null;
        var name = host[..^_domainSuffix.Length];
        if (_bySpan.TryGetValue(name, out var upstream))
            return upstream;

        // Hosts compare without case, service names are lower-case: the second look-up is for those who shout.
        Span<char> lower = stackalloc char[64];
        var length = name.Length <= 63 ? name.ToLowerInvariant(lower) : -1;
        return length >= 0 && _bySpan.TryGetValue(lower[..length], out upstream) ? upstream : null;
    }
}

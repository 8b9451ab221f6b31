using System.Collections.Immutable;
using System.Net;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Registry;

/// <summary>What configuration says about every service at once. Part of the snapshot, so that what routes and what is allowed never disagree.</summary>
internal sealed record RegistryRules
{
    /// <summary>Loopback, RFC 1918 and unique local IPv6: where instances live unless configuration says otherwise.</summary>
    public static readonly IReadOnlyList<IPNetwork> PrivateNetworks =
    [
        IPNetwork.Parse("127.0.0.0/8"), IPNetwork.Parse("::1/128"), IPNetwork.Parse("10.0.0.0/8"), IPNetwork.Parse("172.16.0.0/12"),
        IPNetwork.Parse("192.168.0.0/16"), IPNetwork.Parse("fc00::/7"),
    ];

    // Behind the networks that it takes: static fields are set in the order of the text.
    public static readonly RegistryRules Default = new();

    /// <summary>Rules of a snapshot that came from the store and that no configuration has been laid over yet; known by reference.</summary>
    public static readonly RegistryRules BeforeConfiguration = new();

    /// <summary>Per-service settings that apply where a service has none of its own.</summary>
    public SettingOverrides Defaults { get; init; } = SettingOverrides.Empty;

    /// <summary>Networks that an instance may live in; link-local never counts as allowed.</summary>
    public IReadOnlyList<IPNetwork> AllowedNetworks { get; init; } = PrivateNetworks;

    /// <summary>Callers of one service that have a rate limit of their own at once.</summary>
    public int RateLimitPartitions { get; init; } = 10_000;

    /// <summary>Service S answers to the host <c>S.Domain</c>.</summary>
    public string Domain { get; init; } = "alicia.local";

    /// <summary>Whether service S answers to paths below <c>/S/</c>.</summary>
    public bool PathPrefix { get; init; } = true;

    /// <summary>Service that takes what nothing else matches, or null.</summary>
    public string? DefaultService { get; init; }

    /// <summary>The proxy's own listeners, which are never an instance.</summary>
    public OwnListeners Own { get; init; } = new(TimeProvider.System);

    /// <summary>True when an instance may be at this address and port.</summary>
    public bool Allows(IPAddress address, int port) => Allows(address) && !Own.Has(address, port);

    /// <summary>Names that a service's <c>Tls:Profile</c> may have.</summary>
    public IReadOnlySet<string> TlsProfiles { get; init; } = ImmutableHashSet<string>.Empty;

    /// <summary>True when an instance may have this address.</summary>
    public bool Allows(IPAddress address)
    {
        if (address.IsIPv4MappedToIPv6)
            address = address.MapToIPv4();
        if (NetworkRules.IsLinkLocal(address) || NetworkRules.IsNoHost(address))
            return false;
        foreach (var network in AllowedNetworks)
        {
            if (network.Contains(address))
                return true;
        }

        return false;
    }
}

/// <summary>Addresses that are never an instance, whatever is configured.</summary>
internal static class NetworkRules
{
    private static readonly IPNetwork LinkLocalV4 = IPNetwork.Parse("169.254.0.0/16");
    private static readonly IPNetwork LinkLocalV6 = IPNetwork.Parse("fe80::/10");

    /// <summary>Where Amazon's and Google's clouds keep their metadata services in IPv6: unique local addresses, and so inside networks that are allowed by default.</summary>
    private static readonly IPNetwork[] MetadataV6 = [IPNetwork.Parse("fd00:ec2::254/128"), IPNetwork.Parse("fd20:ce::254/128")];

    /// <summary>Networks whose addresses carry an IPv4 address that a gateway sends them to, and the byte at which it begins: NAT64 (RFC 6052) and 6to4 (RFC 3056).</summary>
    private static readonly (IPNetwork Network, int At)[] CarriersOfV4 = [(IPNetwork.Parse("64:ff9b::/96"), 12), (IPNetwork.Parse("2002::/16"), 2)];

    private static readonly IPNetwork ThisNetwork = IPNetwork.Parse("0.0.0.0/8");
    private static readonly IPNetwork MulticastAndReserved = IPNetwork.Parse("224.0.0.0/3");

    /// <summary>Link-local addresses lead to cloud metadata services and to nothing that is registered on purpose.</summary>
    public static bool IsLinkLocal(IPAddress address)
    {
        if (LinkLocalV4.Contains(address) || LinkLocalV6.Contains(address))
            return true;
        foreach (var metadata in MetadataV6)
        {
            if (metadata.Contains(address))
                return true;
        }

        foreach (var (network, at) in CarriersOfV4)
        {
            if (network.Contains(address))
                return LinkLocalV4.Contains(new IPAddress(address.GetAddressBytes().AsSpan(at, 4)));
        }

        return false;
    }

    /// <summary>Who counts as one caller: an IPv4 address, or the /64 network that one IPv6 customer has to choose addresses from.</summary>
    public static IPAddress CustomerOf(IPAddress? caller)
    {
        if (caller is null)
            return IPAddress.None;
        if (caller.IsIPv4MappedToIPv6)
            return caller.MapToIPv4();
        if (caller.AddressFamily != System.Net.Sockets.AddressFamily.InterNetworkV6)
            return caller;
        Span<byte> bytes = stackalloc byte[16];
        caller.TryWriteBytes(bytes, out _);
        bytes[8..].Clear();
        return new IPAddress(bytes);
    }

    /// <summary>Unspecified, multicast and reserved addresses.</summary>
    public static bool IsNoHost(IPAddress address) =>
        ThisNetwork.Contains(address) || MulticastAndReserved.Contains(address) || address.Equals(IPAddress.IPv6Any) || address.IsIPv6Multicast;
}

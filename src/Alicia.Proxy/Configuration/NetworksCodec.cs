using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Alicia.Proxy.Configuration;

/// <summary>
/// Networks in CIDR notation. A list that says where instances may live takes no link-local network: cloud metadata services sit there.
/// </summary>
internal sealed class NetworksCodec(bool bareAddresses, bool linkLocal, int min = 0) : ListCodec<IPNetwork>(min)
{
    private static readonly IPNetwork[] LinkLocal = [IPNetwork.Parse("169.254.0.0/16"), IPNetwork.Parse("fe80::/10")];

    public override string Rule { get; } = "a list of networks such as 10.0.0.0/8 or fd00::/8 (the first address and the length of the prefix"
        + (bareAddresses ? "; an address alone is a network of its own" : "")
        + (linkLocal ? ")" : "; never link-local, 169.254.0.0/16 or fe80::/10)");

    protected override bool TryParseItem(string text, out IPNetwork item)
    {
        item = default;
        var slash = text.IndexOf('/', StringComparison.Ordinal);
        if (!IPAddress.TryParse(slash < 0 ? text : text[..slash], out var address) || (slash < 0 && !bareAddresses))
            return false;
        IPNetwork network;
        if (slash < 0)
            network = new IPNetwork(address, address.AddressFamily == AddressFamily.InterNetwork ? 32 : 128);
        else if (!IPNetwork.TryParse(text, out network) || !network.BaseAddress.Equals(address))
            return false; // 10.0.0.5/8 may mean one address or a million; .NET would take the million.
        item = network = Unmapped(network);
        return linkLocal || !LinkLocal.Any(refused => refused.PrefixLength <= network.PrefixLength && refused.Contains(network.BaseAddress));
    }

    protected override string ItemToText(IPNetwork item) => string.Create(CultureInfo.InvariantCulture, $"{item.BaseAddress}/{item.PrefixLength}");

    /// <summary>::ffff:10.0.0.0/104 is 10.0.0.0/8 in other clothes.</summary>
    private static IPNetwork Unmapped(IPNetwork network) => network.BaseAddress.IsIPv4MappedToIPv6 && network.PrefixLength >= 96
        ? new IPNetwork(network.BaseAddress.MapToIPv4(), network.PrefixLength - 96)
        : network;
}

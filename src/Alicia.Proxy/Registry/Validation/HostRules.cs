using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;

namespace Alicia.Proxy.Registry.Validation;

/// <summary>Reads an instance's <c>host</c>: a DNS name or an IP literal, in one canonical spelling, inside the allowed networks.</summary>
internal static partial class HostRules
{
    private const string Rule = "must be a DNS name, an IPv4 address or an IPv6 address, without scheme, port or path";

    /// <summary>
    /// Canonical form of <paramref name="host"/>: names in lower case without a final dot, IPv6 without brackets and compressed, IPv4 in IPv6 as IPv4.
    /// </summary>
    /// <returns>False with the broken rule in <paramref name="fault"/>.</returns>
    public static bool TryCanonicalize(string host, RegistryRules rules, [NotNullWhen(true)] out string? canonical, [NotNullWhen(false)] out string? fault)
    {
        canonical = null;
        fault = null;
        if (TryParseLiteral(host, out var address))
        {
            if (!rules.Allows(address))
            {
                fault = $"{address} is not inside the networks of Registry:AllowedNetworks (link-local addresses never are)";
                return false;
            }

            canonical = address.ToString();
            return true;
        }

        var name = host.EndsWith('.') ? host[..^1] : host;
        // A name whose last label is numeric is a misspelt IPv4 address; resolvers would read 127.1 or 0x7f.1 as one.
        if (name.Length is 0 or > 253 || !NamePattern().IsMatch(name) || NumericEndPattern().IsMatch(name))
        {
            fault = Rule;
            return false;
        }

        canonical = name.ToLowerInvariant();
        return true;
    }

    /// <summary>True for an IP literal in its usual spelling: four decimal octets, or IPv6 with or without brackets and without a zone.</summary>
    public static bool TryParseLiteral(string host, [NotNullWhen(true)] out IPAddress? address)
    {
        address = null;
        var bare = host.StartsWith('[') && host.EndsWith(']') ? host[1..^1] : host;
        if (!IPAddress.TryParse(bare, out var parsed) || bare.Contains('%'))
            return false;
        // The parser would take "[::1]:80" and drop the port.
        if (parsed.AddressFamily == AddressFamily.InterNetworkV6 && bare.AsSpan().ContainsAny('[', ']'))
            return false;
        if (parsed.AddressFamily == AddressFamily.InterNetwork && (bare.Length != host.Length || !IPv4Pattern().IsMatch(bare)))
            return false;
        address = parsed.IsIPv4MappedToIPv6 ? parsed.MapToIPv4() : parsed;
        return true;
    }

    [GeneratedRegex(@"\A([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\z", RegexOptions.CultureInvariant)]
    private static partial Regex NamePattern();

    [GeneratedRegex(@"(\A|\.)(\d+|0[xX][0-9A-Fa-f]*)\z", RegexOptions.CultureInvariant)]
    private static partial Regex NumericEndPattern();

    [GeneratedRegex(@"\A((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(\.(?!\z)|\z)){4}\z", RegexOptions.CultureInvariant)]
    private static partial Regex IPv4Pattern();
}

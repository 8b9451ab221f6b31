using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;

namespace Alicia.Proxy.Configuration;

/// <summary>What a listener speaks.</summary>
internal enum ListenScheme
{
    /// <summary>HTTP/1.1 in clear text.</summary>
    Http,

    /// <summary>HTTP/2 in clear text, with prior knowledge.</summary>
    H2c,

    /// <summary>TLS; HTTP/1.1 and HTTP/2 are negotiated.</summary>
    Https,
}

/// <summary>
/// One place to listen, read from an entry such as <c>http://127.0.0.1:8080</c>. It answers the two questions that start-up asks: may
/// only this machine reach it, and does it collide with another entry.
/// </summary>
/// <param name="Scheme">What is spoken there.</param>
/// <param name="Host">A canonical IP literal without brackets, <c>localhost</c> (both loopback addresses), or <c>*</c> (every address).</param>
/// <param name="Port">0–65535; 0 lets the system pick a free one.</param>
/// <param name="ProxyProtocol">Whether each connection begins with a PROXY header, before TLS and HTTP; written <c>proxy+</c> in front.</param>
internal sealed partial record ListenAddress(ListenScheme Scheme, string Host, int Port, bool ProxyProtocol = false)
{
    /// <summary>The address to bind, or null for <c>localhost</c> and <c>*</c>, which stand for more than one.</summary>
    public IPAddress? Address => IPAddress.TryParse(Host, out var address) ? address : null;

    /// <summary>True when only this machine can connect.</summary>
    public bool IsLoopback => Host == "localhost" || (Address is { } address && IPAddress.IsLoopback(address));

    /// <summary>What is bound: both loopback addresses for <c>localhost</c>, <c>[::]</c> with IPv4 for <c>*</c>.</summary>
    public IEnumerable<IPEndPoint> Endpoints => Host == "localhost"
        ? [new IPEndPoint(IPAddress.Loopback, Port), new IPEndPoint(IPAddress.IPv6Loopback, Port)]
        : [new IPEndPoint(Address ?? IPAddress.IPv6Any, Port)];

    public static bool TryParse(string text, out ListenAddress value)
    {
        value = null!;
        var match = Pattern().Match(text);
        if (!match.Success)
            return false;
        var scheme = match.Groups["scheme"].Value switch
        {
            "http" => ListenScheme.Http,
            "h2c" => ListenScheme.H2c,
            _ => ListenScheme.Https,
        };
        var port = int.Parse(match.Groups["port"].Value, CultureInfo.InvariantCulture);
        // Kestrel binds two sockets for localhost, and the system would pick a different free port for each.
        if (port > 65535 || CanonicalHost(match.Groups["host"].Value) is not { } host || (host == "localhost" && port == 0))
            return false;
        value = new ListenAddress(scheme, host, port, match.Groups["proxy"].Success);
        return true;
    }

    /// <summary>True when both cannot be bound at once.</summary>
    public bool CollidesWith(ListenAddress other) => Port != 0 && Port == other.Port && (Covers(other) || other.Covers(this));

    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{(ProxyProtocol ? "proxy+" : "")}{Scheme.ToString().ToLowerInvariant()}://{(Host.Contains(':') ? $"[{Host}]" : Host)}:{Port}");

    private bool Covers(ListenAddress other)
    {
        if (Host is "*" or "::" || Host == other.Host)
            return true;
        var otherIsV4 = other.Host == "localhost" || other.Address is { AddressFamily: System.Net.Sockets.AddressFamily.InterNetwork };
        return (Host == "0.0.0.0" && otherIsV4) || (Host == "localhost" && other.Host is "127.0.0.1" or "::1");
    }

    private static string? CanonicalHost(string host)
    {
        if (host is "*" or "localhost")
            return host;
        if (host.StartsWith('['))
            return IPAddress.TryParse(host, out var v6) ? v6.ToString() : null;
        // IPAddress also reads "1" and "127.1"; only the four numbers that everybody reads alike are meant here.
        return IPAddress.TryParse(host, out var v4) && v4.ToString() == host ? host : null;
    }

    [GeneratedRegex(@"^(?<proxy>proxy\+)?(?<scheme>http|h2c|https)://(?<host>\[[0-9A-Fa-f:.]+\]|[^:/\[\]@]+):(?<port>\d{1,5})$", RegexOptions.CultureInvariant)]
    private static partial Regex Pattern();
}

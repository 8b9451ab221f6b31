using System.Globalization;
using System.Text.RegularExpressions;

namespace Alicia.Proxy.Configuration;

/// <summary>
/// Where a service lives that announces itself without an address: <c>http://host:port</c>. As a template its host holds
/// <see cref="Placeholder"/>. Whether the host is allowed is for the registry to say.
/// </summary>
/// <param name="Scheme"><c>http</c> or <c>https</c>.</param>
/// <param name="Host">DNS name or IP literal without brackets.</param>
/// <param name="Port">1–65535.</param>
internal sealed partial record InstanceAddress(string Scheme, string Host, int Port)
{
    /// <summary>Stands for the service's name in a template.</summary>
    public const string Placeholder = "{service_name}";

    public static bool TryParse(string text, bool template, out InstanceAddress value)
    {
        value = null!;
        var match = Pattern().Match(text);
        if (!match.Success)
            return false;
        var port = int.Parse(match.Groups["port"].Value, CultureInfo.InvariantCulture);
        if (port is < 1 or > 65535)
            return false;
        var host = match.Groups["host"].Value.Trim('[', ']');
        var rest = template ? host.Replace(Placeholder, "", StringComparison.Ordinal) : host;
        if (rest.AsSpan().ContainsAny('{', '}') || (template && rest.Length == host.Length))
            return false;
        value = new InstanceAddress(match.Groups["scheme"].Value, host, port);
        return true;
    }

    /// <summary>A template's address of one service.</summary>
    public InstanceAddress For(string serviceName) => this with { Host = Host.Replace(Placeholder, serviceName, StringComparison.Ordinal) };

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Scheme}://{(Host.Contains(':') ? $"[{Host}]" : Host)}:{Port}");

    [GeneratedRegex(@"^(?<scheme>https?)://(?<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._{}-]+):(?<port>\d{1,5})$", RegexOptions.CultureInvariant)]
    private static partial Regex Pattern();
}

using System.Text.RegularExpressions;

namespace Alicia.Proxy.Configuration;

/// <summary>The patterns of names and values that <see cref="ConfigurationKeys"/> refers to; the schema shows them as they are.</summary>
internal static partial class ConfigurationKeys
{
    /// <summary>The rule for service names in words.</summary>
    public const string ServiceNameRule = "a service name: 1 to 63 of a-z, 0-9, _ and -, beginning and ending with a letter or digit";

    /// <summary>The rule for a name that stands in braces in a path, or null when any name will do.</summary>
    public static (Regex Pattern, string Rule)? NameRule(string placeholder) => placeholder switch
    {
        "{service}" => (ServiceNamePattern(), ServiceNameRule),
        "{name}" => (KeyNamePattern(), "a name of 1 to 64 letters, digits, _, . and -"),
        "{index}" => (IndexPattern(), "a position in a list: 0, 1, …"),
        _ => null,
    };

    [GeneratedRegex(@"^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$", RegexOptions.CultureInvariant)]
    private static partial Regex ServiceNamePattern();

    [GeneratedRegex(@"^[A-Za-z0-9_.-]{1,64}$", RegexOptions.CultureInvariant)]
    private static partial Regex KeyNamePattern();

    [GeneratedRegex(@"^(0|[1-9][0-9]{0,5})$", RegexOptions.CultureInvariant)]
    private static partial Regex IndexPattern();

    [GeneratedRegex(@"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$", RegexOptions.CultureInvariant)]
    private static partial Regex DomainPattern();

    [GeneratedRegex(@"^[A-Za-z0-9._:-]{1,253}$", RegexOptions.CultureInvariant)]
    private static partial Regex HostPattern();

    [GeneratedRegex(@"^[\x21-\x7e]{16,512}$", RegexOptions.CultureInvariant)]
    private static partial Regex KeyPattern();

    [GeneratedRegex(@"^[0-9A-Fa-f]{64}$", RegexOptions.CultureInvariant)]
    private static partial Regex Sha256Pattern();

    [GeneratedRegex(@"^(read|register|admin)$", RegexOptions.CultureInvariant)]
    private static partial Regex ScopePattern();

    [GeneratedRegex(@"^[\x21-\x7e]{1,128}$", RegexOptions.CultureInvariant)]
    private static partial Regex ClientIdPattern();

    [GeneratedRegex(@"^[^\x00-\x20/+#]+(/[^\x00-\x20/+#]+)*$", RegexOptions.CultureInvariant)]
    private static partial Regex TopicPattern();

    [GeneratedRegex(@"^[^\x00-\x1f]{1,1024}$", RegexOptions.CultureInvariant)]
    private static partial Regex LinePattern();

    [GeneratedRegex(@"^[^\x00]+$", RegexOptions.CultureInvariant)]
    private static partial Regex AnyPattern();
}

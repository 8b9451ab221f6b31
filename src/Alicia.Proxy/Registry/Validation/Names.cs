using System.Text.RegularExpressions;

namespace Alicia.Proxy.Registry.Validation;

/// <summary>The rules for names that callers choose.</summary>
internal static partial class Names
{
    public const string ServiceRule = "1 to 63 characters: lower-case letters, digits, '_' and '-', beginning and ending with a letter or digit";

    public const string InstanceRule =
        "1 to 128 characters: letters, digits, '_', '.', ':' and '-', beginning and ending with a letter or digit; not register, balance, stats or circuit";

    private static readonly string[] ReservedInstanceIds = ["register", "balance", "stats", "circuit"];

    public static bool IsService(string name) => ServicePattern().IsMatch(name);

    public static bool IsInstance(string id) => InstancePattern().IsMatch(id) && Array.IndexOf(ReservedInstanceIds, id) < 0;

    [GeneratedRegex(@"\A[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?\z", RegexOptions.CultureInvariant)]
    private static partial Regex ServicePattern();

    [GeneratedRegex(@"\A[A-Za-z0-9]([A-Za-z0-9_.:-]{0,126}[A-Za-z0-9])?\z", RegexOptions.CultureInvariant)]
    private static partial Regex InstancePattern();
}

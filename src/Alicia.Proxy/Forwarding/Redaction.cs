using System.Buffers;
using System.Text;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// Takes secrets out of targets and URLs before they are written into a log or a trace: the values of query parameters whose names say that they are secret, and user
/// names and passwords in front of a host. Everything else stays as it came, so that a line can be found by what was asked for.
/// </summary>
internal static class Redaction
{
    /// <summary>What stands in place of a secret.</summary>
    public const string Mark = "***";

    /// <summary>A parameter whose name has one of these in it is secret: <c>access_token</c>, <c>X-Amz-Signature</c>, <c>client_secret</c>.</summary>
    private static readonly string[] Parts = ["token", "secret", "passw", "passphrase", "signature", "credential", "authorization", "session", "apikey", "jwt"];

    /// <summary>Names that are secret as a whole: too short to look for inside others.</summary>
    private static readonly string[] Names = ["key", "sig", "sid", "pwd", "pass", "auth", "code", "otp", "pin"];

    private static readonly SearchValues<char> Separators = SearchValues.Create("&;");

    /// <summary>A path with its query, the values of secret parameters replaced by <see cref="Mark"/>. The same object when there is nothing to hide.</summary>
    public static string Target(string target)
    {
        var query = target.IndexOf('?');
        if (query < 0)
            return target;
        StringBuilder? clean = null;
        var kept = 0;
        for (var at = query + 1; at <= target.Length;)
        {
            var length = target.AsSpan(at).IndexOfAny(Separators);
            var end = length < 0 ? target.Length : at + length;
            var parameter = target.AsSpan(at, end - at);
            var equals = parameter.IndexOf('=');
            if (equals >= 0 && equals + 1 < parameter.Length && (IsSecret(parameter[..equals]) || HidesSecret(parameter[(equals + 1)..])))
            {
                clean ??= new StringBuilder(target.Length);
                clean.Append(target, kept, at + equals + 1 - kept).Append(Mark);
                kept = end;
            }

            at = end + 1;
        }

        return clean is null ? target : clean.Append(target, kept, target.Length - kept).ToString();
    }

    /// <summary>An absolute or relative URL, such as a Referer, without user name and password and with its query as in <see cref="Target"/>.</summary>
    public static string Url(string url)
    {
        var authority = url.IndexOf("//", StringComparison.Ordinal);
        if (authority >= 0)
        {
            var rest = url.AsSpan(authority + 2);
            var end = rest.IndexOfAny('/', '?', '#');
            var at = (end < 0 ? rest : rest[..end]).LastIndexOf('@');
            if (at >= 0)
                url = string.Concat(url.AsSpan(0, authority + 2), Mark, rest[at..]);
        }

        // A browser keeps the fragment to itself; whatever else sends one may have put parameters there.
        var fragment = url.IndexOf('#');
        return fragment < 0 ? Target(url) : Target(url[..fragment]) + "#" + Mark;
    }

    /// <summary>True when the name, percent-decoded and without its punctuation, says that its value is secret.</summary>
    private static bool IsSecret(ReadOnlySpan<char> name)
    {
        // Longer than any name that is meant; cut so that a target of 32 KiB costs no second look.
        if (name.Length > 256)
            name = name[..256];
        var decoded = name.Contains('%') ? Uri.UnescapeDataString(name) : name;
        Span<char> plain = stackalloc char[256];
        var length = 0;
        foreach (var c in decoded)
        {
            if (char.IsAsciiLetterOrDigit(c))
                plain[length++] = char.ToLowerInvariant(c);
        }

        ReadOnlySpan<char> word = plain[..length];
        // api_key, access-key, x-functions-key and their like. A "sortkey" is hidden too; better so than the other way.
        if (word.EndsWith("key"))
            return true;
        foreach (var whole in Names)
        {
            if (word.SequenceEqual(whole))
                return true;
        }

        foreach (var part in Parts)
        {
            if (word.Contains(part, StringComparison.Ordinal))
                return true;
        }

        return false;
    }

    /// <summary>True when the value is itself a URL or a query, percent-encoded, with a secret parameter in it.</summary>
    private static bool HidesSecret(ReadOnlySpan<char> value)
    {
        const int MostNested = 64;
        const int MostEncoded = 3;
        var decoded = value;
        for (var i = 0; i < MostEncoded && decoded.Contains('%'); i++)
            decoded = Uri.UnescapeDataString(decoded);
        var count = 0;
        foreach (var range in decoded.SplitAny("?&;#"))
        {
            // Hidden rather than looked at for ever.
            if (++count > MostNested)
                return true;
            var equals = decoded[range].IndexOf('=');
            if (equals > 0 && IsSecret(decoded[range][..equals]))
                return true;
        }

        return false;
    }
}

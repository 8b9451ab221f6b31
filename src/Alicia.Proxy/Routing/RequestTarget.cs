namespace Alicia.Proxy.Routing;

/// <summary>
/// Reads a request's raw target as it came on the wire: where its path begins, its first segment, and whether it has dot segments. Nothing is decoded, so
/// that a request goes only to a path that its sender wrote.
/// </summary>
internal static class RequestTarget
{
    /// <summary>
    /// The path and query of a raw target: the target itself, or what follows the authority of an absolute form. Empty for <c>*</c> and for CONNECT's
    /// authority form.
    /// </summary>
    public static string PathAndQuery(string rawTarget)
    {
        if (rawTarget.StartsWith('/'))
            return rawTarget;
        var authority = rawTarget.IndexOf("://", StringComparison.Ordinal);
        if (authority < 0)
            return "";
        var path = rawTarget.AsSpan(authority + 3).IndexOfAny('/', '?');
        if (path < 0)
            return "/";
        var rest = rawTarget[(authority + 3 + path)..];
        return rest[0] == '?' ? "/" + rest : rest;
    }

    /// <summary>The path's first segment, undecoded. Empty when there is none.</summary>
    public static ReadOnlySpan<char> FirstSegment(string pathAndQuery)
    {
        if (pathAndQuery.Length < 2)
            return default;
        var rest = pathAndQuery.AsSpan(1);
        var end = rest.IndexOfAny('/', '?');
        return end < 0 ? rest : rest[..end];
    }

    /// <summary>What remains after <paramref name="length"/> characters of prefix; always begins with a slash.</summary>
    public static string Strip(string pathAndQuery, int length) =>
        length == pathAndQuery.Length ? "/" : pathAndQuery[length] == '/' ? pathAndQuery[length..] : string.Concat("/", pathAndQuery.AsSpan(length));

    /// <summary>
    /// True when any segment of the path is <c>.</c> or <c>..</c>, plain or percent-encoded. Encoded slashes, backslashes and path parameters count as ends of
    /// a segment too: some servers read them so, and a path that means one thing here and another there is an attack.
    /// </summary>
    public static bool HasDotSegments(ReadOnlySpan<char> pathAndQuery)
    {
        var query = pathAndQuery.IndexOf('?');
        var path = query < 0 ? pathAndQuery : pathAndQuery[..query];
        // Nearly every path ends here: no dot, plain or encoded, right after a separator.
        if (!path.Contains('.') && path.IndexOf("%2e", StringComparison.OrdinalIgnoreCase) < 0)
            return false;

        var dots = 0;
        var other = false;
        for (var i = 0; i < path.Length;)
        {
            var (kind, length) = Read(path[i..]);
            i += length;
            switch (kind)
            {
                case Kind.Separator when !other && dots is 1 or 2:
                    return true;
                case Kind.Separator:
                    (dots, other) = (0, false);
                    break;
                case Kind.Dot:
                    dots++;
                    break;
                default:
                    other = true;
                    break;
            }
        }

        return !other && dots is 1 or 2;
    }

    private static (Kind Kind, int Length) Read(ReadOnlySpan<char> path)
    {
        if (path[0] == '%' && path.Length >= 3)
        {
            var code = path[1..3];
            if (code.Equals("2e", StringComparison.OrdinalIgnoreCase))
                return (Kind.Dot, 3);
            if (code.Equals("2f", StringComparison.OrdinalIgnoreCase) || code.Equals("5c", StringComparison.OrdinalIgnoreCase))
                return (Kind.Separator, 3);
        }

        // A percent sign takes nothing with it but what was found above: two characters behind it need not be an escape, and may be a separator and a dot.

        return path[0] switch
        {
            '/' or '\\' or ';' => (Kind.Separator, 1),
            '.' => (Kind.Dot, 1),
            _ => (Kind.Other, 1),
        };
    }

    private enum Kind
    {
        Separator,
        Dot,
        Other,
    }
}

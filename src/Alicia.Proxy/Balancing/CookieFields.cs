namespace Alicia.Proxy.Balancing;

/// <summary>Finds a cookie in a request's fields without taking the others apart.</summary>
internal static class CookieFields
{
    /// <summary>The value of the cookie with this name, which compares with case.</summary>
    /// <param name="request">The request.</param>
    /// <param name="name">The cookie's name.</param>
    /// <param name="skip">Cookies of that name to pass over: a caller may send several, of different paths.</param>
    /// <param name="value">Its value, without the quotes that may stand around it.</param>
    /// <param name="found">How many of that name were seen, this one included.</param>
    /// <returns>False when there are no more of that name.</returns>
    public static bool TryFind(HttpRequest request, string name, int skip, out ReadOnlySpan<char> value, out int found)
    {
        found = 0;
        var fields = request.Headers.Cookie;
        for (var i = 0; i < fields.Count; i++)
        {
            var rest = fields[i].AsSpan();
            while (!rest.IsEmpty)
            {
                var end = rest.IndexOf(';');
                var pair = (end < 0 ? rest : rest[..end]).Trim();
                rest = end < 0 ? default : rest[(end + 1)..];
                if (pair.Length <= name.Length || pair[name.Length] != '=' || !pair.StartsWith(name, StringComparison.Ordinal) || found++ < skip)
                    continue;
                value = pair[(name.Length + 1)..].Trim('"');
                return true;
            }
        }

        value = default;
        return false;
    }
}

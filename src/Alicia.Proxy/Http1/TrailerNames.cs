using System.Text;

namespace Alicia.Proxy.Http1;

/// <summary>
/// Which fields may stand behind a body (RFC 9110, section 6.5.1). A server that adds trailers to the fields of the head would be told, when it has read the request already, that it
/// was framed, routed or authorized otherwise.
/// </summary>
internal static class TrailerNames
{
    private static readonly byte[][] Forbidden =
    [
        .. new[]
        {
            "age", "authorization", "cache-control", "connection", "content-encoding", "content-length", "content-range", "content-type", "cookie", "date", "expect", "expires", "forwarded",
            "host", "http2-settings", "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "keep-alive", "location", "max-forwards", "pragma",
            "proxy-authenticate", "proxy-authorization", "proxy-connection", "range", "retry-after", "set-cookie", "te", "trailer", "transfer-encoding", "upgrade", "vary", "via", "warning",
            "www-authenticate", "x-request-id",
        }.Select(Encoding.ASCII.GetBytes),
    ];

    public static bool IsAllowed(ReadOnlySpan<byte> name)
    {
        foreach (var forbidden in Forbidden)
        {
            if (Ascii.EqualsIgnoreCase(name, forbidden))
                return false;
        }

        var forwarded = "x-forwarded-"u8;
        return name.Length < forwarded.Length || !Ascii.EqualsIgnoreCase(name[..forwarded.Length], forwarded);
    }

    /// <summary>True when every name in the value of a <c>Trailer</c> field is allowed.</summary>
    public static bool AreAllowed(ReadOnlySpan<byte> list)
    {
        foreach (var range in list.Split((byte)','))
        {
            if (!IsAllowed(list[range].Trim(" \t"u8)))
                return false;
        }

        return true;
    }
}

using System.Collections.Frozen;
using Microsoft.Extensions.Primitives;

namespace Alicia.Proxy.Forwarding;

/// <summary>Which fields belong to one connection and are not passed on (RFC 9110, section 7.6.1): a fixed list, and whatever <c>Connection</c> nominates.</summary>
internal static class HopByHop
{
    private static readonly FrozenSet<string> Fixed = FrozenSet.Create(StringComparer.OrdinalIgnoreCase,
        "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "HTTP2-Settings");

    public static bool IsFixed(string name) => Fixed.Contains(name);

    /// <summary>True when <c>Connection</c> says more than the usual <c>keep-alive</c>, <c>close</c> or <c>upgrade</c>, and so may nominate fields.</summary>
    public static bool MayNominate(StringValues connection)
    {
        if (connection.Count == 0)
            return false;
        return connection.Count > 1 || connection[0] is not { } value
            || !(value.Equals("keep-alive", StringComparison.OrdinalIgnoreCase)
                || value.Equals("close", StringComparison.OrdinalIgnoreCase)
                || value.Equals("upgrade", StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>True when <c>Transfer-Encoding</c> says <c>chunked</c> and nothing else, which is the one coding that gets undone here.</summary>
    public static bool IsChunkedAlone(StringValues codings) => codings.Count == 1 && "chunked".Equals(codings[0], StringComparison.OrdinalIgnoreCase);

    /// <summary>
    /// True when <c>Connection</c> nominates the field <paramref name="name"/>. Not Content-Length, whatever it says: a body without the length that it came with would be read as the next
    /// request.
    /// </summary>
    public static bool IsNominated(StringValues connection, string name)
    {
        // The length says where the message ends. Taken off, what is left of the message would be another one.
        if (name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase))
            return false;
        foreach (var line in connection)
        {
            foreach (var part in line.AsSpan().Split(','))
            {
                if (line.AsSpan()[part].Trim().Equals(name, StringComparison.OrdinalIgnoreCase))
                    return true;
            }
        }

        return false;
    }
}

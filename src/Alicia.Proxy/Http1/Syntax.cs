using System.Buffers;
using System.Text;

namespace Alicia.Proxy.Http1;

/// <summary>The grammar of HTTP/1.1 (RFC 9110, RFC 9112) for single parts of a message. Pure; works on bytes.</summary>
internal static class Syntax
{
    /// <summary>
    /// More digits than a chunk's size needs. The server takes no larger chunk than 2 GiB; leading zeros are allowed within these digits, as nobody pads on purpose.
    /// </summary>
    public const int MaxChunkDigits = 8;

    /// <summary>Characters of methods and field names.</summary>
    public static readonly SearchValues<byte> Token = SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8);

    /// <summary>All control characters but the tab, which may stand in values.</summary>
    public static readonly SearchValues<byte> Controls = SearchValues.Create([.. Enumerable.Range(0, 32).Where(c => c != '\t').Append(0x7f).Select(c => (byte)c)]);

    /// <summary>Visible ASCII but '#': what targets may hold. More than RFC 3986 has, as browsers send some of the rest, and all of it goes on unchanged.</summary>
    private static readonly SearchValues<byte> TargetCharacters = SearchValues.Create([.. Enumerable.Range(0x21, 0x5e).Where(c => c != '#').Select(c => (byte)c)]);

    /// <summary>Characters of a registered name (RFC 3986) but the comma: two hosts in one field are no host.</summary>
    private static readonly SearchValues<byte> NameCharacters =
        SearchValues.Create("-._~%!$&'()*+;=0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8);

    private static readonly SearchValues<byte> Ipv6Characters = SearchValues.Create("0123456789ABCDEFabcdef:."u8);

    private static readonly SearchValues<byte> Digits = SearchValues.Create("0123456789"u8);

    public static bool IsToken(ReadOnlySpan<byte> text) => !text.IsEmpty && !text.ContainsAnyExcept(Token);

    /// <summary>Null when every character of a target may stand there.</summary>
    public static RequestFault? CheckTarget(ReadOnlySpan<byte> target) => target.IndexOfAnyExcept(TargetCharacters) switch
    {
        < 0 => null,
        var at => target[at] == '#' ? RequestFault.Fragment : RequestFault.Target,
    };

    /// <summary>True for a host with or without a port: a name, an IPv4 address, or an IPv6 address in brackets.</summary>
    public static bool IsHost(ReadOnlySpan<byte> text)
    {
        ReadOnlySpan<byte> port;
        if (text.IsEmpty)
            return false;
        if (text[0] == '[')
        {
            var end = text.IndexOf((byte)']');
            if (end < 3 || text[1..end].ContainsAnyExcept(Ipv6Characters) || !text[1..end].Contains((byte)':'))
                return false;
            port = text[(end + 1)..];
        }
        else
        {
            var colon = text.IndexOf((byte)':');
            var name = colon < 0 ? text : text[..colon];
            if (name.IsEmpty || name.ContainsAnyExcept(NameCharacters))
                return false;
            port = text[name.Length..];
        }

        return port.IsEmpty || (port[0] == ':' && port.Length is >= 2 and <= 6 && TryDigits(port[1..], out var number) && number <= 65535);
    }

    /// <summary>The authority of an absolute target, and whether the target's scheme is one that can be served: in lower case, as the server wants it.</summary>
    public static bool TryAuthority(ReadOnlySpan<byte> target, out ReadOnlySpan<byte> authority)
    {
        var scheme = target.StartsWith("http://"u8) ? 7 : target.StartsWith("https://"u8) ? 8 : 0;
        var rest = target[scheme..];
        var end = rest.IndexOfAny((byte)'/', (byte)'?');
        authority = end < 0 ? rest : rest[..end];
        return scheme > 0;
    }

    /// <summary>True when two authorities of a target's scheme are one: without case, and with or without the scheme's own port.</summary>
    public static bool IsSameAuthority(ReadOnlySpan<byte> one, ReadOnlySpan<byte> other, bool tls)
    {
        var own = tls ? ":443"u8 : ":80"u8;
        return Ascii.EqualsIgnoreCase(Without(one, own), Without(other, own));
    }

    /// <summary>Digits alone, up to the largest length that can be counted.</summary>
    public static bool TryDigits(ReadOnlySpan<byte> text, out long value)
    {
        value = 0;
        if (text.IsEmpty || text.ContainsAnyExcept(Digits))
            return false;
        text = text.TrimStart((byte)'0');
        // 18 digits fit into 63 bits; a body of a million terabytes is none.
        if (text.Length > 18)
            return false;
        foreach (var digit in text)
            value = (value * 10) + (digit - '0');
        return true;
    }

    /// <summary>The line in front of a chunk: its size, and extensions, which are checked and mean nothing.</summary>
    public static RequestFault? ReadChunkLine(ReadOnlySpan<byte> line, out int size)
    {
        size = 0;
        var digits = 0;
        while (digits < line.Length && char.IsAsciiHexDigit((char)line[digits]))
        {
            if (digits == MaxChunkDigits || size > int.MaxValue >> 4)
                return RequestFault.ChunkSize;
            size = (size << 4) | HexValue(line[digits++]);
        }

        if (digits == 0)
            return RequestFault.ChunkSize;
        // No blank here, though the RFC has one for old senders' sake: the server does not take it.
        if (digits < line.Length && line[digits] != ';')
            return RequestFault.ChunkSize;
        return AreExtensions(line[digits..]) ? null : RequestFault.ChunkExtension;
    }

    /// <summary><c>*( BWS ";" BWS token [ BWS "=" BWS ( token / quoted-string ) ] )</c> to the end.</summary>
    public static bool AreExtensions(ReadOnlySpan<byte> text)
    {
        while (!text.IsEmpty)
        {
            text = text.TrimStart(" \t"u8);
            if (text.IsEmpty || text[0] != ';')
                return false;
            text = text[1..].TrimStart(" \t"u8);
            if (!TryToken(ref text))
                return false;
            var value = text.TrimStart(" \t"u8);
            if (value.IsEmpty || value[0] != '=')
                continue;
            text = value[1..].TrimStart(" \t"u8);
            if (!TryToken(ref text) && !TryQuoted(ref text))
                return false;
        }

        return true;
    }

    private static bool TryToken(ref ReadOnlySpan<byte> text)
    {
        var end = text.IndexOfAnyExcept(Token);
        var length = end < 0 ? text.Length : end;
        text = text[length..];
        return length > 0;
    }

    /// <summary>A quoted string. Control characters are not here any more: whoever cut the line has refused them.</summary>
    private static bool TryQuoted(ref ReadOnlySpan<byte> text)
    {
        if (text.IsEmpty || text[0] != '"')
            return false;
        for (var i = 1; i < text.Length; i++)
        {
            if (text[i] == '"')
            {
                text = text[(i + 1)..];
                return true;
            }

            if (text[i] == '\\')
                i++;
        }

        return false;
    }

    private static int HexValue(byte digit) => digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;

    private static ReadOnlySpan<byte> Without(ReadOnlySpan<byte> authority, ReadOnlySpan<byte> port) => authority.EndsWith(port) ? authority[..^port.Length] : authority;
}

using System.Buffers;
using System.Text;

namespace Alicia.Proxy.Direct;

/// <summary>How far a head has been looked through for its end.</summary>
internal struct HeadScan
{
    /// <summary>Where the line begins that has not ended yet.</summary>
    public int LineStart;

    /// <summary>Bytes that were looked at.</summary>
    public int Scanned;
}

/// <summary>
/// Reads heads of HTTP/1.1 answers as RFC 9112 writes them, and nothing else: what could be read in two ways is not read at all. A proxy that guesses where a message ends gives one
/// caller the answer of another.
/// </summary>
internal static class ResponseParser
{
    /// <summary>Bytes of a head or of trailers, at most.</summary>
    public const int MaxHeadBytes = 128 * 1024;

    /// <summary>Lines of fields, at most. As many as requests may have.</summary>
    public const int MaxFields = 500;

    private static readonly SearchValues<byte> NameBytes =
        SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"u8);

    /// <summary>Control characters but for the tab (RFC 9110, section 5.5): also CR and LF, where they are not the line's end.</summary>
    private static readonly SearchValues<byte> NoValueBytes = SearchValues.Create(
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 127]);

    private static ReadOnlySpan<byte> Version => "HTTP/1."u8;

    /// <summary>Looks for the empty line behind a head.</summary>
    /// <param name="bytes">What has come, from the head's first byte on.</param>
    /// <param name="at">How far it was looked through before.</param>
    /// <param name="isTrailers">True when there is no status line and the section may be empty.</param>
    /// <param name="length">Bytes of the head with its empty line; 0 while it has not ended.</param>
    /// <returns>False when this will never be a head.</returns>
    public static bool TryFindEnd(ReadOnlySpan<byte> bytes, ref HeadScan at, bool isTrailers, out int length)
    {
        length = 0;
        while (true)
        {
            var next = bytes[at.Scanned..].IndexOf((byte)'\n');
            if (next < 0)
            {
                at.Scanned = bytes.Length;
                return at.LineStart > 0 || isTrailers || bytes[..Math.Min(bytes.Length, Version.Length)].SequenceEqual(Version[..Math.Min(bytes.Length, Version.Length)]);
            }

            var lineFeed = at.Scanned + next;
            if (lineFeed == at.LineStart || bytes[lineFeed - 1] != '\r')
                return false;
            if (lineFeed - 1 == at.LineStart)
            {
                length = lineFeed + 1;
                return at.LineStart > 0 || isTrailers;
            }

            if (at.LineStart == 0 && !isTrailers && !TryStatusLine(bytes[..(lineFeed - 1)], out _, out _, out _))
                return false;
            at.LineStart = at.Scanned = lineFeed + 1;
        }
    }

    /// <summary>Reads a head.</summary>
    /// <param name="bytes">Its buffer.</param>
    /// <param name="start">Where it begins there.</param>
    /// <param name="length">Its length, as found by <see cref="TryFindEnd"/>.</param>
    /// <param name="head">Takes what it says.</param>
    /// <returns>False when it is malformed, or its framing could be read in two ways.</returns>
    public static bool TryParse(byte[] bytes, int start, int length, ResponseHead head)
    {
        head.Begin(bytes);
        var end = start + length - 2;
        var lineEnd = start + bytes.AsSpan(start, length).IndexOf((byte)'\n') - 1;
        if (!TryStatusLine(bytes.AsSpan(start, lineEnd - start), out var status, out var isOld, out var reason))
            return false;
        head.StatusLine(status, isOld, reason);
        // A length beside a coding is how answers are smuggled, and HTTP/1.0 has no codings (RFC 9112, section 6.1); a 205 has no body, whatever it says.
        return TryFields(bytes, lineEnd + 2, end, head, isTrailers: false)
            && !(head.IsChunked && (head.IsOld || head.ContentLength >= 0))
            && (status != StatusCodes.Status205ResetContent || head.ContentLength <= 0);
    }

    /// <summary>Reads the trailers behind a body in chunks.</summary>
    public static bool TryParseTrailers(byte[] bytes, int length, ResponseHead section)
    {
        section.Begin(bytes);
        return TryFields(bytes, 0, length - 2, section, isTrailers: true);
    }

    // HTTP-version SP status-code SP [ reason-phrase ]; the second blank is left out by many, and nothing depends on it.
    private static bool TryStatusLine(ReadOnlySpan<byte> line, out int status, out bool isOld, out ReadOnlySpan<byte> reason)
    {
        (status, isOld) = (0, false);
        reason = default;
        if (line.Length < 12 || !line.StartsWith(Version) || !char.IsAsciiDigit((char)line[7]) || line[8] != ' ')
            return false;
        for (var i = 9; i < 12; i++)
        {
            if (!char.IsAsciiDigit((char)line[i]))
                return false;
            status = (status * 10) + (line[i] - '0');
        }

        isOld = line[7] == '0';
        if (line.Length > 12)
        {
            if (line[12] != ' ')
                return false;
            reason = line[13..];
        }

        return status >= 100 && !reason.ContainsAny(NoValueBytes);
    }

    private static bool TryFields(byte[] bytes, int start, int end, ResponseHead head, bool isTrailers)
    {
        while (start < end)
        {
            var line = bytes.AsSpan(start, end - start);
            line = line[..(line.IndexOf((byte)'\n') - 1)];
            var colon = line.IndexOf((byte)':');
            if (colon <= 0 || head.Count == MaxFields)
                return false;
            var name = line[..colon];
            var known = KnownFields.Find(name);
            // A name that is known needs no look at its bytes. A folded line begins with a blank, which no name has.
            if (known < 0 && name.ContainsAnyExcept(NameBytes))
                return false;
            var valueStart = colon + 1;
            var valueEnd = line.Length;
            while (valueStart < valueEnd && line[valueStart] is (byte)' ' or (byte)'\t')
                valueStart++;
            while (valueEnd > valueStart && line[valueEnd - 1] is (byte)' ' or (byte)'\t')
                valueEnd--;
            var value = line[valueStart..valueEnd];
            if (value.ContainsAny(NoValueBytes) || (!isTrailers && !TryFraming(known, value, head)))
                return false;
            head.Add(known, (start, colon), (start + valueStart, value.Length));
            start += line.Length + 2;
        }

        return true;
    }

    private static bool TryFraming(int known, ReadOnlySpan<byte> value, ResponseHead head)
    {
        switch (known)
        {
            case KnownFields.ContentLength:
                if (head.ContentLength >= 0 || !TryLength(value, out var length))
                    return false;
                head.ContentLength = length;
                return true;
            case KnownFields.TransferEncoding:
                // The one coding that is undone here, once.
                if (head.IsChunked || !Ascii.EqualsIgnoreCase(value, "chunked"u8))
                    return false;
                head.IsChunked = true;
                return true;
            case KnownFields.Connection:
                foreach (var part in value.Split((byte)','))
                {
                    var option = value[part].Trim(" \t"u8);
                    head.SaysClose |= Ascii.EqualsIgnoreCase(option, "close"u8);
                    head.SaysKeepAlive |= Ascii.EqualsIgnoreCase(option, "keep-alive"u8);
                }

                return true;
            default:
                return true;
        }
    }

    // 1*DIGIT: no sign, no list, no blank; and no more than fits.
    private static bool TryLength(ReadOnlySpan<byte> value, out long length)
    {
        length = 0;
        if (value.Length is 0 or > 18 || value.ContainsAnyExceptInRange((byte)'0', (byte)'9'))
            return false;
        foreach (var digit in value)
            length = (length * 10) + (digit - '0');
        return true;
    }
}

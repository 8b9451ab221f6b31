using System.Buffers;
using System.Text;

namespace Alicia.Proxy.Http1;

/// <summary>
/// Follows the requests that go out on a connection of HTTP/1.1, to know where each begins. An answer may be whole before its request is, and what then still goes out is a body, whatever it looks like: callers
/// choose its bytes.
/// </summary>
/// <remarks>They come from our own HTTP client: well-formed, one after the other, without chunk extensions and trailers.</remarks>
internal sealed class SentRequests
{
    private readonly ArrayBufferWriter<byte> _half = new(1);
    private Part _part;
    private long _remaining;

    private enum Part
    {
        Between,
        Head,
        Body,
        ChunkLine,
        ChunkData,
        LastLine,
    }

    /// <summary>True when the next byte begins a request.</summary>
    public bool IsBetween => _part == Part.Between;

    /// <summary>Takes bytes that go out.</summary>
    /// <returns>True when a request begins with them.</returns>
    public bool Take(ReadOnlySpan<byte> bytes)
    {
        var begins = _part == Part.Between && !bytes.IsEmpty;
        if (begins)
            _part = Part.Head;
        while (!bytes.IsEmpty && _part != Part.Between)
        {
            switch (_part)
            {
                case Part.Head:
                    TakeHead(ref bytes);
                    break;
                case Part.ChunkLine:
                    TakeChunkLine(ref bytes);
                    break;
                default:
                    var count = (int)Math.Min(_remaining, bytes.Length);
                    bytes = bytes[count..];
                    _remaining -= count;
                    if (_remaining == 0)
                        _part = _part == Part.ChunkData ? Part.ChunkLine : Part.Between;
                    break;
            }
        }

        return begins;
    }

    private void TakeHead(ref ReadOnlySpan<byte> bytes)
    {
        var whole = _half.WrittenCount == 0 ? bytes : Joined(bytes);
        var end = whole.IndexOf("\r\n\r\n"u8);
        if (end < 0)
        {
            if (_half.WrittenCount == 0)
                _half.Write(bytes);
            bytes = default;
            return;
        }

        bytes = bytes[^(whole.Length - end - 4)..];
        (_remaining, _part) = (0, Part.Between);
        foreach (var range in whole[..end].Split("\r\n"u8))
        {
            var line = whole[range];
            var colon = line.IndexOf((byte)':');
            if (colon < 0)
                continue;
            if (Ascii.EqualsIgnoreCase(line[..colon], "transfer-encoding"u8))
                _part = Part.ChunkLine;
            else if (Ascii.EqualsIgnoreCase(line[..colon], "content-length"u8) && Syntax.TryDigits(line[(colon + 1)..].Trim(" \t"u8), out _remaining) && _remaining > 0)
                _part = Part.Body;
        }

        _half.ResetWrittenCount();
    }

    private void TakeChunkLine(ref ReadOnlySpan<byte> bytes)
    {
        var end = bytes.IndexOf((byte)'\n');
        var part = end < 0 ? bytes : bytes[..(end + 1)];
        bytes = bytes[part.Length..];
        if (end < 0 || _half.WrittenCount > 0)
            part = Joined(part);
        if (end < 0)
            return;
        Syntax.ReadChunkLine(part.TrimEnd("\r\n"u8), out var size);
        // Data and the line end behind it; or that of the last chunk alone.
        (_remaining, _part) = (size + 2L, size == 0 ? Part.LastLine : Part.ChunkData);
        _half.ResetWrittenCount();
    }

    private ReadOnlySpan<byte> Joined(ReadOnlySpan<byte> bytes)
    {
        _half.Write(bytes);
        return _half.WrittenSpan;
    }
}

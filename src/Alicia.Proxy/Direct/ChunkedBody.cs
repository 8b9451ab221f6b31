using Alicia.Proxy.Http1;

namespace Alicia.Proxy.Direct;

/// <summary>
/// Takes the chunks off a body (RFC 9112, section 7.1), wherever the bytes are cut on their way. Strict: a size is hexadecimal digits and nothing else, every line ends in CR LF, extensions follow their
/// grammar although they mean nothing.
/// </summary>
internal sealed class ChunkedBody
{
    /// <summary>Fifteen hexadecimal digits are more bytes than any body has, and fit.</summary>
    private const int MaxSizeDigits = 15;

    /// <summary>Bytes of one chunk's extensions. Nobody uses them; without a bound an instance could send nothing else for ever.</summary>
    private const int MaxExtension = 4096;

    private Phase _phase;
    private long _left;
    private int _count;
    private byte[]? _extension;
    private byte[]? _trailers;
    private int _trailerLength;
    private HeadScan _scan;

    private enum Phase : byte
    {
        Size,
        Extension,
        SizeLineFeed,
        Data,
        DataReturn,
        DataLineFeed,
        Trailers,
        Done,
    }

    /// <summary>True behind the empty line that ends the body.</summary>
    public bool IsDone => _phase == Phase.Done;

    /// <summary>True when the last chunk was followed by trailers.</summary>
    public bool HasTrailers => _trailerLength > 2;

    /// <summary>Begins another body.</summary>
    public void Reset()
    {
        (_phase, _left, _count, _trailerLength, _scan) = (Phase.Size, 0, 0, 0, default);
        // Both are rare.
        (_extension, _trailers) = (null, null);
    }

    /// <summary>Reads the trailers, once the body is done.</summary>
    /// <returns>False when they are malformed.</returns>
    public bool TryTrailers(ResponseHead section) => ResponseParser.TryParseTrailers(_trailers!, _trailerLength, section);

    /// <summary>Takes the chunks off in place: what is left of them, the body's own bytes, is moved to the front.</summary>
    /// <param name="bytes">What has come.</param>
    /// <param name="data">Bytes of the body that now stand at the front.</param>
    /// <param name="used">Bytes that were used up: all, unless the body is done.</param>
    /// <returns>False when the body is malformed.</returns>
    public bool TryDecode(Span<byte> bytes, out int data, out int used)
    {
        (data, used) = (0, 0);
        while (used < bytes.Length && _phase != Phase.Done)
        {
            if (_phase == Phase.Data)
            {
                var length = (int)Math.Min(_left, bytes.Length - used);
                if (data != used)
                    bytes.Slice(used, length).CopyTo(bytes[data..]);
                data += length;
                used += length;
                _left -= length;
                if (_left == 0)
                    _phase = Phase.DataReturn;
            }
            else if (_phase == Phase.Trailers)
            {
                if (!TryTrail(bytes[used..], out var taken))
                    return false;
                used += taken;
            }
            else if (!TryStep(bytes[used++]))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>One byte between the chunks' data.</summary>
    private bool TryStep(byte b)
    {
        switch (_phase)
        {
            case Phase.Size:
                if (char.IsAsciiHexDigit((char)b))
                {
                    _left = (_left << 4) + HexValue(b);
                    return ++_count <= MaxSizeDigits;
                }

                if (_count == 0)
                    return false;
                _count = 0;
                _phase = b == '\r' ? Phase.SizeLineFeed : Phase.Extension;
                return b == '\r' || (b == ';' && TryExtend(b));
            case Phase.Extension:
                if (b != '\r')
                    return TryExtend(b);
                _phase = Phase.SizeLineFeed;
                return Syntax.AreExtensions(_extension.AsSpan(0, _count));
            case Phase.SizeLineFeed:
                _count = 0;
                _phase = _left == 0 ? Phase.Trailers : Phase.Data;
                return b == '\n';
            case Phase.DataReturn:
                _phase = Phase.DataLineFeed;
                return b == '\r';
            default:
                _phase = Phase.Size;
                return b == '\n';
        }
    }

    private bool TryExtend(byte b)
    {
        if (_count == MaxExtension || (b < ' ' && b != '\t') || b == 127)
            return false;
        _extension ??= new byte[MaxExtension];
        _extension[_count++] = b;
        return true;
    }

    private static int HexValue(byte digit) => digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;

    /// <summary>Collects the trailers up to their empty line.</summary>
    private bool TryTrail(ReadOnlySpan<byte> bytes, out int taken)
    {
        taken = Math.Min(bytes.Length, ResponseParser.MaxHeadBytes - _trailerLength);
        if (taken == 0)
            return false;
        var before = _trailerLength;
        if (_trailers is null || _trailers.Length < before + taken)
            Array.Resize(ref _trailers, Math.Max(64, (before + taken) * 2));
        bytes[..taken].CopyTo(_trailers.AsSpan(before));
        if (!ResponseParser.TryFindEnd(_trailers.AsSpan(0, before + taken), ref _scan, isTrailers: true, out var length))
            return false;
        _trailerLength = length > 0 ? length : before + taken;
        if (length > 0)
        {
            taken = length - before;
            _phase = Phase.Done;
        }

        return true;
    }
}

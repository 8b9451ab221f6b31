using System.Text;

namespace Alicia.Proxy.Http1;

/// <summary>
/// Judges the bytes of an instance's HTTP/1.1 connection, answer after answer, as <see cref="StrictRequests"/> does with callers: the HTTP client forgives bare line feeds, folded lines, several lengths and
/// more, and an answer that is read in two ways can be two answers.
/// </summary>
/// <remarks>A state machine without I/O. All bytes are taken; half a line is kept until the rest has come.</remarks>
internal sealed class StrictResponses
{
    /// <summary>Field lines and chunk lines, each; the HTTP client has a limit of its own for all fields together.</summary>
    private const int MaxLine = 128 * 1024;

    private readonly SentRequests _requests = new();
    private Part _part = Part.Idle;
    private byte[] _half = [];
    private int _halfLength;
    private long _remaining;
    private int _status;
    private bool _isHead;
    private bool _isOldVersion;
    private bool _hasLength;
    private bool _isChunked;

    private enum Part
    {
        /// <summary>Nothing was asked, so there is nothing to answer.</summary>
        Idle,
        StatusLine,
        Fields,
        Body,
        ChunkLine,
        ChunkData,
        ChunkEnd,
        Trailers,

        /// <summary>The end of the connection is that of the body, or the connection speaks another protocol.</summary>
        Open,
    }

    /// <summary>True when every request has gone out whole and has its answer.</summary>
    public bool IsBetweenAnswers => _part == Part.Idle && _requests.IsBetween;

    /// <summary>Bytes of a request went out. Only the first of each request matter: an answer to HEAD has no body.</summary>
    public void Sent(ReadOnlySpan<byte> bytes)
    {
        if (_part == Part.Open || !_requests.Take(bytes))
            return;
        _part = Part.StatusLine;
        _isHead = bytes.StartsWith("HEAD "u8);
    }

    /// <summary>Takes bytes that came.</summary>
    /// <returns>What is wrong with them, in a few words, or null.</returns>
    public string? Received(ReadOnlySpan<byte> bytes)
    {
        if (_part == Part.Idle && !bytes.IsEmpty)
            return "an answer that nobody has asked for";
        while (!bytes.IsEmpty)
        {
            switch (_part)
            {
                case Part.Open:
                    return null;
                case Part.Idle:
                    // Behind the answer that just ended. It is whole; the client sees the rest as well, and does not use the connection again.
                    return null;
                case Part.Body or Part.ChunkData:
                    var count = (int)Math.Min(_remaining, bytes.Length);
                    _remaining -= count;
                    bytes = bytes[count..];
                    if (_remaining == 0)
                        _part = _part == Part.ChunkData ? Part.ChunkEnd : Part.Idle;
                    break;
                default:
                    if (TakeLine(ref bytes) is { } fault)
                        return fault;
                    break;
            }
        }

        return null;
    }

    private string? TakeLine(ref ReadOnlySpan<byte> bytes)
    {
        var lineFeed = bytes.IndexOf((byte)'\n');
        var taken = lineFeed < 0 ? bytes.Length : lineFeed + 1;
        var part = bytes[..taken];
        bytes = bytes[taken..];
        if (_halfLength + taken > MaxLine)
            return "a line without an end";
        if (lineFeed >= 0 && _halfLength == 0)
            return Whole(part);
        if (_half.Length < _halfLength + taken)
            Array.Resize(ref _half, Math.Max(256, 2 * (_halfLength + taken)));
        part.CopyTo(_half.AsSpan(_halfLength));
        _halfLength += taken;
        if (lineFeed < 0)
            return null;
        var line = _half.AsSpan(0, _halfLength);
        _halfLength = 0;
        return Whole(line);
    }

    /// <param name="line">With its line feed.</param>
    private string? Whole(ReadOnlySpan<byte> line)
    {
        if (line.Length < 2 || line[^2] != '\r')
            return "a bare line feed";
        line = line[..^2];
        if (line.ContainsAny(Syntax.Controls))
            return "a control character";
        switch (_part)
        {
            case Part.StatusLine:
                return StatusLine(line);
            case Part.Fields:
                return line.IsEmpty ? EndHead() : Field(line);
            case Part.ChunkLine:
                if (Syntax.ReadChunkLine(line, out var size) is not null)
                    return "a malformed chunk";
                _remaining = size;
                _part = size == 0 ? Part.Trailers : Part.ChunkData;
                return null;
            case Part.ChunkEnd:
                _part = Part.ChunkLine;
                return line.IsEmpty ? null : "a chunk that is longer than its size says";
            default:
                if (line.IsEmpty)
                    _part = Part.Idle;
                else if (NameOf(line).IsEmpty)
                    return "a malformed trailer";
                return null;
        }
    }

    private string? StatusLine(ReadOnlySpan<byte> line)
    {
        // A later minor version is read as HTTP/1.1 (RFC 9110, section 2.5), as both forwarders do.
        _isOldVersion = line.StartsWith("HTTP/1.0 "u8);
        if (line.Length < 12 || !line.StartsWith("HTTP/1."u8) || !char.IsAsciiDigit((char)line[7]) || line[8] != ' ' || !Syntax.TryDigits(line[9..12], out var status) || (line.Length > 12 && line[12] != ' '))
            return "no status line";
        (_status, _part, _hasLength, _isChunked, _remaining) = ((int)status, Part.Fields, false, false, 0);
        return null;
    }

    private string? Field(ReadOnlySpan<byte> line)
    {
        var name = NameOf(line);
        if (name.IsEmpty)
            return "a malformed field line";
        var value = line[(name.Length + 1)..].Trim(" \t"u8);
        if (Ascii.EqualsIgnoreCase(name, "content-length"u8))
        {
            if (_hasLength || !Syntax.TryDigits(value, out _remaining))
                return "a Content-Length that is not one number";
            _hasLength = true;
        }
        else if (Ascii.EqualsIgnoreCase(name, "transfer-encoding"u8))
        {
            if (_isChunked || _isOldVersion || !Ascii.EqualsIgnoreCase(value, "chunked"u8))
                return "a transfer coding other than one 'chunked'";
            _isChunked = true;
        }

        return _hasLength && _isChunked ? "a Content-Length beside a Transfer-Encoding" : null;
    }

    private string? EndHead()
    {
        if (_status == StatusCodes.Status101SwitchingProtocols)
            _part = Part.Open;
        else if (_status < 200)
            _part = Part.StatusLine;
        else if (_isHead || _status is StatusCodes.Status204NoContent or StatusCodes.Status304NotModified)
            _part = Part.Idle;
        else
            _part = _isChunked ? Part.ChunkLine : !_hasLength ? Part.Open : _remaining > 0 ? Part.Body : Part.Idle;
        return null;
    }

    /// <summary>Empty for a line that is no field.</summary>
    private static ReadOnlySpan<byte> NameOf(ReadOnlySpan<byte> line)
    {
        var colon = line.IndexOfAnyExcept(Syntax.Token);
        return colon > 0 && line[colon] == ':' ? line[..colon] : default;
    }
}

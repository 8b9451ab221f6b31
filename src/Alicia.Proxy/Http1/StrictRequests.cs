using System.Buffers;

namespace Alicia.Proxy.Http1;

/// <summary>
/// Judges the bytes of one caller's HTTP/1.1 connection before anybody acts on them: request lines, fields, framing and trailers, request after request. Servers forgive much of
/// what is wrong with a message, each in its own way, and where two on a path differ, a request can be smuggled past one of them. Nothing is forgiven here, so that what goes on
/// means the same to everybody.
/// </summary>
/// <remarks>
/// A state machine without I/O. Bytes go in wherever the network cut them. What cannot be judged yet, such as half a line, is not taken and comes again with what follows it. Each line
/// is searched once for its end, which is where all control characters show, and once for the end of its name; all searches are vectorised, and nothing is allocated.
/// </remarks>
internal sealed partial class StrictRequests(RequestLimits limits)
{
    /// <summary>What a request line may have besides its target: a method, a version, two blanks.</summary>
    private const int LineBesidesTarget = 128;

    /// <summary>A chunk's line with its extensions. Signatures of uploads, the one use that is known, have a fifth of it.</summary>
    private const int MaxChunkLine = 512;

    private RequestLimits _limits = limits;
    private Part _part;
    private long _remaining;
    private int _fieldBytes;
    private int _fieldCount;
    private bool _emptyLineSeen;
    private bool _isOldVersion;
    private bool _isTls;
    private byte[]? _authority;
    private bool _hasHost;
    private bool _hasLength;
    private bool _isChunked;
    private bool _mayUpgrade;

    private enum Part
    {
        RequestLine,
        Fields,
        Body,
        ChunkLine,
        ChunkData,
        ChunkEnd,
        Trailers,

        /// <summary>After a request that asks for another protocol: what follows is no request if the answer is yes.</summary>
        Upgrade,

        /// <summary>The line that is being taken is the request's last.</summary>
        Over,
    }

    /// <summary>What was found wrong; from then on nothing is taken.</summary>
    public RequestFault? Fault { get; private set; }

    /// <summary>Bytes that were taken since the connection began.</summary>
    public long Taken { get; private set; }

    /// <summary>Where the request begins that is being judged, counted like <see cref="Taken"/>.</summary>
    public long RequestStart { get; private set; }

    /// <summary>
    /// Up to where bytes may go on, counted like <see cref="Taken"/>: whole heads, whole chunk lines, data, and the last chunk only with all that ends the request.
    /// </summary>
    public long Safe { get; private set; }

    /// <summary>True when no line of a next request was taken.</summary>
    public bool IsBetweenRequests => _part == Part.RequestLine;

    /// <summary>True until the head of the request that is being judged has come to its end.</summary>
    public bool IsInHead => _part is Part.RequestLine or Part.Fields;

    /// <summary>True when somebody has to say first whether the connection still speaks HTTP: see <see cref="NotUpgraded"/>.</summary>
    public bool AwaitsUpgrade => _part == Part.Upgrade;

    /// <summary>The request that asked for another protocol was answered in HTTP; the next request follows.</summary>
    public void NotUpgraded() => Begin();

    /// <summary>Requests that begin from now on are held against these.</summary>
    public void Use(RequestLimits limits) => _limits = limits;

    /// <summary>Judges bytes that follow those taken before.</summary>
    /// <returns>How many were taken: all, unless a line is not whole, something is wrong, or <see cref="AwaitsUpgrade"/>.</returns>
    public long Read(in ReadOnlySequence<byte> bytes)
    {
        if (bytes.IsSingleSegment)
            return Read(bytes.FirstSpan);
        var before = Taken;
        var rest = bytes;
        while (Fault is null && !rest.IsEmpty)
        {
            var next = rest.Start;
            rest.TryGet(ref next, out var first);
            var taken = Read(first.Span);
            if (taken == first.Length)
            {
                // No next position: this was the last segment.
                if (next.GetObject() is null)
                    break;
                rest = rest.Slice(next);
                continue;
            }

            if (taken == 0)
                taken = ReadAcross(rest);
            if (taken == 0)
                break;
            rest = rest.Slice(taken);
        }

        return Taken - before;
    }

    /// <inheritdoc cref="Read(in ReadOnlySequence{byte})"/>
    public int Read(ReadOnlySpan<byte> bytes)
    {
        var all = bytes.Length;
        while (!bytes.IsEmpty && Fault is null)
        {
            var taken = _part switch
            {
                Part.Body or Part.ChunkData => ReadData(bytes),
                Part.ChunkEnd => ReadChunkEnd(bytes),
                Part.Upgrade => 0,
                _ => ReadLine(bytes),
            };
            if (taken == 0)
                break;
            bytes = bytes[taken..];
        }

        return all - bytes.Length;
    }

    /// <summary>Reads what lies in several segments: one line, or the two bytes behind a chunk.</summary>
    private int ReadAcross(in ReadOnlySequence<byte> bytes)
    {
        if (_part == Part.Upgrade || Fault is not null)
            return 0;
        var line = bytes.PositionOf((byte)'\n') is { } end ? bytes.Slice(0, bytes.GetPosition(1, end)) : bytes;
        // A line that is too long shows in its beginning.
        var length = (int)Math.Min(line.Length, MaxLine + 3);
        var copy = ArrayPool<byte>.Shared.Rent(length);
        line.Slice(0, length).CopyTo(copy);
        var taken = Read(copy.AsSpan(0, length));
        ArrayPool<byte>.Shared.Return(copy);
        return taken;
    }

    private int ReadLine(ReadOnlySpan<byte> bytes)
    {
        var end = bytes.IndexOfAny(Syntax.Controls);
        if (end >= 0 && bytes[end] == '\r' && end + 1 < bytes.Length && bytes[end + 1] == '\n')
        {
            var line = bytes[..end];
            Fault = end > MaxLine ? TooLong : _part switch
            {
                Part.RequestLine => ReadRequestLine(line),
                Part.Fields => line.IsEmpty ? EndHead() : ReadField(line),
                Part.ChunkLine => ReadChunkLine(line),
                _ => line.IsEmpty ? EndTrailers() : ReadTrailer(line),
            };
            if (Fault is not null)
                return 0;
            Taken += end + 2;
            AfterLine();
            return end + 2;
        }

        // Not whole. What shows already is not waited for.
        if (end < 0 || (bytes[end] == '\r' && end + 1 == bytes.Length))
            Fault = bytes.Length > MaxLine + 1 ? TooLong : null;
        else
            Fault = bytes[end] switch
            {
                (byte)'\n' => RequestFault.BareLineFeed,
                (byte)'\r' => RequestFault.BareCarriageReturn,
                _ => RequestFault.ControlCharacter,
            };
        return 0;
    }

    private int MaxLine => _part switch
    {
        Part.RequestLine => _limits.TargetBytes + LineBesidesTarget,
        Part.ChunkLine => MaxChunkLine,
        _ => _limits.FieldBytes,
    };

    private RequestFault TooLong => _part switch
    {
        Part.RequestLine => RequestFault.TargetTooLong,
        Part.ChunkLine => RequestFault.ChunkExtension,
        _ => RequestFault.FieldsTooLarge,
    };

    /// <summary>After a line was taken: where that leaves what may go on.</summary>
    private void AfterLine()
    {
        if (_part == Part.Over)
            Begin();
        else if (_part is Part.Body or Part.ChunkLine or Part.ChunkData or Part.Upgrade)
            Safe = Taken;
    }

    private int ReadData(ReadOnlySpan<byte> bytes)
    {
        var count = (int)Math.Min(_remaining, bytes.Length);
        _remaining -= count;
        Taken += count;
        Safe = Taken;
        if (_remaining > 0)
            return count;
        if (_part == Part.ChunkData)
            _part = Part.ChunkEnd;
        else
            Begin();
        return count;
    }

    private int ReadChunkEnd(ReadOnlySpan<byte> bytes)
    {
        if (bytes[0] != '\r' || (bytes.Length > 1 && bytes[1] != '\n'))
        {
            Fault = RequestFault.ChunkEnd;
            return 0;
        }

        if (bytes.Length == 1)
            return 0;
        Taken += 2;
        Safe = Taken;
        _part = Part.ChunkLine;
        return 2;
    }

    /// <summary>What follows is a new request.</summary>
    private void Begin()
    {
        Safe = RequestStart = Taken;
        _part = Part.RequestLine;
        (_remaining, _fieldBytes, _fieldCount) = (0, 0, 0);
        _emptyLineSeen = _isOldVersion = _isTls = _hasHost = _hasLength = _isChunked = _mayUpgrade = false;
        _authority = null;
    }
}

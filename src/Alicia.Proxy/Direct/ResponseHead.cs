using System.Text;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Primitives;

namespace Alicia.Proxy.Direct;

/// <summary>How the end of an answer's body is known (RFC 9112, section 6.3).</summary>
internal enum BodyFraming
{
    /// <summary>There is no body.</summary>
    None,

    /// <summary>By its length.</summary>
    Length,

    /// <summary>By its last chunk.</summary>
    Chunked,

    /// <summary>By the end of the connection.</summary>
    UntilClose,
}

/// <summary>
/// The head of an answer, or its trailers, where it was received: status, framing, and where in the bytes each field stands. One object per connection, filled anew by each
/// answer; strings are made for fields that are passed on, and values that came before are not made again.
/// </summary>
internal sealed class ResponseHead
{
    /// <summary>Longer values are seldom the same twice.</summary>
    private const int MaxKeptValue = 128;

    private readonly string?[] _kept = new string?[KnownFields.Count];
    private Line[] _lines = new Line[16];
    private byte[] _bytes = [];
    private ulong _seen;

    /// <summary>100–999; 0 for trailers.</summary>
    public int Status { get; private set; }

    /// <summary>Lines of fields.</summary>
    public int Count { get; private set; }

    /// <summary>−1 when there is none.</summary>
    public long ContentLength { get; set; }

    public bool IsChunked { get; set; }

    /// <summary>True for HTTP/1.0.</summary>
    public bool IsOld { get; private set; }

    /// <summary><c>Connection</c> says <c>close</c>.</summary>
    public bool SaysClose { get; set; }

    /// <summary><c>Connection</c> says <c>keep-alive</c>.</summary>
    public bool SaysKeepAlive { get; set; }

    /// <summary>The reason phrase, or null when it is the usual one or none.</summary>
    public string? Reason { get; private set; }

    /// <summary>True for an interim answer: the final one comes behind it.</summary>
    public bool IsInterim => Status < 200 && Status != StatusCodes.Status101SwitchingProtocols;

    /// <summary>True when the connection may be used again once the body has ended.</summary>
    public bool KeepsConnection => !SaysClose && (!IsOld || SaysKeepAlive);

    /// <summary>The value of <c>grpc-status</c>, or null.</summary>
    public string? GrpcStatus => Has(KnownFields.GrpcStatus) ? Values(KnownFields.GrpcStatus).ToString() : null;

    /// <summary>The values of <c>Connection</c>.</summary>
    public StringValues Connection => Has(KnownFields.Connection) ? Values(KnownFields.Connection) : StringValues.Empty;

    /// <summary>How the body's end is known.</summary>
    /// <param name="isHead">Whether the request was HEAD.</param>
    public BodyFraming FramingFor(bool isHead)
    {
        if (isHead || Status is StatusCodes.Status204NoContent or StatusCodes.Status304NotModified || Status < 200)
            return BodyFraming.None;
        if (IsChunked)
            return BodyFraming.Chunked;
        return ContentLength switch
        {
            < 0 => BodyFraming.UntilClose,
            0 => BodyFraming.None,
            _ => BodyFraming.Length,
        };
    }

    /// <summary>Forgets the answer before and takes its place.</summary>
    /// <param name="bytes">Where the lines point into; they stay there until all that is wanted of them has been taken.</param>
    public void Begin(byte[] bytes)
    {
        (_bytes, _seen, Count, Status, ContentLength, Reason) = (bytes, 0, 0, 0, -1, null);
        IsChunked = IsOld = SaysClose = SaysKeepAlive = false;
    }

    /// <summary>Forgets the fields: what they stand in is about to be another answer's. What was made of them stays.</summary>
    public void Forget() => (_bytes, _seen, Count) = ([], 0, 0);

    public void StatusLine(int status, bool isOld, ReadOnlySpan<byte> reason)
    {
        (Status, IsOld) = (status, isOld);
        if (!reason.IsEmpty && !Ascii.Equals(reason, ReasonPhrases.GetReasonPhrase(status)))
            Reason = Encoding.Latin1.GetString(reason);
    }

    /// <summary>Adds a field.</summary>
    /// <param name="known">Position of the name in <see cref="KnownFields"/>, or −1.</param>
    /// <param name="name">Where its name begins, and how long it is.</param>
    /// <param name="value">Where its value begins, and how long it is.</param>
    public void Add(int known, (int Start, int Length) name, (int Start, int Length) value)
    {
        if (Count == _lines.Length)
            Array.Resize(ref _lines, _lines.Length * 2);
        var line = new Line(known, name.Start, name.Length, value.Start, value.Length, Again: false);
        if (known >= 0)
            line = line with { Again = Has(known) };
        else
            line = line with { Again = CameBefore(_bytes.AsSpan(name.Start, name.Length)) };
        if (known >= 0)
            _seen |= 1UL << known;
        _lines[Count++] = line;
    }

    public bool Has(int known) => (_seen & (1UL << known)) != 0;

    /// <summary>True when an earlier line has the same name.</summary>
    public bool IsAgain(int line) => _lines[line].Again;

    public string NameOf(int line) => _lines[line] is { Known: >= 0 and var known }
        ? KnownFields.NameOf(known)
        : Encoding.Latin1.GetString(_bytes.AsSpan(_lines[line].NameStart, _lines[line].NameLength));

    public string ValueOf(int line)
    {
        ref readonly var at = ref _lines[line];
        var bytes = _bytes.AsSpan(at.ValueStart, at.ValueLength);
        if (at.Known < 0 || bytes.Length > MaxKeptValue || !KnownFields.IsWorthKeeping(at.Known))
            return Encoding.Latin1.GetString(bytes);
        if (_kept[at.Known] is { } kept && Ascii.Equals(bytes, kept))
            return kept;
        return _kept[at.Known] = Encoding.Latin1.GetString(bytes);
    }

    private StringValues Values(int known)
    {
        var values = StringValues.Empty;
        for (var i = 0; i < Count; i++)
        {
            if (_lines[i].Known == known)
                values = StringValues.Concat(values, ValueOf(i));
        }

        return values;
    }

    // The number of lines is bounded, so that looking at each again stays cheap.
    private bool CameBefore(ReadOnlySpan<byte> name)
    {
        for (var i = 0; i < Count; i++)
        {
            ref readonly var before = ref _lines[i];
            if (before.Known < 0 && before.NameLength == name.Length && Ascii.EqualsIgnoreCase(_bytes.AsSpan(before.NameStart, before.NameLength), name))
                return true;
        }

        return false;
    }

    private readonly record struct Line(int Known, int NameStart, int NameLength, int ValueStart, int ValueLength, bool Again);
}

using System.Buffers;
using System.Globalization;
using System.Text;

namespace Alicia.Proxy.Telemetry;

/// <summary>
/// Collects lines as bytes. Whatever text it is given, only printable ASCII comes out and no text can end its quotes or its line: log files are read by terminals and by
/// programs that would obey anything else.
/// </summary>
internal sealed class LogLine
{
    private const string Printable = " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~";

    /// <summary>What stands for itself in either kind of quotes.</summary>
    private static readonly SearchValues<char> Plainest = SearchValues.Create(Printable.Replace("\"", "", StringComparison.Ordinal).Replace("\\", "", StringComparison.Ordinal));

    private byte[] _bytes = new byte[4096];
    private int _length;
    private long _second = -1;
    private TimeForm _form;
    private readonly byte[] _secondText = new byte[32];
    private int _secondLength;

    public int Length => _length;

    public ReadOnlySpan<byte> Written => _bytes.AsSpan(0, _length);

    public void Clear() => _length = 0;

    /// <summary>Text of the program's own, which needs no escaping.</summary>
    public void Raw(ReadOnlySpan<byte> ascii)
    {
        ascii.CopyTo(Room(ascii.Length));
        _length += ascii.Length;
    }

    public void Number(long value) => Formatted(value, default);

    /// <summary>Seconds with microseconds.</summary>
    /// <param name="time">Not negative.</param>
    public void Seconds(TimeSpan time)
    {
        // A number with a pattern costs ten times as much.
        var (seconds, microseconds) = Math.DivRem((Math.Max(0, time.Ticks) + 5) / TimeSpan.TicksPerMicrosecond, 1_000_000);
        Number(seconds);
        var room = Room(7);
        room[0] = (byte)'.';
        Digits(room[1..7], microseconds);
        _length += 7;
    }

    /// <summary>A time of day in UTC. The text of the second is kept: lines come in order, thousands a second.</summary>
    public void Time(DateTimeOffset time, TimeForm form)
    {
        var second = time.UtcTicks / TimeSpan.TicksPerSecond;
        if (second != _second || form != _form)
        {
            var pattern = form == TimeForm.Iso8601 ? "yyyy-MM-dd'T'HH:mm:ss" : "dd/MMM/yyyy:HH:mm:ss";
            time.UtcDateTime.TryFormat(_secondText, out _secondLength, pattern, CultureInfo.InvariantCulture);
            (_second, _form) = (second, form);
        }

        Raw(_secondText.AsSpan(0, _secondLength));
        if (form == TimeForm.CommonLog)
        {
            Raw(" +0000"u8);
            return;
        }

        var room = Room(5);
        room[0] = (byte)'.';
        Digits(room[1..4], time.UtcTicks % TimeSpan.TicksPerSecond / TimeSpan.TicksPerMillisecond);
        room[4] = (byte)'Z';
        _length += 5;
    }

    public void Formatted<T>(T value, ReadOnlySpan<char> format)
        where T : IUtf8SpanFormattable
    {
        int written;
        while (!value.TryFormat(_bytes.AsSpan(_length), out written, format, CultureInfo.InvariantCulture))
            Room(_bytes.Length);
        _length += written;
    }

    /// <summary>Text inside a JSON string. A character without a partner becomes U+FFFD, as JSON has no way to write one that parsers accept.</summary>
    public void Json(string text)
    {
        for (var i = Plain(text, 0); i < text.Length; i = Plain(text, i + 1))
        {
            var c = text[i];
            if (c is '"' or '\\')
            {
                Room(2)[0] = (byte)'\\';
                _bytes[_length + 1] = (byte)c;
                _length += 2;
            }
            else if (!char.IsSurrogate(c))
            {
                Hex("\\u"u8, c, 4);
            }
            else if (char.IsHighSurrogate(c) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]))
            {
                Hex("\\u"u8, c, 4);
                Hex("\\u"u8, text[++i], 4);
            }
            else
            {
                Raw("\\ufffd"u8);
            }
        }
    }

    /// <summary>
    /// Text inside the quotes of the Combined Log Format, escaped as web servers do: <c>\xHH</c> for a byte that is a quote, a backslash, or not printable ASCII. Values of fields
    /// are bytes and never hold other characters; those would come out as <c>\uHHHH</c>.
    /// </summary>
    public void Combined(string text)
    {
        for (var i = Plain(text, 0); i < text.Length; i = Plain(text, i + 1))
        {
            if (text[i] <= 0xff)
                Hex("\\x"u8, text[i], 2);
            else
                Hex("\\u"u8, text[i], 4);
        }
    }

    /// <summary>As a text for messages: like <see cref="Combined"/>, but a quote or a backslash is what it is.</summary>
    public static string Plain(string text)
    {
        if (!text.AsSpan().ContainsAnyExceptInRange(' ', '~'))
            return text;
        var clean = new StringBuilder(text.Length + 16);
        foreach (var c in text)
        {
            if (IsPlain(c) || IsLetterBeyondAscii(c))
                clean.Append(c);
            else if (c <= 0xff)
                clean.Append(CultureInfo.InvariantCulture, $"\\x{(int)c:X2}");
            else
                clean.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:X4}");
        }

        return clean.ToString();
    }

    private static bool IsPlain(char c) => c is >= ' ' and <= '~';

    /// <summary>Messages for people may have umlauts; what steers a terminal or turns the direction of writing is no letter.</summary>
    private static bool IsLetterBeyondAscii(char c) => c > '~' && (char.IsLetterOrDigit(c) || c is '–' or '—' or '…' or '’' or '“' or '”' or '‘');

    /// <summary>Writes what needs no escaping, from <paramref name="from"/> on.</summary>
    /// <returns>Where that ends.</returns>
    private int Plain(string text, int from)
    {
        var rest = text.AsSpan(from);
        var length = rest.IndexOfAnyExcept(Plainest);
        if (length < 0)
            length = rest.Length;
        if (length > 0)
        {
            Ascii.FromUtf16(rest[..length], Room(length), out _);
            _length += length;
        }

        return from + length;
    }

    private static void Digits(Span<byte> room, long value)
    {
        for (var i = room.Length - 1; i >= 0; i--)
        {
            (value, var digit) = Math.DivRem(value, 10);
            room[i] = (byte)('0' + digit);
        }
    }

    private void Hex(ReadOnlySpan<byte> before, int value, int digits)
    {
        Raw(before);
        var room = Room(digits);
        for (var i = digits - 1; i >= 0; i--, value >>= 4)
            room[i] = "0123456789ABCDEF"u8[value & 15];
        _length += digits;
    }

    private Span<byte> Room(int bytes)
    {
        if (_bytes.Length - _length < bytes)
            Array.Resize(ref _bytes, Math.Max(_bytes.Length * 2, _length + bytes));
        return _bytes.AsSpan(_length);
    }
}

/// <summary>How a line of the access log writes a time.</summary>
internal enum TimeForm
{
    /// <summary><c>2025-11-03T04:05:06.789Z</c></summary>
    Iso8601,

    /// <summary><c>03/Nov/2025:04:05:06 +0000</c></summary>
    CommonLog,
}

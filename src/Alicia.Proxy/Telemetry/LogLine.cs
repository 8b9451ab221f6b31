using System.Globalization;
using System.Text;

namespace Alicia.Proxy.Telemetry;

/// <summary>
/// Collects lines as bytes. Whatever text it is given, only printable ASCII comes out and no text can end its quotes or its line: log files are read by terminals and by
/// programs that would obey anything else.
/// </summary>
internal sealed class LogLine
{
    private byte[] _bytes = new byte[4096];
    private int _length;

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
    public void Seconds(TimeSpan time) => Formatted(time.TotalSeconds, "0.000000");

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
        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i];
            if (c is '"' or '\\')
            {
                Room(2)[0] = (byte)'\\';
                _bytes[_length + 1] = (byte)c;
                _length += 2;
            }
            else if (IsPlain(c))
            {
                One(c);
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
        foreach (var c in text)
        {
            if (IsPlain(c) && c is not ('"' or '\\'))
                One(c);
            else if (c <= 0xff)
                Hex("\\x"u8, c, 2);
            else
                Hex("\\u"u8, c, 4);
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

    private void One(char c)
    {
        Room(1)[0] = (byte)c;
        _length++;
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

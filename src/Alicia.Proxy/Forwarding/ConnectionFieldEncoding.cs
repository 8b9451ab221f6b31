using System.Text;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// Decodes the <c>Connection</c> field so that Kestrel keeps all of it. Kestrel replaces a value in which it recognises exactly one option by that option alone:
/// <c>close, X-Secret</c> becomes <c>close</c>, and the nominated <c>X-Secret</c> would be passed on.
/// </summary>
/// <remarks>
/// Two recognised options keep Kestrel from replacing. <c>close</c> is therefore read as <c>close, keep-alive</c>, which still closes; <c>keep-alive</c> beside nominations
/// is dropped, because it is the default of HTTP/1.1 (an HTTP/1.0 connection is then closed, as it may be). A lone <c>keep-alive</c> stays: HTTP/1.0 needs it.
/// </remarks>
internal sealed class ConnectionFieldEncoding : Encoding
{
    public static readonly ConnectionFieldEncoding Instance = new();

    private const string KeepAlive = "keep-alive";
    private const string Close = "close";

    /// <summary>What Kestrel's header encoding selector returns: this for <c>Connection</c>, Latin-1 for the rest.</summary>
    public static Encoding Select(string name) =>
        name.Length == 10 && name.Equals("Connection", StringComparison.OrdinalIgnoreCase) ? Instance : Latin1;

    public override int GetCharCount(byte[] bytes, int index, int count) => Rewrite(bytes.AsSpan(index, count)).Length;

    public override unsafe int GetCharCount(byte* bytes, int count) => Rewrite(new ReadOnlySpan<byte>(bytes, count)).Length;

    public override int GetChars(byte[] bytes, int byteIndex, int byteCount, char[] chars, int charIndex)
    {
        var text = Rewrite(bytes.AsSpan(byteIndex, byteCount));
        text.CopyTo(chars.AsSpan(charIndex));
        return text.Length;
    }

    public override unsafe int GetChars(byte* bytes, int byteCount, char* chars, int charCount)
    {
        var text = Rewrite(new ReadOnlySpan<byte>(bytes, byteCount));
        text.CopyTo(new Span<char>(chars, charCount));
        return text.Length;
    }

    public override int GetMaxCharCount(int byteCount) => byteCount + ", ".Length + KeepAlive.Length;

    public override int GetByteCount(char[] chars, int index, int count) => Latin1.GetByteCount(chars, index, count);

    public override int GetBytes(char[] chars, int charIndex, int charCount, byte[] bytes, int byteIndex) => Latin1.GetBytes(chars, charIndex, charCount, bytes, byteIndex);

    public override int GetMaxByteCount(int charCount) => charCount;

    /// <summary>The value as Kestrel is to see it. The usual values cost nothing.</summary>
    internal static string Rewrite(ReadOnlySpan<byte> value)
    {
        if (Ascii.EqualsIgnoreCase(value, KeepAlive))
            return KeepAlive;
        if (Ascii.EqualsIgnoreCase(value, "upgrade"))
            return "Upgrade";
        if (value.Contains((byte)0))
            throw new DecoderFallbackException("The Connection field has a null character.");

        var text = Latin1.GetString(value);
        var options = text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        var others = options.Where(o => !o.Equals(KeepAlive, StringComparison.OrdinalIgnoreCase)).ToArray();
        if (Array.Exists(others, o => o.Equals(Close, StringComparison.OrdinalIgnoreCase)))
            return $"{string.Join(", ", others)}, {KeepAlive}";
        return others.Length == 0 ? text : string.Join(", ", others);
    }
}

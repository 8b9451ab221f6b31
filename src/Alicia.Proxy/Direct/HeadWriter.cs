using System.Buffers;
using System.Text;
using Microsoft.Extensions.Primitives;

namespace Alicia.Proxy.Direct;

/// <summary>
/// Writes the head of a request as bytes, ready to be sent. Characters are Latin-1, one byte each, as the server read them; what could end a line before its end is refused whatever
/// let it through, because behind it somebody else's request would begin.
/// </summary>
internal sealed class HeadWriter : IDisposable
{
    private static readonly SearchValues<char> NameCharacters =
        SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    private static readonly SearchValues<char> LineBreakers = SearchValues.Create("\r\n\0");

    /// <summary>What some server takes for the end of a target. Other characters that no target should have are the caller's affair.</summary>
    private static readonly SearchValues<char> TargetBreakers = SearchValues.Create(" \t\r\n\v\f\0");

    /// <param name="capacity">Bytes to begin with; more are taken when they are needed.</param>
    public HeadWriter(int capacity) => Buffer = ArrayPool<byte>.Shared.Rent(capacity);

    /// <summary>Holds what was written, in its first <see cref="Length"/> bytes.</summary>
    public byte[] Buffer { get; private set; }

    public int Length { get; set; }

    /// <summary>Writes the request line.</summary>
    /// <exception cref="BadHttpRequestException">Method or target cannot stand in one.</exception>
    public void RequestLine(string method, string target)
    {
        if (target.Length == 0 || target.AsSpan().ContainsAny(TargetBreakers))
            throw new BadHttpRequestException("The target has characters that no request line may have.");
        if (method.Length == 0 || method.AsSpan().ContainsAnyExcept(NameCharacters))
            throw new BadHttpRequestException("The method has characters that no method may have.");
        Reserve(method.Length + target.Length + 12);
        Put(method);
        Buffer[Length++] = (byte)' ';
        Put(target);
        Put(" HTTP/1.1\r\n"u8);
    }

    /// <summary>Writes a field, a line for each of its values; those of <c>Cookie</c> on one, as they must be.</summary>
    /// <exception cref="BadHttpRequestException">Name or value cannot stand in a field.</exception>
    public void Field(string name, StringValues values)
    {
        if (name.Length == 0 || name.AsSpan().ContainsAnyExcept(NameCharacters))
            throw new BadHttpRequestException("A field name has characters that no name may have.");
        if (values.Count > 1 && name.Equals("Cookie", StringComparison.OrdinalIgnoreCase))
        {
            Line(name, string.Join("; ", (IEnumerable<string?>)values));
            return;
        }

        for (var i = 0; i < values.Count; i++)
            Line(name, values[i] ?? "");
    }

    /// <summary>Writes bytes as they are.</summary>
    public void Raw(ReadOnlySpan<byte> bytes)
    {
        Reserve(bytes.Length);
        Put(bytes);
    }

    /// <summary>Makes room for <paramref name="bytes"/> more.</summary>
    public void Reserve(int bytes)
    {
        if (Buffer.Length - Length >= bytes)
            return;
        var larger = ArrayPool<byte>.Shared.Rent(Math.Max(Buffer.Length * 2, Length + bytes));
        Buffer.AsSpan(0, Length).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(Buffer);
        Buffer = larger;
    }

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(Buffer);
        Buffer = [];
    }

    private void Line(string name, string value)
    {
        if (value.AsSpan().ContainsAny(LineBreakers))
            throw new BadHttpRequestException("A field value has characters that would end its line.");
        Reserve(name.Length + value.Length + 4);
        Put(name);
        Buffer[Length++] = (byte)':';
        Buffer[Length++] = (byte)' ';
        Put(value);
        Buffer[Length++] = (byte)'\r';
        Buffer[Length++] = (byte)'\n';
    }

    private void Put(string text) => Length += Encoding.Latin1.GetBytes(text, Buffer.AsSpan(Length));

    private void Put(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(Buffer.AsSpan(Length));
        Length += bytes.Length;
    }
}

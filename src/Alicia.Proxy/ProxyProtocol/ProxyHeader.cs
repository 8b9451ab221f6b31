using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Alicia.Proxy.ProxyProtocol;

/// <summary>What the bytes at the beginning of a connection are, as far as they have come.</summary>
internal enum ProxyHeaderState
{
    /// <summary>A header so far; more is needed.</summary>
    Incomplete,

    /// <summary>A whole header.</summary>
    Complete,

    /// <summary>No header, whatever follows.</summary>
    Malformed,
}

/// <summary>What <see cref="ProxyHeader.Read"/> found.</summary>
/// <param name="State">Whether the header is whole.</param>
/// <param name="Length">Bytes of the header, where it is; what follows belongs to the caller.</param>
/// <param name="Source">Whom the connection is for; null where the header does not say, and then the connection's own address counts.</param>
internal readonly record struct ProxyHeaderResult(ProxyHeaderState State, int Length = 0, IPEndPoint? Source = null);

/// <summary>
/// Reads the header that HAProxy and others put in front of a connection, in both its forms (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt). Knows nothing of what
/// came before: it is given all bytes since the beginning each time, and says as early as it can that they are no header. Strict, because what follows is taken for the caller's
/// own words.
/// </summary>
internal static class ProxyHeader
{
    /// <summary>Longest text form, its line end included.</summary>
    public const int MaxTextLength = 107;

    /// <summary>
    /// Longest binary form that is taken. Addresses need 52 bytes at most; the rest is for extensions, of which the largest in use, a certificate's names, are some hundred bytes.
    /// </summary>
    public const int MaxLength = 4096;

    private const int BinaryHead = 16;
    private const int Ipv4Length = 12;
    private const int Ipv6Length = 36;
    private const int UnixLength = 216;

    private static ReadOnlySpan<byte> BinarySignature => "\r\n\r\n\0\r\nQUIT\n"u8;

    private static ReadOnlySpan<byte> TextSignature => "PROXY "u8;

    private static ProxyHeaderResult Malformed => new(ProxyHeaderState.Malformed);

    private static ProxyHeaderResult Incomplete => new(ProxyHeaderState.Incomplete);

    /// <summary>Reads all that has come since the connection began, or at least its first <see cref="MaxLength"/> bytes.</summary>
    public static ProxyHeaderResult Read(ReadOnlySpan<byte> bytes)
    {
        if (bytes.IsEmpty)
            return Incomplete;
        return bytes[0] == BinarySignature[0] ? ReadBinary(bytes) : ReadText(bytes);
    }

    private static ProxyHeaderResult ReadBinary(ReadOnlySpan<byte> bytes)
    {
        if (!BeginsLike(bytes, BinarySignature))
            return Malformed;
        if (bytes.Length > 12 && bytes[12] is not (0x20 or 0x21))
            return Malformed;
        if (bytes.Length > 13 && bytes[13] is not (0x00 or 0x11 or 0x12 or 0x21 or 0x22 or 0x31 or 0x32))
            return Malformed;
        if (bytes.Length < BinaryHead)
            return Incomplete;

        var length = BinaryPrimitives.ReadUInt16BigEndian(bytes[14..]);
        var local = bytes[12] == 0x20;
        var least = local ? 0 : bytes[13] switch
        {
            0x11 or 0x12 => Ipv4Length,
            0x21 or 0x22 => Ipv6Length,
            0x31 or 0x32 => UnixLength,
            _ => 0,
        };
        if (length < least || BinaryHead + length > MaxLength)
            return Malformed;
        if (bytes.Length < BinaryHead + length)
            return Incomplete;

        var addresses = bytes.Slice(BinaryHead, length);
        // A connection of the proxy's own, such as its health check, or one of a kind that has no address here, is from whom it is from.
        IPEndPoint? source = (local, bytes[13]) switch
        {
            (false, 0x11) => new IPEndPoint(new IPAddress(addresses[..4]), BinaryPrimitives.ReadUInt16BigEndian(addresses[8..])),
            (false, 0x21) => new IPEndPoint(new IPAddress(addresses[..16]), BinaryPrimitives.ReadUInt16BigEndian(addresses[32..])),
            _ => null,
        };
        return new ProxyHeaderResult(ProxyHeaderState.Complete, BinaryHead + length, source);
    }

    private static ProxyHeaderResult ReadText(ReadOnlySpan<byte> bytes)
    {
        if (!BeginsLike(bytes, TextSignature))
            return Malformed;
        var end = bytes.IndexOf((byte)'\n');
        if (end < 0)
            return bytes.Length < MaxTextLength && !IsBroken(bytes) ? Incomplete : Malformed;
        if (end >= MaxTextLength || end < TextSignature.Length || bytes[end - 1] != '\r')
            return Malformed;
        var line = bytes[TextSignature.Length..(end - 1)];
        if (IsBroken(bytes[..(end - 1)]))
            return Malformed;
        if (line.SequenceEqual("UNKNOWN"u8) || line.StartsWith("UNKNOWN "u8))
            return new ProxyHeaderResult(ProxyHeaderState.Complete, end + 1);
        return ReadSource(Encoding.ASCII.GetString(line)) is { } source ? new ProxyHeaderResult(ProxyHeaderState.Complete, end + 1, source) : Malformed;
    }

    /// <summary>True when the line so far holds what no line may hold: anything but visible ASCII and blanks, but for a CR at its very end.</summary>
    private static bool IsBroken(ReadOnlySpan<byte> line)
    {
        var rest = line is [.., (byte)'\r'] ? line[..^1] : line;
        return rest.ContainsAnyExceptInRange((byte)' ', (byte)'~');
    }

    /// <summary>Reads <c>TCP4 source destination port port</c>, or null.</summary>
    private static IPEndPoint? ReadSource(string line)
    {
        if (line.Split(' ') is not [var family and ("TCP4" or "TCP6"), var source, var destination, var sourcePort, var destinationPort])
            return null;
        var kind = family == "TCP4" ? AddressFamily.InterNetwork : AddressFamily.InterNetworkV6;
        return ReadAddress(source, kind) is { } address && ReadAddress(destination, kind) is not null && ReadPort(sourcePort) is { } port && ReadPort(destinationPort) is not null
            ? new IPEndPoint(address, port)
            : null;
    }

    private static IPAddress? ReadAddress(string text, AddressFamily family)
    {
        if (!IPAddress.TryParse(text, out var address) || address.AddressFamily != family)
            return null;
        // The system also reads 127.1, 0177.0.0.1, [::1] and fe80::1%eth0; nobody writes those here in good faith.
        var plain = family == AddressFamily.InterNetwork ? address.ToString() == text : !text.AsSpan().ContainsAnyExcept("0123456789abcdefABCDEF:.");
        return plain ? address : null;
    }

    private static int? ReadPort(string text) =>
        ushort.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && (text.Length == 1 || text[0] != '0') ? port : null;

    private static bool BeginsLike(ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> signature) =>
        bytes.Length >= signature.Length ? bytes.StartsWith(signature) : signature.StartsWith(bytes);
}

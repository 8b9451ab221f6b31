using System.Buffers.Binary;

namespace Alicia.Proxy.UnitTests.Forwarding;

/// <summary>Frames of WebSockets as bytes, for tests.</summary>
internal static class WebSocketFrames
{
    public const int Text = 0x1;
    public const int Close = 0x8;

    /// <param name="opcode">0–15.</param>
    /// <param name="payload">The payload as it is on the wire, masked or not.</param>
    /// <param name="mask">Four bytes, or null for a frame without a masking key.</param>
    /// <param name="fin">False for a fragment that others follow.</param>
    /// <param name="lengthBytes">0, 2 or 8 bytes of extended length; the least that is possible when left out.</param>
    public static byte[] Frame(int opcode, ReadOnlySpan<byte> payload, byte[]? mask = null, bool fin = true, int? lengthBytes = null)
    {
        var extended = lengthBytes ?? (payload.Length < 126 ? 0 : payload.Length <= ushort.MaxValue ? 2 : 8);
        var frame = new List<byte> { (byte)((fin ? 0x80 : 0) | opcode), (byte)((mask is null ? 0 : 0x80) | extended switch { 0 => payload.Length, 2 => 126, _ => 127 }) };
        var length = new byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(length, (ulong)payload.Length);
        frame.AddRange(length[(8 - extended)..]);
        frame.AddRange(mask ?? []);
        frame.AddRange(payload);
        return [.. frame];
    }
}

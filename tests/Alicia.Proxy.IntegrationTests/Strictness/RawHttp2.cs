using System.Buffers.Binary;
using System.Text;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Strictness;

/// <summary>A connection of HTTP/2 whose frames a test writes itself, as no library would.</summary>
internal sealed class RawHttp2 : IDisposable
{
    public const byte Data = 0, Headers = 1, Reset = 3, Settings = 4, Ping = 6, GoAway = 7, Continuation = 9;
    public const byte EndStream = 1, Ack = 1, EndHeaders = 4;

    private readonly Wire _wire;

    private RawHttp2(Wire wire) => _wire = wire;

    public static async Task<RawHttp2> ConnectAsync(Uri address)
    {
        var http2 = new RawHttp2(await Wire.ConnectAsync(address));
        await http2._wire.SendAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        await http2.SendAsync(Settings, 0, 0, []);
        return http2;
    }

    /// <summary>A frame as bytes.</summary>
    public static byte[] Frame(byte type, byte flags, int stream, ReadOnlySpan<byte> payload)
    {
        var frame = new byte[9 + payload.Length];
        (frame[0], frame[1], frame[2], frame[3], frame[4]) = ((byte)(payload.Length >> 16), (byte)(payload.Length >> 8), (byte)payload.Length, type, flags);
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(5), stream);
        payload.CopyTo(frame.AsSpan(9));
        return frame;
    }

    /// <summary>Fields as literals that need no table. Latin-1.</summary>
    public static byte[] Fields(params (string Name, string Value)[] fields)
    {
        using var block = new MemoryStream();
        foreach (var (name, value) in fields)
        {
            block.WriteByte(0);
            Write(block, name);
            Write(block, value);
        }

        return block.ToArray();
    }

    public Task SendAsync(byte type, byte flags, int stream, byte[] payload) => _wire.SendAsync(Frame(type, flags, stream, payload));

    /// <summary>A request without a body, in as many frames as its fields need.</summary>
    public async Task SendHeadAsync(int stream, byte[] block)
    {
        const int most = 16_000;
        for (var at = 0; at < block.Length; at += most)
        {
            var part = block[at..Math.Min(block.Length, at + most)];
            var last = at + most >= block.Length ? EndHeaders : (byte)0;
            await SendAsync(at == 0 ? Headers : Continuation, at == 0 ? (byte)(last | EndStream) : last, stream, part);
        }
    }

    public Task SendAsync(ReadOnlyMemory<byte> frames) => _wire.SendAsync(frames);

    /// <summary>What comes of a stream: its status (0 for a reset), or -1 when the whole connection ends.</summary>
    public async Task<int> OutcomeAsync(int stream)
    {
        try
        {
            for (var frames = 0; frames < 100_000; frames++)
            {
                var (type, flags, id, payload) = await ReadAsync();
                if (type == GoAway && BinaryPrimitives.ReadInt32BigEndian(payload.AsSpan(4)) != 0)
                    return -1;
                if (id != stream || type is not (Headers or Reset))
                    continue;
                return type == Reset ? 0 : StatusOf(payload);
            }
        }
        catch (Exception e) when (e is EndOfStreamException or IOException or System.Net.Sockets.SocketException)
        {
            return -1;
        }

        throw new InvalidOperationException("no end among a hundred thousand frames");
    }

    /// <summary>The error of the GOAWAY that ends the connection; -1 when it ends without one.</summary>
    public async Task<int> GoAwayAsync()
    {
        try
        {
            while (true)
            {
                var (type, _, _, payload) = await ReadAsync();
                if (type == GoAway)
                    return BinaryPrimitives.ReadInt32BigEndian(payload.AsSpan(4));
            }
        }
        catch (Exception e) when (e is EndOfStreamException or IOException or System.Net.Sockets.SocketException)
        {
            return -1;
        }
    }

    public void Dispose() => _wire.Dispose();

    private async Task<(byte Type, byte Flags, int Stream, byte[] Payload)> ReadAsync()
    {
        var head = await _wire.ReadExactlyAsync(9);
        var payload = await _wire.ReadExactlyAsync((head[0] << 16) | (head[1] << 8) | head[2]);
        return (head[3], head[4], BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(5)), payload);
    }

    /// <summary>Kestrel writes the status first: from the static table, or as a literal of its name there.</summary>
    private static int StatusOf(byte[] block)
    {
        var at = 0;
        while (block[at] is >= 0x20 and < 0x40)
            at++;
        return block[at] switch
        {
            0x88 => 200,
            0x89 => 204,
            0x8b => 304,
            0x8c => 400,
            0x8d => 404,
            0x8e => 500,
            _ => int.Parse(Encoding.ASCII.GetString(block, at + 2, 3), System.Globalization.CultureInfo.InvariantCulture),
        };
    }

    private static void Write(MemoryStream block, string text)
    {
        var bytes = Encoding.Latin1.GetBytes(text);
        // RFC 7541, section 5.1, with a prefix of seven bits.
        var left = bytes.Length;
        if (left < 127)
        {
            block.WriteByte((byte)left);
        }
        else
        {
            block.WriteByte(127);
            for (left -= 127; left >= 128; left >>= 7)
                block.WriteByte((byte)((left & 127) | 128));
            block.WriteByte((byte)left);
        }

        block.Write(bytes);
    }
}

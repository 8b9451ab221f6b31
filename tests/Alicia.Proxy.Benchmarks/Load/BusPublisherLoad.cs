using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Alicia.Proxy.Benchmarks.Load;

/// <summary>
/// Publishes to a broker at a steady rate, at most once, over a raw socket and from packets that are made beforehand: what it costs itself falls on the requests that
/// are measured beside it.
/// </summary>
internal sealed class BusPublisherLoad : IDisposable
{
    private static readonly TimeSpan Beat = TimeSpan.FromMilliseconds(1);

    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };

    private BusPublisherLoad()
    {
    }

    public static async Task<BusPublisherLoad> ConnectAsync(int port)
    {
        var load = new BusPublisherLoad();
        await load._socket.ConnectAsync(IPAddress.Loopback, port);
        // CONNECT of MQTT 3.1.1: clean session, no keep-alive, a client id.
        byte[] body = [0, 4, .. "MQTT"u8, 4, 2, 0, 0, 0, 5, .. "bench"u8];
        await load._socket.SendAsync((byte[])[0x10, (byte)body.Length, .. body]);
        var answer = new byte[4];
        var read = await load._socket.ReceiveAsync(answer);
        return read == 4 && answer[0] == 0x20 && answer[3] == 0 ? load : throw new InvalidOperationException("the broker did not let the publisher in");
    }

    /// <summary>Publishes messages in turn at <paramref name="perSecond"/>, evenly in beats of a millisecond.</summary>
    /// <returns>Messages that were sent.</returns>
    public async Task<long> RunAsync(IReadOnlyList<(string Topic, string Text)> messages, int perSecond, double seconds, CancellationToken cancellation)
    {
        var packets = messages.Select(m => Packet(m.Topic, m.Text)).ToArray();
        var perBeat = Math.Max(1, (int)(perSecond * Beat.TotalSeconds));
        // One write a beat, of a stretch of packets that goes round.
        var beats = packets.Select((_, first) => Enumerable.Range(0, perBeat).SelectMany(i => packets[(first + i) % packets.Length]).ToArray()).ToArray();
        var start = Stopwatch.GetTimestamp();
        var sent = 0L;
        while (Stopwatch.GetElapsedTime(start).TotalSeconds is var elapsed && elapsed < seconds)
        {
            cancellation.ThrowIfCancellationRequested();
            for (var due = (long)(elapsed * perSecond); sent < due; sent += perBeat)
                await _socket.SendAsync(beats[(int)(sent / perBeat % beats.Length)], cancellation);
            await Task.Delay(Beat, cancellation);
        }

        return sent;
    }

    public void Dispose() => _socket.Dispose();

    private static byte[] Packet(string topic, string text)
    {
        var name = Encoding.UTF8.GetBytes(topic);
        var payload = Encoding.UTF8.GetBytes(text);
        var length = 2 + name.Length + payload.Length;
        if (length > 16383)
            throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"{length} bytes are more than this writes"));
        var prefix = new byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(prefix, (ushort)name.Length);
        byte[] remaining = length < 128 ? [(byte)length] : [(byte)(length % 128 | 0x80), (byte)(length / 128)];
        return [0x30, .. remaining, .. prefix, .. name, .. payload];
    }
}

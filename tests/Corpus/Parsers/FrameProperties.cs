using System.Buffers.Binary;
using System.Net;
using System.Text;
using Alicia.Proxy.Forwarding;
using Alicia.Proxy.Health;
using Alicia.Proxy.ProxyProtocol;

namespace Alicia.Proxy.Corpus.Parsers;

/// <summary>Frames of WebSockets.</summary>
internal sealed class WebSocketFrameProperty() : ParserProperty("WebSocketFrameTracker", "is at a boundary exactly where a frame ends, however the bytes are cut; no bytes make it throw")
{
    public override int Inputs => 40_000;

    public override void Check(Random random)
    {
        var bytes = new List<byte>();
        var boundaries = new HashSet<int> { 0 };
        var closedAt = int.MaxValue;
        for (var i = random.Next(1, 5); i > 0; i--)
        {
            var isClose = random.Next(6) == 0;
            AddFrame(bytes, random, isClose);
            boundaries.Add(bytes.Count);
            if (isClose)
                closedAt = Math.Min(closedAt, bytes.Count);
        }

        var tracker = new WebSocketFrameTracker();
        var from = 0;
        var all = bytes.ToArray();
        foreach (var end in random.Pieces(all.Length))
        {
            tracker.Take(all.AsSpan(from..end));
            Require(tracker.AtBoundary == boundaries.Contains(end) && tracker.Closed == end >= closedAt, $"at {end}: boundary {tracker.AtBoundary}, closed {tracker.Closed}", Convert.ToHexString(all));
            from = end;
        }

        var noise = new byte[random.Next(40)];
        random.NextBytes(noise);
        while (noise.Length > 0)
        {
            var taken = tracker.TakeFrame(noise);
            Require(taken > 0 && taken <= noise.Length, $"takes {taken}", Convert.ToHexString(noise));
            noise = noise[taken..];
        }
    }

    private static void AddFrame(List<byte> bytes, Random random, bool isClose)
    {
        var length = random.Next(4) switch { 0 => 0, 1 => random.Next(126), 2 => 126, _ => random.Next(126, 400) };
        var masked = random.Next(2) == 0 ? 0x80 : 0;
        bytes.Add((byte)(0x80 | (isClose ? 8 : random.Of(0, 1, 2, 9, 10))));
        var wide = length >= 126 || random.Next(8) == 0;
        var huge = random.Next(8) == 0;
        bytes.Add((byte)(masked | (huge ? 127 : wide ? 126 : length)));
        Span<byte> extended = stackalloc byte[8];
        BinaryPrimitives.WriteInt64BigEndian(extended, length);
        bytes.AddRange(extended[(huge ? 0 : wide ? 6 : 8)..]);
        var rest = new byte[(masked > 0 ? 4 : 0) + length];
        random.NextBytes(rest);
        bytes.AddRange(rest);
    }
}

/// <summary>Answers to gRPC probes.</summary>
internal sealed class GrpcMessageProperty() : ParserProperty("GrpcProbe.TryReadStatus", "finds the status among whatever other fields there are; no bytes make it throw")
{
    public override void Check(Random random)
    {
        var message = new List<byte>();
        ulong expected = 0;
        for (var i = random.Next(4); i > 0; i--)
        {
            var field = random.Next(1, 4);
            switch (random.Next(4))
            {
                case 0:
                    var value = (ulong)random.NextInt64(random.Of(5L, 1L << 40));
                    message.Add((byte)(field << 3));
                    AddVarint(message, value);
                    expected = field == 1 ? value : expected;
                    break;
                case 1:
                    message.AddRange([(byte)((field << 3) | 1), .. new byte[8]]);
                    break;
                case 2:
                    var text = new byte[random.Next(200)];
                    message.Add((byte)((field << 3) | 2));
                    AddVarint(message, (ulong)text.Length);
                    message.AddRange(text);
                    break;
                default:
                    message.AddRange([(byte)((field << 3) | 5), .. new byte[4]]);
                    break;
            }
        }

        byte[] answer = [0, 0, 0, (byte)(message.Count >> 8), (byte)message.Count, .. message];
        Require(GrpcProbe.TryReadStatus(answer, out var status) && status == expected, $"status {status} and not {expected}", Convert.ToHexString(answer));
        var at = random.Next(answer.Length);
        answer[at] ^= (byte)random.Next(1, 256);
        _ = GrpcProbe.TryReadStatus(answer, out _);
        Require(!GrpcProbe.TryReadStatus(answer.AsSpan(0, random.Next(5)), out _), "a part of the head is a message", Convert.ToHexString(answer));
    }

    private static void AddVarint(List<byte> bytes, ulong value)
    {
        for (; value >= 0x80; value >>= 7)
            bytes.Add((byte)(value | 0x80));
        bytes.Add((byte)value);
    }
}

/// <summary>PROXY headers.</summary>
internal sealed class ProxyHeaderProperty() : ParserProperty("ProxyHeader", "a verdict holds whatever follows, and never comes before its header is whole; a line that was written from an address has that address")
{
    public override int Inputs => 60_000;

    public override void Check(Random random)
    {
        var address = new byte[random.Next(2) == 0 ? 4 : 16];
        random.NextBytes(address);
        var source = new IPEndPoint(new IPAddress(address), random.Next(65536));
        var line = $"PROXY {(address.Length == 4 ? "TCP4" : "TCP6")} {source.Address} {source.Address} {source.Port} 443\r\n";
        var known = ProxyHeader.Read(Encoding.ASCII.GetBytes(line + "GET"));
        Require(known == new ProxyHeaderResult(ProxyHeaderState.Complete, line.Length, source), $"{known}", line);

        byte[] bytes = random.Next(2) == 0
            ? Encoding.Latin1.GetBytes(random.Mutated(line) + "GET / HTTP/1.1\r\n")
            : [.. "\r\n\r\n\0\r\nQUIT\n"u8, (byte)(0x20 | random.Next(3)), (byte)random.Of(0x11, 0x21, 0x31, 0x00, 0x12), 0, (byte)random.Next(60), .. Noise(random, 80)];
        var last = new ProxyHeaderResult(ProxyHeaderState.Incomplete);
        for (var end = 0; end <= bytes.Length; end += random.Next(1, 9))
        {
            var now = ProxyHeader.Read(bytes.AsSpan(0, end));
            Require(last.State == ProxyHeaderState.Incomplete || now == last, $"{last}, then at {end} {now}", Convert.ToHexString(bytes));
            Require(now.State != ProxyHeaderState.Complete || now.Length <= end, $"{now} of {end} bytes", Convert.ToHexString(bytes));
            last = now;
        }
    }

    private static byte[] Noise(Random random, int most)
    {
        var bytes = new byte[random.Next(most)];
        random.NextBytes(bytes);
        return bytes;
    }
}

using System.Buffers.Binary;
using System.Net;
using System.Text;
using Alicia.Proxy.ProxyProtocol;

namespace Alicia.Proxy.UnitTests.ProxyProtocol;

public class ProxyHeaderTests
{
    [Theory]
    [InlineData("PROXY TCP4 192.0.2.7 203.0.113.1 56324 443\r\n", "192.0.2.7:56324")]
    [InlineData("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535")]
    [InlineData("PROXY TCP4 192.0.2.7 203.0.113.1 0 0\r\n", "192.0.2.7:0")]
    [InlineData("PROXY TCP6 2001:db8::7 2001:DB8::1 56324 443\r\n", "[2001:db8::7]:56324")]
    [InlineData("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535")]
    [InlineData("PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 56324 443\r\n", "[::ffff:192.0.2.7]:56324")]
    [InlineData("PROXY UNKNOWN\r\n", null)]
    [InlineData("PROXY UNKNOWN ffff::1 whatever else 1 2\r\n", null)]
    public void A_line_says_whom_the_connection_is_for(string line, string? source)
    {
        var bytes = Encoding.ASCII.GetBytes(line);

        ReadSplitEverywhere(bytes).Should().Be(new ProxyHeaderResult(ProxyHeaderState.Complete, bytes.Length, source is null ? null : IPEndPoint.Parse(source)));
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\n")]
    [InlineData("proxy TCP4 192.0.2.7 203.0.113.1 56324 443\r\n")]
    [InlineData("PROXY\r\n")]
    [InlineData("PROXY \r\n")]
    [InlineData("PROXYTCP4 192.0.2.7 203.0.113.1 56324 443\r\n")]
    [InlineData("PROXY TCP4 192.0.2.7 203.0.113.1 56324 443\n")]
    [InlineData("PROXY TCP4 192.0.2.7 203.0.113.1 56324 443\r\r\n")]
    [InlineData("PROXY TCP4 192.0.2.7 203.0.113.1 56324 443 \r\n")]
    [InlineData("PROXY  TCP4 192.0.2.7 203.0.113.1 56324 443\r\n")]
    [InlineData("PROXY TCP4\t192.0.2.7 203.0.113.1 56324 443\r\n")]
    [InlineData("PROXY TCP4 192.0.2.7 203.0.113.1 56324\r\n")]
    [InlineData("PROXY TCP4 192.0.2.7 203.0.113.1 56324 443 1\r\n")]
    [InlineData("PROXY TCP4 192.0.2.7 203.0.113.1 65536 443\r\n")]
    [InlineData("PROXY TCP4 192.0.2.7 203.0.113.1 56324 -1\r\n")]
    [InlineData("PROXY TCP4 192.0.2.7 203.0.113.1 +56324 443\r\n")]
    [InlineData("PROXY TCP4 192.0.2.7 203.0.113.1 056324 443\r\n")]
    [InlineData("PROXY TCP4 192.0.2.7 203.0.113.1 0x50 443\r\n")]
    [InlineData("PROXY TCP4 192.0.2 203.0.113.1 56324 443\r\n")]
    [InlineData("PROXY TCP4 192.0.2.07 203.0.113.1 56324 443\r\n")]
    [InlineData("PROXY TCP4 0xC0.0.2.7 203.0.113.1 56324 443\r\n")]
    [InlineData("PROXY TCP4 192.0.2.256 203.0.113.1 56324 443\r\n")]
    [InlineData("PROXY TCP4 2001:db8::7 2001:db8::1 56324 443\r\n")]
    [InlineData("PROXY TCP6 192.0.2.7 203.0.113.1 56324 443\r\n")]
    [InlineData("PROXY TCP6 [2001:db8::7] 2001:db8::1 56324 443\r\n")]
    [InlineData("PROXY TCP6 fe80::7%1 2001:db8::1 56324 443\r\n")]
    [InlineData("PROXY TCP6 2001:db8:::7 2001:db8::1 56324 443\r\n")]
    [InlineData("PROXY UDP4 192.0.2.7 203.0.113.1 56324 443\r\n")]
    [InlineData("PROXY UNKNOWNX\r\n")]
    [InlineData("PROXY UNKNOWN \0\r\n")]
    [InlineData("PROXY UNKNOWN \rX\r\n")]
    [InlineData("\n")]
    public void Any_other_line_is_none(string line) => ReadSplitEverywhere(Encoding.Latin1.GetBytes(line)).State.Should().Be(ProxyHeaderState.Malformed);

    [Fact]
    public void A_line_may_have_107_bytes_and_no_more()
    {
        var longest = "PROXY UNKNOWN ".PadRight(ProxyHeader.MaxTextLength - 2, 'x') + "\r\n";

        ReadSplitEverywhere(Encoding.ASCII.GetBytes(longest)).Should().Be(new ProxyHeaderResult(ProxyHeaderState.Complete, 107));
        ReadSplitEverywhere(Encoding.ASCII.GetBytes(longest.Replace("\r\n", "x\r\n"))).State.Should().Be(ProxyHeaderState.Malformed);
        ProxyHeader.Read(Encoding.ASCII.GetBytes(longest.Replace("\r\n", "xx"))).State.Should().Be(ProxyHeaderState.Malformed, "no line end can make it shorter any more");
    }

    [Theory]
    [InlineData(0x21, 0x11, 12, "1.2.3.4:258")]
    [InlineData(0x21, 0x11, 15, "1.2.3.4:258")]
    [InlineData(0x21, 0x11, 4080, "1.2.3.4:258")]
    [InlineData(0x21, 0x21, 36, "[102:304:506:708:90a:b0c:d0e:f10]:258")]
    [InlineData(0x21, 0x21, 300, "[102:304:506:708:90a:b0c:d0e:f10]:258")]
    [InlineData(0x21, 0x12, 12, null)]
    [InlineData(0x21, 0x22, 36, null)]
    [InlineData(0x21, 0x31, 216, null)]
    [InlineData(0x21, 0x00, 0, null)]
    [InlineData(0x21, 0x00, 40, null)]
    [InlineData(0x20, 0x00, 0, null)]
    [InlineData(0x20, 0x11, 12, null)]
    [InlineData(0x20, 0x11, 0, null)]
    public void So_does_the_binary_form_and_extensions_are_skipped(byte command, byte family, int length, string? source)
    {
        var bytes = Binary(command, family, length);

        ReadSplitEverywhere(bytes).Should().Be(new ProxyHeaderResult(ProxyHeaderState.Complete, bytes.Length, source is null ? null : IPEndPoint.Parse(source)));
    }

    [Theory]
    [InlineData(0x11, 0x11, 12)]
    [InlineData(0x22, 0x11, 12)]
    [InlineData(0x31, 0x11, 12)]
    [InlineData(0x21, 0x11, 11)]
    [InlineData(0x21, 0x11, 0)]
    [InlineData(0x21, 0x21, 35)]
    [InlineData(0x21, 0x31, 215)]
    [InlineData(0x21, 0x13, 12)]
    [InlineData(0x21, 0x41, 12)]
    [InlineData(0x20, 0xff, 0)]
    [InlineData(0x21, 0x11, 4081)]
    [InlineData(0x21, 0x11, 65535)]
    public void A_binary_form_of_another_version_kind_or_length_is_none(byte command, byte family, int length) =>
        ReadSplitEverywhere(Binary(command, family, length)).State.Should().Be(ProxyHeaderState.Malformed);

    /// <summary>
    /// 100,000 inputs: whole headers of both forms with something behind them, the same with one to four bytes changed, inserted or taken away, or cut off, and bytes at random behind either
    /// signature. For each: nothing is thrown, the answer does not depend on how the bytes come, and a header that is found is the one that a second, slower reading finds.
    /// </summary>
    [Fact]
    public void Whatever_comes_is_judged_alike_however_it_is_cut()
    {
        const int Inputs = 100_000;
        var random = new Random(20240607);
        var (complete, malformed, incomplete) = (0, 0, 0);
        for (var n = 0; n < Inputs; n++)
        {
            var input = Input(random);
            var whole = ReadSplitEverywhere(input);
            switch (whole.State)
            {
                case ProxyHeaderState.Complete:
                    complete++;
                    whole.Length.Should().BeInRange(15, Math.Min(input.Length, ProxyHeader.MaxLength));
                    Slowly(input.AsSpan(0, whole.Length)).Should().Be(whole.Source, Convert.ToHexString(input));
                    break;
                case ProxyHeaderState.Malformed:
                    malformed++;
                    break;
                default:
                    incomplete++;
                    break;
            }
        }

        complete.Should().BeGreaterThan(Inputs / 10);
        malformed.Should().BeGreaterThan(Inputs / 10);
        incomplete.Should().BeGreaterThan(Inputs / 100);
    }

    /// <summary>Reads every beginning of the bytes; as they grow, the answer may go from incomplete to something else once, and then stays.</summary>
    private static ProxyHeaderResult ReadSplitEverywhere(byte[] bytes)
    {
        var last = ProxyHeader.Read([]);
        last.State.Should().Be(ProxyHeaderState.Incomplete);
        // Beyond 200 bytes there is nothing left but extensions, whose length is known: their last bytes and a few in between do.
        for (var length = 1; length <= bytes.Length; length += length < 200 || length > bytes.Length - 3 ? 1 : Math.Min(97, bytes.Length - 2 - length))
        {
            var now = ProxyHeader.Read(bytes.AsSpan(0, length));
            if (last.State != ProxyHeaderState.Incomplete && now != last)
                Assert.Fail($"{now} after {last} at {length} of {Convert.ToHexString(bytes)}");
            if (now.State == ProxyHeaderState.Complete && now.Length > length)
                Assert.Fail($"{now} at {length} of {Convert.ToHexString(bytes)}");
            last = now;
        }

        return last;
    }

    private static byte[] Binary(byte command, byte family, int length)
    {
        var bytes = new byte[16 + length];
        "\r\n\r\n\0\r\nQUIT\n"u8.CopyTo(bytes);
        (bytes[12], bytes[13]) = (command, family);
        BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(14), (ushort)length);
        for (var i = 16; i < bytes.Length; i++)
            bytes[i] = (byte)(i - 15);
        // The source's port stands at a place of its own in each family; 258 is 01 02.
        foreach (var at in new[] { 16 + 8, 16 + 32 })
        {
            if (family == (at == 24 ? 0x11 : 0x21) && length >= at - 16 + 4)
                (bytes[at], bytes[at + 1]) = (1, 2);
        }

        return bytes;
    }

    private static byte[] Input(Random random)
    {
        var bytes = random.Next(4) switch
        {
            0 => [.. "PROXY "u8, .. RandomBytes(random, 40)],
            1 => [.. "\r\n\r\n\0\r\nQUIT\n"u8, .. RandomBytes(random, 60)],
            2 => Encoding.ASCII.GetBytes(Line(random) + (random.Next(2) == 0 ? "" : "GET / HTTP/1.1\r\nHost: a\r\n\r\n")),
            _ => [.. RandomBinary(random), .. RandomBytes(random, 30)],
        };
        if (random.Next(3) == 0)
            return bytes;
        if (random.Next(8) == 0)
            return bytes[..random.Next(bytes.Length)];
        var list = bytes.ToList();
        for (var changes = random.Next(4); changes >= 0 && list.Count > 0; changes--)
        {
            var at = random.Next(Math.Min(list.Count, 60));
            switch (random.Next(3))
            {
                case 0:
                    list[at] = (byte)random.Next(256);
                    break;
                case 1:
                    list.Insert(at, " \r\n\0.:0"u8[random.Next(7)]);
                    break;
                default:
                    list.RemoveAt(at);
                    break;
            }
        }

        return [.. list];
    }

    private static byte[] RandomBytes(Random random, int most)
    {
        var bytes = new byte[random.Next(most)];
        random.NextBytes(bytes);
        return bytes;
    }

    private static string Line(Random random)
    {
        var address = new byte[random.Next(2) == 0 ? 4 : 16];
        random.NextBytes(address);
        var text = new IPAddress(address).ToString();
        return random.Next(8) == 0 ? "PROXY UNKNOWN\r\n" : $"PROXY {(address.Length == 4 ? "TCP4" : "TCP6")} {text} {text} {random.Next(65536)} {random.Next(65536)}\r\n";
    }

    private static byte[] RandomBinary(Random random)
    {
        byte[] families = [0x00, 0x11, 0x11, 0x12, 0x21, 0x21, 0x22, 0x31];
        var bytes = Binary((byte)(0x20 + random.Next(2)), families[random.Next(families.Length)], random.Next(80));
        random.NextBytes(bytes.AsSpan(16));
        return bytes;
    }

    /// <summary>Another reading of a whole header, by its own means.</summary>
    private static IPEndPoint? Slowly(ReadOnlySpan<byte> header)
    {
        if (header[0] == '\r')
        {
            var addresses = header[16..].ToArray();
            return (header[12], header[13]) switch
            {
                (0x21, 0x11) => new IPEndPoint(new IPAddress(addresses[..4]), (addresses[8] << 8) | addresses[9]),
                (0x21, 0x21) => new IPEndPoint(new IPAddress(addresses[..16]), (addresses[32] << 8) | addresses[33]),
                _ => null,
            };
        }

        var words = Encoding.ASCII.GetString(header).TrimEnd('\r', '\n').Split(' ');
        return words[1] == "UNKNOWN" ? null : new IPEndPoint(IPAddress.Parse(words[2]), int.Parse(words[4], System.Globalization.CultureInfo.InvariantCulture));
    }
}

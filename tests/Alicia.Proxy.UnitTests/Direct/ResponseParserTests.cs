using System.Text;
using Alicia.Proxy.Direct;

namespace Alicia.Proxy.UnitTests.Direct;

public sealed class ResponseParserTests
{
    private const string Full = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 12\r\nSet-Cookie: a=1\r\nX-Own:  two words \t\r\nset-cookie: b=2\r\nx-own: again\r\nX-Empty:\r\n\r\n";

    public static TheoryData<string> Malformed => new(
        "", "\r\n", "\r\n\r\n", "\nHTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\n\n", "HTTP/1.1 200 OK\r\nA: b\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n\n",
        "HTTP/1.1 200 OK\rA: b\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.x 200 OK\r\n\r\n", "HTTP/1.11 200 OK\r\n\r\n", "http/1.1 200 OK\r\n\r\n", "SSH-2.0-x\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1\t200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1 099 OK\r\n\r\n", "HTTP/1.1 -20 OK\r\n\r\n", "HTTP/1.1 200OK\r\n\r\n",
        "HTTP/1.1 200 O\0K\r\n\r\n", "HTTP/1.1 200 O\rK\r\n\r\n",
        Head("A : b"), Head(" A: b"), Head("A b: c"), Head(": b"), Head("A"), Head("A: b\r\n c"), Head("A: b\r\n\tc"), Head("A: \0"), Head("A: b\rc"), Head("A: b\u0001c"), Head("A: b\u007fc"),
        Head("A(: b"), Head("\u00e9: b"), Head("A\0: b"),
        Head("Content-Length: +5"), Head("Content-Length: -5"), Head("Content-Length: 5, 5"), Head("Content-Length: 5 5"), Head("Content-Length: 0x5"), Head("Content-Length:"),
        Head("Content-Length: 5\r\nContent-Length: 5"), Head("Content-Length: 5\r\nContent-Length: 6"), Head("Content-Length: 9999999999999999999"), Head("Content-Length: five"),
        Head("Transfer-Encoding: gzip"), Head("Transfer-Encoding: gzip, chunked"), Head("Transfer-Encoding: chunked, chunked"), Head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        Head("Transfer-Encoding: identity"), Head("Transfer-Encoding:"), Head("Transfer-Encoding: \"chunked\""), Head("Transfer-Encoding: chunked;x=1"), Head("Transfer-Encoding: xchunked"),
        Head("Transfer-Encoding: chunked\r\nContent-Length: 5"), Head("Content-Length: 5\r\nTransfer-Encoding: chunked"), Head("Content-Length: 0\r\nTransfer-Encoding: chunked"),
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 205 Reset\r\nContent-Length: 1\r\n\r\n", Head(string.Concat(Enumerable.Repeat("A: b\r\n", ResponseParser.MaxFields)) + "A: b"));

    [Theory]
    [MemberData(nameof(Malformed))]
    public void What_is_malformed_or_ambiguous_is_not_read(string text) => Parse(text).Should().BeNull();

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\n\r\n", 200, null)]
    [InlineData("HTTP/1.0 404 Not Found\r\n\r\n", 404, null)]
    [InlineData("HTTP/1.1 404 Gone fishing\r\n\r\n", 404, "Gone fishing")]
    [InlineData("HTTP/1.1 299 \r\n\r\n", 299, null)]
    [InlineData("HTTP/1.1 999\r\n\r\n", 999, null)]
    [InlineData("HTTP/1.9 200 OK\r\n\r\n", 200, null)]
    [InlineData("HTTP/1.1 200 \u00e9t\u00e9\r\n\r\n", 200, "\u00e9t\u00e9")]
    public void A_status_line_is_read(string text, int status, string? reason)
    {
        var head = Parse(text)!;

        (head.Status, head.Reason, head.Count, head.ContentLength, head.IsChunked).Should().Be((status, reason, 0, -1, false));
    }

    [Fact]
    public void Fields_are_read_in_order_with_their_blanks_trimmed_and_repeated_names_told()
    {
        var head = Parse(Full)!;

        Enumerable.Range(0, head.Count).Select(i => (head.NameOf(i), head.ValueOf(i), head.IsAgain(i))).Should().Equal(
            ("Content-Type", "text/plain", false), ("Content-Length", "12", false), ("Set-Cookie", "a=1", false), ("X-Own", "two words", false), ("Set-Cookie", "b=2", true), ("x-own", "again", true),
            ("X-Empty", "", false));
        head.ContentLength.Should().Be(12);
    }

    [Fact]
    public void Split_anywhere_a_head_is_found_at_its_end_and_not_before()
    {
        var bytes = Encoding.Latin1.GetBytes(Full + "more\r\n\r\n");
        for (var cut = 0; cut <= Full.Length; cut++)
        {
            var scan = default(HeadScan);
            ResponseParser.TryFindEnd(bytes.AsSpan(0, cut), ref scan, isTrailers: false, out var early).Should().BeTrue();
            early.Should().Be(cut == Full.Length ? Full.Length : 0);
            if (early > 0)
                continue;
            ResponseParser.TryFindEnd(bytes, ref scan, isTrailers: false, out var length).Should().BeTrue();
            length.Should().Be(Full.Length);
        }
    }

    [Theory]
    [InlineData("HTTX")]
    [InlineData("HTTP/1.1 2x")]
    [InlineData("220 smtp.example.org ESMTP\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nA: b\n")]
    public void What_cannot_become_a_head_is_seen_before_its_end(string text)
    {
        var scan = default(HeadScan);
        var could = ResponseParser.TryFindEnd(Encoding.Latin1.GetBytes(text), ref scan, isTrailers: false, out _);
        // Within a line it is not looked at but for its beginning.
        could.Should().Be(text == "HTTP/1.1 2x");
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\n\r\n", false, BodyFraming.UntilClose, true)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, BodyFraming.None, true)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: x, Close\r\n\r\n", false, BodyFraming.Length, false)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", true, BodyFraming.None, true)]
    [InlineData("HTTP/1.1 204 None\r\nContent-Length: 7\r\n\r\n", false, BodyFraming.None, true)]
    [InlineData("HTTP/1.1 304 Same\r\nContent-Length: 7\r\n\r\n", false, BodyFraming.None, true)]
    [InlineData("HTTP/1.1 100 Continue\r\n\r\n", false, BodyFraming.None, true)]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", false, BodyFraming.Chunked, true)]
    [InlineData("HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\n", false, BodyFraming.Length, false)]
    [InlineData("HTTP/1.0 200 OK\r\nContent-Length: 7\r\nConnection: Keep-Alive\r\n\r\n", false, BodyFraming.Length, true)]
    public void Framing_and_reuse_are_as_the_RFC_says(string text, bool isHead, object framing, bool keeps)
    {
        var head = Parse(text)!;

        (head.FramingFor(isHead), head.KeepsConnection).Should().Be(((BodyFraming)framing, keeps));
    }

    [Fact]
    public void A_value_that_came_before_is_not_made_again_and_one_that_did_not_is_itself()
    {
        var head = new ResponseHead();
        Parse("HTTP/1.1 200 OK\r\nServer: x\r\nSet-Cookie: x\r\n\r\n", head);
        var (server, cookie) = (head.ValueOf(0), head.ValueOf(1));
        Parse("HTTP/1.1 200 OK\r\nServer: x\r\nSet-Cookie: x\r\n\r\n", head);
        head.ValueOf(0).Should().BeSameAs(server);
        head.ValueOf(1).Should().Be(cookie).And.NotBeSameAs(cookie);
        Parse("HTTP/1.1 200 OK\r\nServer: \u00e9\r\n\r\n", head);
        head.ValueOf(0).Should().Be("\u00e9");
    }

    [Fact]
    public void Every_known_name_is_found_in_whatever_case_and_nothing_else()
    {
        for (var id = 0; id < KnownFields.Count; id++)
        {
            KnownFields.Find(Encoding.ASCII.GetBytes(KnownFields.NameOf(id).ToUpperInvariant())).Should().Be(id);
            KnownFields.Find(Encoding.ASCII.GetBytes(KnownFields.NameOf(id) + "x")).Should().Be(KnownFields.None);
        }
    }

    private static string Head(string lines) => $"HTTP/1.1 200 OK\r\n{lines}\r\n\r\n";

    private static ResponseHead? Parse(string text, ResponseHead? head = null)
    {
        // Not at the beginning of its buffer, as after an interim answer.
        var bytes = Encoding.Latin1.GetBytes("###" + text);
        var scan = default(HeadScan);
        head ??= new ResponseHead();
        return ResponseParser.TryFindEnd(bytes.AsSpan(3), ref scan, isTrailers: false, out var length) && length > 0 && ResponseParser.TryParse(bytes, 3, length, head) ? head : null;
    }
}

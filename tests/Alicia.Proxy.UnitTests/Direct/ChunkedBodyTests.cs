using System.Text;
using Alicia.Proxy.Direct;

namespace Alicia.Proxy.UnitTests.Direct;

public sealed class ChunkedBodyTests
{
    [Theory]
    [InlineData("0\r\n\r\n", "")]
    [InlineData("000\r\n\r\n", "")]
    [InlineData("5\r\nhello\r\n0\r\n\r\n", "hello")]
    [InlineData("05\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", "hello!")]
    [InlineData("A\r\n0123456789\r\nb\r\n\r\n\r\n\r\n\r\n\r\n\0\r\n0\r\n\r\n", "0123456789\r\n\r\n\r\n\r\n\r\n\0")]
    [InlineData("5;a=b\r\nhello\r\n0;c\r\n\r\n", "hello")]
    [InlineData("5;a=\"b;\\\"\" \t; c\r\nhello\r\n0\r\n\r\n", "hello")]
    [InlineData("1\r\nx\r\n0\r\nX-T: 1\r\nX-U:\r\n\r\n", "x")]
    public void A_body_is_the_same_however_it_is_cut(string text, string body)
    {
        for (var first = 0; first <= text.Length; first++)
        {
            for (var second = first; second <= text.Length; second++)
                Decode(text + "HTTP", out var rest, first, second).Should().Be(body);
        }

        Decode(text + "HTTP", out var left).Should().Be(body);
        left.Should().Be("HTTP", "what follows is another message's");
        Decode(text, out _, [.. Enumerable.Range(0, text.Length)]).Should().Be(body);
    }

    [Theory]
    [InlineData("\r\n")]
    [InlineData("g\r\n")]
    [InlineData("-1\r\n")]
    [InlineData("+1\r\n")]
    [InlineData("0x1\r\n")]
    [InlineData(" 5\r\nhello\r\n")]
    [InlineData("5\nhello\r\n0\r\n\r\n")]
    [InlineData("5\rhello\r\n")]
    [InlineData("5 x\r\nhello\r\n")]
    [InlineData("5\r\nhello0\r\n\r\n")]
    [InlineData("5\r\nhello\n0\r\n\r\n")]
    [InlineData("5\r\nhello!\r\n0\r\n\r\n")]
    [InlineData("5;\nhello\r\n")]
    [InlineData("5 \r\nhello\r\n")]
    [InlineData("5 ;a\r\nhello\r\n")]
    [InlineData("5;\r\nhello\r\n")]
    [InlineData("5;a=\r\nhello\r\n")]
    [InlineData("5;a=\"\r\nhello\r\n")]
    [InlineData("5;\u00e9\r\nhello\r\n")]
    [InlineData("5;a\0\r\nhello\r\n")]
    [InlineData("5;a\rb\r\nhello\r\n")]
    [InlineData("1000000000000000\r\n")]
    [InlineData("0\r\nX: 1\n\r\n")]
    [InlineData("0\r\n\n")]
    public void What_is_malformed_is_not_read_however_it_is_cut(string text)
    {
        for (var cut = 0; cut <= text.Length; cut++)
            Decode(text, out _, cut).Should().BeNull();
    }

    [Theory]
    [InlineData("X-T: 1\r\nx-t: 2\r\n", true)]
    [InlineData("X T: 1\r\n", false)]
    [InlineData("X-T: \0\r\n", false)]
    [InlineData("X-T: 1\r\n fold\r\n", false)]
    public void Trailers_are_fields_like_others(string trailers, bool good)
    {
        var body = new ChunkedBody();
        body.Reset();
        body.TryDecode(Encoding.Latin1.GetBytes($"0\r\n{trailers}\r\n"), out _, out _).Should().BeTrue();
        var section = new ResponseHead();

        (body.IsDone, body.HasTrailers, body.TryTrailers(section)).Should().Be((true, true, good));
        if (good)
            Enumerable.Range(0, section.Count).Select(i => (section.NameOf(i), section.ValueOf(i), section.IsAgain(i))).Should().Equal(("X-T", "1", false), ("x-t", "2", true));
    }

    [Fact]
    public void Neither_an_extension_nor_trailers_go_on_for_ever()
    {
        Decode("5;" + new string('a', 5000), out _).Should().BeNull();
        Decode("0\r\nX: " + new string('a', ResponseParser.MaxHeadBytes), out _).Should().BeNull();
    }

    /// <summary>The body, or null when it is malformed or not whole.</summary>
    private static string? Decode(string text, out string rest, params int[] cuts)
    {
        var body = new ChunkedBody();
        body.Reset();
        var decoded = new StringBuilder();
        var at = 0;
        rest = "";
        foreach (var cut in cuts.Append(text.Length))
        {
            var bytes = Encoding.Latin1.GetBytes(text[at..cut]);
            at = cut;
            if (body.IsDone)
                break;
            if (!body.TryDecode(bytes, out var data, out var used))
                return null;
            decoded.Append(Encoding.Latin1.GetString(bytes.AsSpan(0, data)));
            (used == bytes.Length || body.IsDone).Should().BeTrue();
            rest = Encoding.Latin1.GetString(bytes.AsSpan(used));
        }

        return body.IsDone ? decoded.ToString() : null;
    }
}

using System.Text;
using Alicia.Proxy.Direct;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace Alicia.Proxy.UnitTests.Direct;

public sealed class HeadWriterTests : IDisposable
{
    private readonly HeadWriter _head = new(16);

    public void Dispose() => _head.Dispose();

    [Fact]
    public void A_head_is_written_as_it_goes_over_the_wire_whatever_its_length()
    {
        _head.RequestLine("PATCH", "/a%2Fb?x=" + new string('y', 5000));
        _head.Field("X-A", new StringValues(["1", "", "\u00e9"]));
        _head.Field("cookie", new StringValues(["a=1", "b=2"]));
        _head.Raw("\r\n"u8);

        Encoding.Latin1.GetString(_head.Buffer, 0, _head.Length).Should()
            .Be($"PATCH /a%2Fb?x={new string('y', 5000)} HTTP/1.1\r\nX-A: 1\r\nX-A: \r\nX-A: \u00e9\r\ncookie: a=1; b=2\r\n\r\n");
    }

    [Theory]
    [InlineData("GET", "/a b")]
    [InlineData("GET", "/a\r\nX: y")]
    [InlineData("GET", "/a\tb")]
    [InlineData("GET", "")]
    [InlineData("GE T", "/")]
    [InlineData("GET\r\n", "/")]
    [InlineData("", "/")]
    public void Nothing_ends_the_request_line_early(string method, string target) =>
        FluentActions.Invoking(() => _head.RequestLine(method, target)).Should().Throw<BadHttpRequestException>();

    [Theory]
    [InlineData("A", "b\r\nC: d")]
    [InlineData("A", "b\rc")]
    [InlineData("A", "b\nc")]
    [InlineData("A", "b\0c")]
    [InlineData("A\r\n", "b")]
    [InlineData("A:", "b")]
    [InlineData("A ", "b")]
    [InlineData("", "b")]
    public void Nothing_ends_a_field_early(string name, string value) =>
        FluentActions.Invoking(() => _head.Field(name, value)).Should().Throw<BadHttpRequestException>();
}

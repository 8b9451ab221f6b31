using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.UnitTests.Registry;

/// <summary>Which fields rules may be about, what they may say, and that values are not shown.</summary>
public sealed class FieldRuleTests
{
    private static readonly ISettingCodec Values = SettingKeys.RequestFieldsSet.Codec;
    private static readonly ISettingCodec Names = SettingKeys.RequestFieldsRemove.Codec;

    [Theory]
    [InlineData("Connection")]
    [InlineData("keep-alive")]
    [InlineData("Transfer-Encoding")]
    [InlineData("content-length")]
    [InlineData("Host")]
    [InlineData("TE")]
    [InlineData("Trailer")]
    [InlineData("Upgrade")]
    [InlineData("Proxy-Authorization")]
    [InlineData("X-Forwarded-For")]
    [InlineData("x-forwarded-anything")]
    [InlineData("Sec-WebSocket-Key")]
    [InlineData("Via")]
    [InlineData("X-Request-Id")]
    [InlineData("traceparent")]
    [InlineData("Proxy-Status")]
    [InlineData("")]
    [InlineData(":authority")]
    [InlineData("X Y")]
    [InlineData("X:Y")]
    [InlineData("X\r\nY")]
    [InlineData("Xé")]
    public void Framing_the_proxy_s_own_and_what_is_no_name_are_refused(string name)
    {
        Values.TryParseText($$"""{ "{{System.Text.Json.JsonEncodedText.Encode(name)}}": "1" }""", out _).Should().BeFalse();
        FieldNames.IsFree(name).Should().BeFalse();
        if (name.Length > 0)
            Names.TryParseText(name, out _).Should().BeFalse();
    }

    [Theory]
    [InlineData("a\r\nX-Evil: 1")]
    [InlineData("a\nb")]
    [InlineData("a\rb")]
    [InlineData("a\0b")]
    [InlineData("a\u007f")]
    [InlineData(" a")]
    [InlineData("a ")]
    [InlineData("é")]
    [InlineData("***")]
    public void A_value_that_could_be_more_than_one_is_refused(string value) =>
        Values.TryParseText($$"""{ "X-A": "{{System.Text.Json.JsonEncodedText.Encode(value)}}" }""", out _).Should().BeFalse();

    [Theory]
    [InlineData("")]
    [InlineData("plain")]
    [InlineData("a, b; c=\"d\"\te")]
    [InlineData("Bearer abc.def==")]
    public void One_line_of_text_is_taken(string value) =>
        Values.TryParseText($$"""{ "X-A": "{{System.Text.Json.JsonEncodedText.Encode(value)}}" }""", out _).Should().BeTrue();

    [Fact]
    public void There_is_a_bound_and_a_name_stands_once_in_any_case()
    {
        string Many(int n) => "{" + string.Join(',', Enumerable.Range(0, n).Select(i => $"\"X-{i}\": \"1\"")) + "}";
        Values.TryParseText(Many(32), out _).Should().BeTrue();
        Values.TryParseText(Many(33), out _).Should().BeFalse();
        Values.TryParseText("""{ "X-A": "1", "x-a": "2" }""", out _).Should().BeFalse();
        Values.TryParseText("""[ "X-A" ]""", out _).Should().BeFalse();
        Values.TryParseText("""{ "X-A": 1 }""", out _).Should().BeFalse();
        Values.TryParseText($$"""{ "X-A": "{{new string('x', 4097)}}" }""", out _).Should().BeFalse();
        Names.TryParseText(string.Join(',', Enumerable.Range(0, 33).Select(i => $"X-{i}")), out _).Should().BeFalse();
    }

    [Fact]
    public void Values_are_kept_but_not_shown()
    {
        Values.TryParseText("""{ "Authorization": "hush" }""", out var value).Should().BeTrue();

        Values.ToText(value).Should().Be("""{"Authorization":"hush"}""");
        Values.ToShownText(value).Should().Be("""{"Authorization":"***"}""");
        Values.TryParseText(Values.ToShownText(value), out _).Should().BeFalse("what is shown must not become the value by accident");
    }
}

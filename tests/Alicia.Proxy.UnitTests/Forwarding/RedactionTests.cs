using Alicia.Proxy.Forwarding;

namespace Alicia.Proxy.UnitTests.Forwarding;

public sealed class RedactionTests
{
    [Theory]
    [InlineData("/x", "/x")]
    [InlineData("/x?", "/x?")]
    [InlineData("/x?a=1&b=2;c=3&d", "/x?a=1&b=2;c=3&d")]
    [InlineData("/token=1/x?a=1", "/token=1/x?a=1")]
    [InlineData("/x?token=abc", "/x?token=***")]
    [InlineData("/x?a=1&TOKEN=abc&b=2", "/x?a=1&TOKEN=***&b=2")]
    [InlineData("/x?access_token=a;b=2", "/x?access_token=***;b=2")]
    [InlineData("/x?key=a&api_key=b&ApiKey=c&x-functions-key=d", "/x?key=***&api_key=***&ApiKey=***&x-functions-key=***")]
    [InlineData("/x?client_secret=a&password=b&passwd=c&pwd=d", "/x?client_secret=***&password=***&passwd=***&pwd=***")]
    [InlineData("/x?X-Amz-Signature=a&X-Amz-Credential=b&sig=c&code=d", "/x?X-Amz-Signature=***&X-Amz-Credential=***&sig=***&code=***")]
    [InlineData("/x?to%6ben=a&%74oken=b", "/x?to%6ben=***&%74oken=***")]
    [InlineData("/x?token=a=b?c", "/x?token=***")]
    [InlineData("/x?token=&token", "/x?token=&token")]
    [InlineData("/x?=a&&", "/x?=a&&")]
    [InlineData("/x?author=me&keyword=k&coder=c", "/x?author=me&keyword=k&coder=c")]
    [InlineData("/x?next=https%3A%2F%2Fy%2F%3Ftoken%3Dabc&a=1", "/x?next=***&a=1")]
    [InlineData("/x?next=https%253A%252F%252Fy%252F%253Ftoken%253Dabc", "/x?next=***")]
    [InlineData("/x?next=/y?token=abc", "/x?next=***")]
    [InlineData("/x?next=/y%3Fa%3D1", "/x?next=/y%3Fa%3D1")]
    [InlineData("/x?a=%zz&token=%zz", "/x?a=%zz&token=***")]
    public void Values_of_secret_parameters_are_hidden_and_nothing_else(string target, string shown) => Redaction.Target(target).Should().Be(shown);

    [Theory]
    [InlineData("https://example.org/a?b=1", "https://example.org/a?b=1")]
    [InlineData("https://me:pw@example.org/a?key=1", "https://***@example.org/a?key=***")]
    [InlineData("//me@example.org", "//***@example.org")]
    [InlineData("https://example.org/a@b", "https://example.org/a@b")]
    [InlineData("https://example.org/#access_token=abc", "https://example.org/#***")]
    [InlineData("/a?token=1#x", "/a?token=***#***")]
    [InlineData("", "")]
    [InlineData("https://", "https://")]
    public void A_URL_loses_user_name_password_and_fragment_too(string url, string shown) => Redaction.Url(url).Should().Be(shown);

    [Fact]
    public void Whatever_the_query_a_secret_that_was_put_into_it_does_not_come_out()
    {
        var random = new Random(99);
        string[] names = ["token", "api_key", "Password", "X-Amz-Signature", "client%5Fsecret", "sessionid"];
        const string Around = "abc=&;?%/#.~ \"";
        for (var i = 0; i < 20_000; i++)
        {
            string Noise() => string.Create(random.Next(12), random, static (text, random) =>
            {
                foreach (ref var c in text)
                    c = Around[random.Next(Around.Length)];
            });
            var target = $"/p?{Noise()}&{names[random.Next(names.Length)]}=HIDDEN&{Noise()}";
            Redaction.Target(target).Should().NotContain("HIDDEN", target);
        }
    }
}

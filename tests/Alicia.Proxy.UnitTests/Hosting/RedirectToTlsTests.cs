using Alicia.Proxy.Hosting;
using Microsoft.AspNetCore.Http;

namespace Alicia.Proxy.UnitTests.Hosting;

public class RedirectToTlsTests
{
    [Theory]
    [InlineData("shop.example", "/", 443, "https://shop.example/")]
    [InlineData("shop.example:8080", "/a%2Fb?c=d%20e", 443, "https://shop.example/a%2Fb?c=d%20e")]
    [InlineData("shop.example:8080", "/a?b=http://c", 8443, "https://shop.example:8443/a?b=http://c")]
    [InlineData("127.0.0.1:8080", "/", 8443, "https://127.0.0.1:8443/")]
    [InlineData("[::1]:8080", "/", 8443, "https://[::1]:8443/")]
    [InlineData("shop.example", "http://shop.example/x?y", 443, "https://shop.example/x?y")]
    [InlineData("shop.example", "http://shop.example", 443, "https://shop.example/")]
    [InlineData("shop.example", "http://shop.example?y", 443, "https://shop.example/?y")]
    [InlineData("shop.example", "*", 443, "https://shop.example/")]
    [InlineData("shop.example", "//other.example/", 443, "https://shop.example//other.example/")]
    public void Callers_are_sent_to_the_same_place(string host, string target, int port, string location) =>
        RedirectToTls.LocationOf(new HostString(host), target, port).Should().Be(location);

    [Theory]
    [InlineData("")]
    [InlineData("shop.example/x")]
    [InlineData("user@shop.example")]
    [InlineData("shop example")]
    public void Without_a_host_there_is_no_such_place(string host) => RedirectToTls.LocationOf(new HostString(host), "/", 443).Should().BeNull();
}

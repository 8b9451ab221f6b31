using System.Net;
using Alicia.Proxy.Balancing;
using Alicia.Proxy.Registry.Settings;
using Microsoft.AspNetCore.Http;

namespace Alicia.Proxy.UnitTests.Balancing;

public sealed class RequestKeyTests
{
    [Fact]
    public void A_field_is_found_whatever_its_case_and_its_value_counts_with_case()
    {
        var key = Key("field", "X-User");
        var anna = key.Of(Request(("x-user", "anna")));
        anna.Should().NotBe(0);
        key.Of(Request(("X-USER", "anna"), ("Accept", "*/*"))).Should().Be(anna);
        key.Of(Request(("x-user", "Anna"))).Should().NotBe(anna);
        key.Of(Request(("x-user", ""))).Should().Be(0);
        key.Of(Request()).Should().Be(0);
    }

    [Fact]
    public void A_cookie_is_found_among_others_and_not_by_half_its_name()
    {
        var key = Key("cookie", "sid");
        var value = key.Of(Request(("Cookie", "sid=abc")));
        value.Should().NotBe(0);
        foreach (var cookies in (string[])["a=1; sid=abc", "sid=abc; b=2", "a=1;sid=abc;b=2", "xsid=1; sidx=2; sid=abc", "sid=\"abc\""])
            key.Of(Request(("Cookie", cookies))).Should().Be(value, cookies);
        foreach (var cookies in (string[])["xsid=abc", "sidx=abc", "SID=abc", "sid", "sid=", ";;=;", ""])
            key.Of(Request(("Cookie", cookies))).Should().Be(0, cookies);
    }

    [Fact]
    public void An_address_counts_without_its_port_and_the_same_over_either_family_of_sockets()
    {
        var key = Key("address", null);
        var four = key.Of(Request(IPAddress.Parse("192.0.2.1")));
        four.Should().NotBe(0);
        key.Of(Request(IPAddress.Parse("::ffff:192.0.2.1"))).Should().Be(four);
        key.Of(Request(IPAddress.Parse("192.0.2.2"))).Should().NotBe(four);
        key.Of(Request(IPAddress.Parse("2001:db8::1"))).Should().NotBe(0).And.NotBe(four);
        key.Of(new DefaultHttpContext()).Should().Be(0, "a socket without an address");
    }

    [Fact]
    public void A_path_counts_without_its_query()
    {
        var key = Key("path", null);
        key.Of(Path("/a/b", "?x=1")).Should().Be(key.Of(Path("/a/b", "?x=2"))).And.NotBe(key.Of(Path("/a/c", "?x=1")));
    }

    [Theory]
    [InlineData("field", "X-User")]
    [InlineData("cookie", "sid")]
    [InlineData("address", null)]
    [InlineData("path", null)]
    public void Reading_a_key_allocates_nothing(string by, string? name)
    {
        var key = Key(by, name);
        var request = Request(("X-User", "anna"), ("Cookie", "a=1; sid=abc"));
        request.Connection.RemoteIpAddress = IPAddress.Parse("2001:db8::1");
        request.Request.Path = "/a/b";
        var sum = 0UL;
        for (var i = 0; i < 1_000; i++)
            sum ^= key.Of(request);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1_001; i++)
            sum += key.Of(request);
        (GC.GetAllocatedBytesForCurrentThread() - before).Should().Be(0);
        sum.Should().NotBe(0);
    }

    private static RequestKey Key(string by, string? name) =>
        new(ServiceSettings.Resolve(SettingOverrides.Empty.With(SettingKeys.HashBy, by).With(SettingKeys.HashName, name)));

    private static DefaultHttpContext Request(params (string Name, string Value)[] fields)
    {
        var context = new DefaultHttpContext();
        foreach (var (name, value) in fields)
            context.Request.Headers[name] = value;
        return context;
    }

    private static DefaultHttpContext Request(IPAddress address) => new() { Connection = { RemoteIpAddress = address } };

    private static DefaultHttpContext Path(string path, string query)
    {
        var context = new DefaultHttpContext();
        (context.Request.Path, context.Request.QueryString) = (path, new QueryString(query));
        return context;
    }
}

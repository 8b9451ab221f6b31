using System.Net;
using Alicia.Proxy.Forwarding;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace Alicia.Proxy.UnitTests.Forwarding;

public sealed class FieldTests
{
    private static readonly IPNetwork[] Trusted = [IPNetwork.Parse("10.0.0.0/8")];

    [Theory]
    [InlineData("Connection")]
    [InlineData("keep-alive")]
    [InlineData("Proxy-Connection")]
    [InlineData("Proxy-Authorization")]
    [InlineData("PROXY-AUTHENTICATE")]
    [InlineData("TE")]
    [InlineData("Trailer")]
    [InlineData("Transfer-Encoding")]
    [InlineData("Upgrade")]
    [InlineData("HTTP2-Settings")]
    public void Fields_of_one_connection_are_known_in_any_case(string name) => HopByHop.IsFixed(name).Should().BeTrue();

    [Theory]
    [InlineData("Content-Length")]
    [InlineData("Authorization")]
    [InlineData("Cookie")]
    [InlineData("TEX")]
    public void Other_fields_go_through(string name) => HopByHop.IsFixed(name).Should().BeFalse();

    [Theory]
    [InlineData("close, X-Secret", "x-secret", true)]
    [InlineData("X-A,X-Secret ,X-B", "X-Secret", true)]
    [InlineData("X-Secret-2", "X-Secret", false)]
    [InlineData("", "X-Secret", false)]
    [InlineData("keep-alive", "X-Secret", false)]
    public void Connection_nominates_fields_by_their_whole_name(string connection, string name, bool nominated) =>
        HopByHop.IsNominated(connection, name).Should().Be(nominated);

    [Fact]
    public void Nominations_count_in_every_line_and_the_usual_values_nominate_nothing()
    {
        HopByHop.IsNominated(new StringValues(["close", "X-A, X-B"]), "X-B").Should().BeTrue();
        HopByHop.IsNominated("Content-Length, X-A", "Content-Length").Should().BeFalse("a body that loses its length is read as the next request");
        HopByHop.MayNominate(new StringValues(["close", "X-B"])).Should().BeTrue();
        HopByHop.MayNominate("close, X-B").Should().BeTrue();
        foreach (var usual in new[] { "keep-alive", "Close", "Upgrade" })
            HopByHop.MayNominate(usual).Should().BeFalse();
        HopByHop.MayNominate(StringValues.Empty).Should().BeFalse();
    }

    [Theory]
    [InlineData("X-Forwarded-For", true)]
    [InlineData("x-forwarded-client-cert", true)]
    [InlineData("X-Forwarded-", false)]
    [InlineData("Forwarded", false)]
    [InlineData("X-Forward", false)]
    public void The_family_is_what_begins_with_its_name(string name, bool member) => ForwardedFields.IsInFamily(name).Should().Be(member);

    [Theory]
    [InlineData("192.168.1.9", true)]
    [InlineData("10.1.2.3", false)]
    public void What_an_untrusted_caller_claims_is_replaced(string remote, bool trustSomebody) =>
        Sent(remote, trustSomebody ? Trusted : [], "/tts", ("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "bank"),
            ("X-Forwarded-Prefix", "/x"), ("X-Forwarded-Port", "1")).Should().BeEquivalentTo(new Dictionary<string, string>
            {
                ["X-Forwarded-For"] = remote,
                ["X-Forwarded-Proto"] = "http",
                ["X-Forwarded-Host"] = "proxy.example.org",
                ["X-Forwarded-Prefix"] = "/tts",
            });

    [Theory]
    [InlineData("10.1.2.3")]
    [InlineData("::ffff:10.1.2.3")]
    public void What_a_trusted_proxy_says_is_kept_and_added_to(string remote) =>
        Sent(remote, Trusted, "/tts", ("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "bank"), ("X-Forwarded-Prefix", "/x"),
            ("X-Forwarded-Port", "1")).Should().BeEquivalentTo(new Dictionary<string, string>
            {
                ["X-Forwarded-For"] = "1.2.3.4, 10.1.2.3",
                ["X-Forwarded-Proto"] = "https",
                ["X-Forwarded-Host"] = "bank",
                ["X-Forwarded-Prefix"] = "/x/tts",
                ["X-Forwarded-Port"] = "1",
            });

    [Fact]
    public void A_trusted_proxy_that_says_nothing_is_the_caller() =>
        Sent("10.1.2.3", Trusted, "").Should().BeEquivalentTo(new Dictionary<string, string>
        {
            ["X-Forwarded-For"] = "10.1.2.3",
            ["X-Forwarded-Proto"] = "http",
            ["X-Forwarded-Host"] = "proxy.example.org",
        });

    [Fact]
    public void Connection_cannot_nominate_the_length()
    {
        HopByHop.IsNominated("close, content-length, X-Hop", "Content-Length").Should().BeFalse();
        HopByHop.IsNominated("close, content-length, X-Hop", "x-hop").Should().BeTrue();
    }

    [Fact]
    public void A_request_that_carries_this_processs_mark_has_been_here()
    {
        var context = new DefaultHttpContext();
        context.Request.Protocol = "HTTP/2";
        LoopGuard.HasBeenHere(context.Request).Should().BeFalse();
        var mark = LoopGuard.MarkOf(context.Request);

        mark.Should().StartWith("2 alicia-");
        context.Request.Headers.Via = new StringValues(["1.1 other", $"1.0 x, {mark}"]);
        LoopGuard.HasBeenHere(context.Request).Should().BeTrue();
        context.Request.Headers.Via = "1.1 alicia-000000000000";
        LoopGuard.HasBeenHere(context.Request).Should().BeFalse("another proxy of this kind may stand in front");
    }

    private static Dictionary<string, string> Sent(string remote, IPNetwork[] trusted, string prefix, params (string Name, string Value)[] claims)
    {
        var context = new DefaultHttpContext();
        context.Connection.RemoteIpAddress = IPAddress.Parse(remote);
        context.Request.Scheme = "http";
        context.Request.Headers.Host = "proxy.example.org";
        foreach (var (name, value) in claims)
            context.Request.Headers[name] = value;
        var outgoing = new Collected([]);
        ForwardedFields.Write(context, ref outgoing, prefix, trusted);
        return outgoing.Fields;
    }

    private readonly record struct Collected(Dictionary<string, string> Fields) : IFieldSink
    {
        public void Host(string value) => Fields.Add("Host", value);

        public void Add(string name, StringValues values) => Fields.Add(name, values.ToString());
    }
}

using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Fidelity;

/// <summary>What the proxy says about the caller: Host, the X-Forwarded family, Via.</summary>
public sealed class ForwardedFieldTests(DataPlaneFixture fixture) : IClassFixture<DataPlaneFixture>
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    [Fact]
    public async Task The_callers_address_scheme_and_host_are_set()
    {
        var (seen, _) = await fixture.ExchangeAsync("GET / HTTP/1.1\r\nHost: {host}:99\r\nConnection: close\r\n\r\n");

        var head = new RawAnswer(seen, RawEnd.Found);
        head.Values("X-Forwarded-For").Should().Equal("127.0.0.1");
        head.Values("X-Forwarded-Proto").Should().Equal("http");
        head.Values("X-Forwarded-Host").Should().Equal(head.Values("Host")).And.ContainSingle().Which.Should().EndWith(".alicia.local:99");
        head.Values("X-Forwarded-Prefix").Should().BeEmpty();
    }

    [Fact]
    public async Task What_an_untrusted_caller_claims_is_replaced()
    {
        var (seen, _) = await fixture.ExchangeAsync(
            "GET / HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 6.6.6.6\r\nx-forwarded-proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Prefix: /evil\r\n"
            + "X-Forwarded-Port: 1\r\nX-Forwarded-Server: evil\r\nConnection: close\r\n\r\n");

        var head = new RawAnswer(seen, RawEnd.Found);
        head.Values("X-Forwarded-For").Should().Equal("127.0.0.1");
        head.Values("X-Forwarded-Proto").Should().Equal("http");
        seen.Should().NotContain("evil");
        head.Values("X-Forwarded-Port").Should().BeEmpty();
    }

    [Fact]
    public async Task What_a_trusted_caller_says_is_kept_and_added_to()
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions
        {
            Arguments = ["--Forwarded:Trusted=127.0.0.0/8", "--Defaults:HealthCheck:Enabled=false", "--Registry:Store=memory"],
        });
        await using var upstream = RawUpstream.Start(Ok);
        using var registered = await proxy.Registry.RegisterAsync("tts", upstream.Host, upstream.Port, query: "wait=10");

        await RawHttp.SendAsync(proxy.Address,
            "GET /tts/x HTTP/1.1\r\nHost: inner\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: outer\r\n"
            + "X-Forwarded-Prefix: /front\r\nX-Forwarded-Port: 443\r\nConnection: close\r\n\r\n");

        var head = new RawAnswer(upstream.Heads[0], RawEnd.Found);
        head.Values("X-Forwarded-For").Should().Equal("6.6.6.6, 7.7.7.7, 127.0.0.1");
        head.Values("X-Forwarded-Proto").Should().Equal("https");
        head.Values("X-Forwarded-Host").Should().Equal("outer");
        head.Values("X-Forwarded-Prefix").Should().Equal("/front/tts");
        head.Values("X-Forwarded-Port").Should().Equal("443");
    }

    [Fact]
    public async Task The_Host_is_the_callers_or_on_demand_the_instances_own()
    {
        await using var upstream = RawUpstream.Start(Ok);
        var original = await fixture.ServiceAsync(upstream);
        var instance = await fixture.ServiceAsync(upstream, new { host_header = "instance" });

        await fixture.SendAsync($"GET / HTTP/1.1\r\nhOST: {original.ToUpperInvariant()}.\r\nConnection: close\r\n\r\n");
        await fixture.SendAsync($"GET / HTTP/1.1\r\nHost: {instance}\r\nConnection: close\r\n\r\n");

        new RawAnswer(upstream.Heads[0], RawEnd.Found).Values("Host").Should().Equal(original.ToUpperInvariant() + ".");
        new RawAnswer(upstream.Heads[1], RawEnd.Found).Values("Host").Should().Equal($"127.0.0.1:{upstream.Port}");
        new RawAnswer(upstream.Heads[1], RawEnd.Found).Values("X-Forwarded-Host").Should().Equal(instance);
    }

    [Fact]
    public async Task An_old_request_without_a_Host_gets_the_instances()
    {
        await using var upstream = RawUpstream.Start(Ok);
        var service = (await fixture.ServiceAsync(upstream)).Split('.')[0];

        var answer = await fixture.SendAsync($"GET /{service}/x HTTP/1.0\r\n\r\n");

        answer.Status.Should().Be(200);
        var head = new RawAnswer(upstream.Heads[0], RawEnd.Found);
        head.Values("Host").Should().Equal($"127.0.0.1:{upstream.Port}");
        head.Values("X-Forwarded-Host").Should().BeEmpty();
    }

    [Fact]
    public async Task Via_gets_one_entry_behind_those_of_the_caller()
    {
        var (seen, answer) = await fixture.ExchangeAsync("GET / HTTP/1.1\r\nHost: {host}\r\nVia: 1.0 fred, 1.1 p.example\r\nConnection: close\r\n\r\n",
            "HTTP/1.1 200 OK\r\nVia: 1.1 inner\r\nContent-Length: 0\r\n\r\n");

        new RawAnswer(seen, RawEnd.Found).Values("Via").Should().ContainSingle().Which.Should().MatchRegex("^1.0 fred, 1.1 p.example, 1.1 alicia-[0-9a-f]{12}$");
        answer.Values("Via").Should().Equal("1.1 inner");
    }

    [Fact]
    public async Task A_request_that_comes_back_is_ended_as_a_loop()
    {
        // Its own address would be refused when it is registered; this one leads back by a way that nobody can see.
        await using var way = TcpRelay.To(fixture.Address);
        var host = await fixture.ServiceAsync(way.Host, way.Port);

        var answer = await fixture.SendAsync($"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");

        answer.Status.Should().Be(508);
        answer.Values("Proxy-Status").Should().Equal("alicia; error=proxy_loop_detected");
        answer.Values("Content-Type").Should().Equal("application/problem+json");
    }
}

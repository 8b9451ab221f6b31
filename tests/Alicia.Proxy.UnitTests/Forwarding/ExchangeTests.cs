using System.Net;
using Alicia.Proxy.Admission;
using Alicia.Proxy.Balancing;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Forwarding;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry.Settings;
using Alicia.Proxy.UnitTests.Balancing;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Time.Testing;

namespace Alicia.Proxy.UnitTests.Forwarding;

public sealed class ExchangeTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly Upstream _upstream = new("tts", new ServiceLive("tts"));
    private readonly UpstreamEndpoint _endpoint = new(7, "tts-1", "http", "10.0.0.5", 8003);
    private readonly PoolMember _member;
    private readonly DefaultHttpContext _context = new();

    public ExchangeTests()
    {
        _member = Pools.Member(7) with { Endpoint = _endpoint };
        _context.Request.Headers.Host = "tts.example.org";
        _context.Request.Protocol = "HTTP/1.1";
        _context.Connection.RemoteIpAddress = IPAddress.Loopback;
    }

    [Theory]
    [InlineData("/a%2Fb/./c?x=%7e")]
    [InlineData("//evil.org/x")]
    [InlineData("/%41%E4?a=b c")]
    [InlineData("/")]
    public async Task The_target_goes_to_the_instance_as_it_was_written(string target)
    {
        var request = await SentAsync(target: target);
        request.RequestUri!.Host.Should().EndWith(".upstream");
        request.RequestUri.PathAndQuery.Should().Be(target);
    }

    [Fact]
    public async Task Fields_go_through_but_those_of_the_connection_and_those_it_nominates()
    {
        var headers = _context.Request.Headers;
        headers.Connection = "close, X-Secret";
        headers["X-Secret"] = "1";
        headers["Keep-Alive"] = "5";
        headers["Upgrade"] = "x";
        headers["X-Forwarded-For"] = "6.6.6.6";
        headers["X-Kept"] = new(["a", "b"]);
        headers["Authorization"] = "Bearer x";
        headers["Accept-Encoding"] = "br";

        var request = await SentAsync();

        var sent = request.Headers.NonValidated.ToDictionary(f => f.Key, f => f.Value.ToString());
        sent.Keys.Should().BeEquivalentTo("Host", "X-Kept", "Authorization", "Accept-Encoding", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Prefix", "Via", "X-Request-ID");
        sent["X-Forwarded-For"].Should().Be("127.0.0.1");
        request.Headers.NonValidated["X-Kept"].Should().Equal("a", "b");
    }

    [Theory]
    [InlineData("original", "tts.example.org")]
    [InlineData("instance", "10.0.0.5:8003")]
    public async Task The_Host_field_is_the_callers_or_the_instances(string setting, string host) =>
        (await SentAsync(SettingOverrides.Empty.With(SettingKeys.HostHeader, setting))).Headers.Host.Should().Be(host);

    [Fact]
    public async Task An_answer_is_counted_timed_and_its_fields_copied_but_the_connections()
    {
        var exchange = Exchange();
        _time.Advance(TimeSpan.FromSeconds(2));
        using var response = Response(503);
        response.Headers.TryAddWithoutValidation("Connection", "X-Hop");
        response.Headers.TryAddWithoutValidation("X-Hop", "1");
        response.Headers.TryAddWithoutValidation("X-Kept", ["a", "b"]);

        (await exchange.TransformResponseAsync(_context, response, default)).Should().BeTrue();
        exchange.Failed(null);

        _member.Live.ResponseTime.Should().BeApproximately(2, 1e-6);
        (_member.Live.FailedRequests, _upstream.Live.FailedRequests).Should().Be((1, 1));
        _context.Response.Headers.Should().ContainKey("X-Kept").WhoseValue.Should().Equal("a", "b");
        _context.Response.Headers.Keys.Should().NotContain(["X-Hop", "Connection"]);
    }

    [Fact]
    public async Task The_slot_is_free_when_the_last_byte_of_the_answer_has_been_read_and_only_once()
    {
        _member.Live.TryReserve();
        var exchange = Exchange();
        using var response = Response(200);
        await exchange.TransformResponseAsync(_context, response, default);
        await using var stream = await response.Content.ReadAsStreamAsync();
        var buffer = new byte[2];

        (await stream.ReadAsync(buffer)).Should().Be(2);
        _member.Live.InFlight.Should().Be(1);
        (await stream.ReadAsync(buffer)).Should().Be(1);
        (_member.Live.InFlight, _upstream.Live.ActiveConnections).Should().Be((0, 0));

        exchange.Finish();
        (_member.Live.InFlight, _upstream.Live.ActiveConnections).Should().Be((0, 0));
    }

    private Exchange Exchange(SettingOverrides? settings = null, string target = "/x")
    {
        var request = new CallerRequest(_context, _upstream, target, "/tts", _time);
        var resolved = settings is null ? ServiceSettings.BuiltIn : ServiceSettings.Resolve(settings);
        request.Enter(new Admitted(new UpstreamState(new Pool([_member]), new RoundRobin(), resolved), _member, 0));
        return new(request, resolved, _member, _endpoint.NextSlot()!, new ForwardingOptions(), _time, deadline: null);
    }

    private async Task<HttpRequestMessage> SentAsync(SettingOverrides? settings = null, string target = "/x")
    {
        var request = new HttpRequestMessage();
        await Exchange(settings, target).TransformRequestAsync(_context, request, "", default);
        return request;
    }

    private static HttpResponseMessage Response(int status) => new((HttpStatusCode)status) { Content = new ByteArrayContent([1, 2, 3]) };
}

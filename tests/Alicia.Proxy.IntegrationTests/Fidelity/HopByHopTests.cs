using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Fidelity;

/// <summary>What belongs to one connection stays on it, in both directions; everything else goes on.</summary>
public sealed class HopByHopTests(DataPlaneFixture fixture) : IClassFixture<DataPlaneFixture>
{
    public static TheoryData<string> FixedFields => new()
    {
        "Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "Proxy-Authenticate: Basic", "Proxy-Authorization: Basic eA==", "TE: trailers, gzip",
        "Trailer: X-T", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk",
    };

    /// <summary>Lines of Connection that all nominate X-N, but for a lone keep-alive line beside another (docs/limits.md).</summary>
    public static TheoryData<string> Nominations => new()
    {
        "Connection: X-N", "Connection: close, X-N", "Connection: X-N, close", "Connection: x-n", "Connection: keep-alive, X-N", "Connection: X-N,keep-alive",
        "Connection: ,, X-N ,", "Connection: close\r\nConnection: X-N", "Connection: X-N\r\nConnection: close", "Connection: X-O, X-N\r\nConnection: X-P",
        "Connection: close, Keep-Alive, X-N",
    };

    [Theory]
    [MemberData(nameof(FixedFields))]
    public async Task A_hop_by_hop_field_of_a_request_stays_here(string field)
    {
        var (seen, _) = await fixture.ExchangeAsync($"GET / HTTP/1.1\r\nHost: {{host}}\r\n{field}\r\nX-Kept: 1\r\nConnection: close\r\n\r\n");

        seen.Should().Contain("X-Kept: 1\r\n").And.NotContainEquivalentOf(field.Split(':')[0] + ":").And.NotContain("Connection:");
    }

    [Theory]
    [MemberData(nameof(FixedFields))]
    public async Task A_hop_by_hop_field_of_an_answer_stays_here(string field)
    {
        var answer = await fixture.AnswerAsync($"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{field}\r\nX-Kept: 1\r\n\r\nok");

        answer.Values("X-Kept").Should().Equal("1");
        answer.Values(field.Split(':')[0]).Should().BeEmpty();
        answer.Body.Should().Be("ok");
    }

    [Theory]
    [MemberData(nameof(Nominations))]
    public async Task A_field_that_a_request_nominates_stays_here(string connection)
    {
        var (seen, _) = await fixture.ExchangeAsync(
            $"GET / HTTP/1.1\r\nHost: {{host}}\r\nX-N: 1\r\n{connection}\r\nX-Kept: 1\r\nConnection: close\r\n\r\n");

        seen.Should().Contain("X-Kept: 1\r\n").And.NotContain("X-N:").And.NotContain("Connection:");
    }

    [Theory]
    [MemberData(nameof(Nominations))]
    [InlineData("Connection: keep-alive\r\nConnection: X-N")]
    public async Task A_field_that_an_answer_nominates_stays_here(string connection)
    {
        var answer = await fixture.AnswerAsync($"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-N: 1\r\n{connection}\r\nX-Kept: 1\r\n\r\nok");

        answer.Values("X-Kept").Should().Equal("1");
        answer.Values("X-N").Should().BeEmpty();
        answer.Values("Connection").Should().Equal("close");
    }

    [Fact]
    public async Task A_nominated_body_field_stays_here_too()
    {
        var answer = await fixture.AnswerAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Language: en\r\nConnection: Content-Language\r\n\r\nok");

        answer.Values("Content-Language").Should().BeEmpty();
    }

    [Fact]
    public async Task An_instance_that_closes_does_not_close_the_callers_connection()
    {
        await using var upstream = RawUpstream.Start("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        var host = await fixture.ServiceAsync(upstream);
        using var wire = await Wire.ConnectAsync(fixture.Address);
        for (var i = 0; i < 2; i++)
        {
            await wire.SendAsync($"GET /{i} HTTP/1.1\r\nHost: {host}\r\n\r\n");

            (await wire.ReadMessageAsync())!.Values("Connection").Should().BeEmpty();
        }

        upstream.Heads.Should().HaveCount(2);
    }
}

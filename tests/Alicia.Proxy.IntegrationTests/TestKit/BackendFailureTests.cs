using System.Net;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.TestKit;

/// <summary>The scriptable upstream fails exactly as it is told to.</summary>
public sealed class BackendFailureTests(RunningBackends backends) : IClassFixture<RunningBackends>
{
    private static string Get(string target) => $"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n";

    [Fact]
    public async Task Reset_sends_a_tcp_reset_and_no_byte()
    {
        var answer = await RawHttp.SendAsync(backends.Http1.Address, Get("/reset"));

        answer.Should().Be(new RawAnswer("", RawEnd.Reset));
    }

    [Fact]
    public async Task Reset_ends_only_the_stream_on_http2()
    {
        await using var backend = await Backend.StartAsync("own", h2c: true);

        var reset = () => backend.Http.GetAsync("/reset");
        await reset.Should().ThrowAsync<HttpRequestException>();
        using var next = await backend.Http.GetAsync("/echo");

        next.StatusCode.Should().Be(HttpStatusCode.OK);
        (await backend.StatsAsync()).ConnectionsTotal.Should().Be(1);
    }

    [Fact]
    public async Task Cut_with_a_length_sends_part_of_it_and_closes()
    {
        var answer = await RawHttp.SendAsync(backends.Http1.Address, Get("/cut?after=300&length=1000"));

        answer.Status.Should().Be(200);
        answer.Values("Content-Length").Should().Equal("1000");
        answer.Body.Should().HaveLength(300);
        answer.Body[..252].Should().Be(string.Concat(Enumerable.Range(0, 252).Select(i => (char)(i % 251))));
        answer.End.Should().Be(RawEnd.Closed);
    }

    [Fact]
    public async Task Cut_without_a_length_leaves_the_chunked_body_open()
    {
        var answer = await RawHttp.SendAsync(backends.Http1.Address, Get("/cut?after=10"));

        answer.Values("Transfer-Encoding").Should().Equal("chunked");
        answer.Body.Should().StartWith("a\r\n").And.HaveLength("a\r\n".Length + 10 + "\r\n".Length);
        answer.End.Should().Be(RawEnd.Closed);
    }

    [Fact]
    public async Task Cut_right_after_the_head_sends_the_head()
    {
        var answer = await RawHttp.SendAsync(backends.Http1.Address, Get("/cut?after=0&length=5"));

        answer.Status.Should().Be(200);
        answer.Body.Should().BeEmpty();
        answer.End.Should().Be(RawEnd.Closed);
    }

    [Fact]
    public async Task Cut_may_end_in_a_tcp_reset()
    {
        var answer = await RawHttp.SendAsync(backends.Http1.Address, Get("/cut?after=10&length=1000&rst=1"));

        answer.End.Should().Be(RawEnd.Reset);
    }

    [Fact]
    public async Task Cut_resets_the_stream_on_http2()
    {
        using var answer = await backends.H2c.Http.GetAsync("/cut?after=10&length=1000", HttpCompletionOption.ResponseHeadersRead);
        answer.StatusCode.Should().Be(HttpStatusCode.OK);

        var read = () => answer.Content.ReadAsByteArrayAsync();

        await read.Should().ThrowAsync<HttpRequestException>();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Hang_never_answers_and_counts_the_client_that_went(bool h2c)
    {
        await using var backend = await Backend.StartAsync("own", h2c);
        using var patience = new CancellationTokenSource();

        var hanging = backend.Http.GetAsync("/hang", patience.Token);
        await backend.UntilStatsAsync("one in flight", stats => stats.InFlight == 1);
        hanging.IsCompleted.Should().BeFalse();
        await patience.CancelAsync();

        var stats = await backend.UntilStatsAsync("nothing in flight", stats => stats.InFlight == 0);
        stats.Aborted.Should().Be(1);
        stats.Requests.Should().Be(1);
        await ((Func<Task>)(() => hanging)).Should().ThrowAsync<OperationCanceledException>();
    }

    [Fact]
    public async Task An_upload_that_breaks_off_counts_as_aborted()
    {
        await using var backend = await Backend.StartAsync("own");
        using (var connection = await RawConnection.ConnectAsync(backend.Address))
        {
            await connection.SendAsync("POST /sink HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nonly this");
            await backend.UntilStatsAsync("one in flight", stats => stats.InFlight == 1);
            connection.Reset();
        }

        var stats = await backend.UntilStatsAsync("nothing in flight", stats => stats.InFlight == 0);

        stats.Aborted.Should().Be(1);
    }

    [Fact]
    public async Task Scripted_failures_do_not_count_as_aborted()
    {
        await using var backend = await Backend.StartAsync("own");

        await RawHttp.SendAsync(backend.Address, Get("/reset"));
        await RawHttp.SendAsync(backend.Address, Get("/cut?after=10&length=1000"));
        await RawHttp.SendAsync(backend.Address, Get("/cut?after=10&rst=1"));

        var stats = await backend.UntilStatsAsync("nothing in flight", stats => stats.InFlight == 0);
        stats.Requests.Should().Be(3);
        stats.Aborted.Should().Be(0);
    }
}

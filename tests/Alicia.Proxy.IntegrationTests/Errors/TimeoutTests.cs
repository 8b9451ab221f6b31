using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Errors;

/// <summary>The timeouts of a service, set over REST, each for what it is about and nothing else.</summary>
public sealed class TimeoutTests(DataPlaneFixture fixture) : IClassFixture<DataPlaneFixture>
{
    private static readonly TimeSpan _pace = TimeSpan.FromMilliseconds(150);

    [Theory]
    [InlineData(0)]
    [InlineData(1200)]
    public async Task A_long_upload_does_not_count_as_waiting_for_the_answer(int pauseMs)
    {
        await using var upstream = WireServer.Start(async wire =>
        {
            var body = (await wire.ReadMessageAsync())!.Body;
            await wire.SendAsync($"HTTP/1.1 200 OK\r\nX-Bytes: {body.Length}\r\nContent-Length: 0\r\n\r\n");
        });
        var host = await fixture.ServiceAsync(upstream, new { timeouts = new { response = 0.6, idle = 10 } });
        using var caller = await Wire.ConnectAsync(fixture.Address);

        await caller.SendAsync($"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 80\r\n\r\n");
        for (var i = 0; i < 8; i++)
        {
            // The upload's own pace, not a wait for something to happen.
            await Task.Delay(i == 4 ? _pace + TimeSpan.FromMilliseconds(pauseMs) : _pace);
            await caller.SendAsync("0123456789");
        }

        var answer = (await caller.ReadMessageAsync())!;
        answer.StartLine.Should().Be("HTTP/1.1 200 OK");
        answer.Values("X-Bytes").Should().Equal("80");
    }

    [Theory]
    [InlineData("Content-Length: 3\r\n\r\nabc")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")]
    public async Task The_wait_for_the_answer_begins_with_the_last_byte_of_the_request(string body)
    {
        await using var upstream = RawUpstream.Start(async (connection, _) => await connection.ReadToEndAsync());
        var host = await fixture.ServiceAsync(upstream, new { timeouts = new { response = 0.3, idle = 60 } });

        var answer = await fixture.SendAsync($"POST / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{body}", TimeSpan.FromSeconds(10));

        ProxyAnswerTests.AssertProblem(answer, new Expected(504, "http_response_timeout", 4));
    }

    /// <summary>With equal and with different timeouts: the exchange is watched in two ways.</summary>
    [Theory]
    [InlineData(0.4)]
    [InlineData(60)]
    public async Task A_caller_that_falls_silent_in_its_body_is_told_so_and_the_instance_is_not_blamed(double response)
    {
        await using var upstream = RawUpstream.Start(async (connection, _) => await connection.ReadToEndAsync());
        var host = await fixture.ServiceAsync(upstream, new { timeouts = new { response, idle = 0.4 } });

        var answer = await fixture.SendAsync($"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\r\nabc", TimeSpan.FromSeconds(10));

        ProxyAnswerTests.AssertProblem(answer, new Expected(408, "http_request_error", 14));
        var stats = await fixture.Proxy.Registry.GetJsonAsync($"/stats/{host.Split('.')[0]}");
        stats.GetProperty("failed_requests").GetInt64().Should().Be(0);
    }

    [Theory]
    [InlineData(0.4, 0.4)]
    [InlineData(60, 0.4)]
    [InlineData(0.4, 0.8)]
    public async Task A_body_that_falls_silent_is_cut(double response, double idle)
    {
        await using var upstream = RawUpstream.Start(async (connection, _) =>
        {
            await connection.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello");
            await connection.ReadToEndAsync();
        });
        var host = await fixture.ServiceAsync(upstream, new { timeouts = new { response, idle } });

        var answer = await fixture.SendAsync($"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n", TimeSpan.FromSeconds(10));

        (answer.Body, answer.End).Should().Be(("hello", RawEnd.Reset));
        await fixture.Proxy.Registry.UntilAsync("it counts as failed", $"/stats/{host.Split('.')[0]}", s => s.GetProperty("failed_requests").GetInt64() == 1);
    }

    [Theory]
    [InlineData(2, 2)]
    [InlineData(60, 2)]
    [InlineData(1.5, 2)]
    public async Task A_slow_body_that_keeps_moving_is_not_cut(double response, double idle)
    {
        await using var backend = await Backend.StartAsync("slow");
        var host = await fixture.ServiceAsync(backend, new { timeouts = new { response, idle } });

        var answer = await fixture.SendAsync($"GET /stream?chunks=15&ms=180&size=10 HTTP/1.0\r\nHost: {host}\r\n\r\n");

        (answer.Status, answer.Body.Length, answer.End).Should().Be((200, 150, RawEnd.Closed));
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(60, 1)]
    public async Task A_caller_that_does_not_take_its_answer_is_no_failure_of_the_instance(double response, double idle)
    {
        await using var backend = await Backend.StartAsync("large");
        var host = await fixture.ServiceAsync(backend, new { timeouts = new { response, idle } });
        using var caller = await RawConnection.ConnectAsync(fixture.Address);

        await caller.SendAsync($"GET /bytes?n=200000000 HTTP/1.1\r\nHost: {host}\r\n\r\n");

        var service = $"/stats/{host.Split('.')[0]}";
        await fixture.Proxy.Registry.UntilAsync("it counts as aborted", service, s => s.GetProperty("aborted_requests").GetInt64() == 1);
        (await fixture.Proxy.Registry.GetJsonAsync(service)).GetProperty("failed_requests").GetInt64().Should().Be(0);
    }

    [Theory]
    [InlineData("Accept: text/event-stream\r\n", 20, 0.4, 1000, true)]
    [InlineData("", 2, 2, 6000, false)]
    public async Task An_event_stream_that_was_asked_for_may_be_silent_for_longer_than_other_answers(string accept, double response, double idle, int ms, bool whole)
    {
        await using var backend = await Backend.StartAsync("events");
        var host = await fixture.ServiceAsync(backend, new { timeouts = new { response, idle, event_stream_idle = 20 } });

        var answer = await fixture.SendAsync($"GET /sse?events=3&ms={ms} HTTP/1.1\r\nHost: {host}\r\n{accept}Connection: close\r\n\r\n");

        (answer.Status, answer.End).Should().Be((200, whole ? RawEnd.Closed : RawEnd.Reset));
    }

    [Fact]
    public async Task An_exchange_that_takes_too_long_in_all_is_cut()
    {
        await using var backend = await Backend.StartAsync("endless");
        var host = await fixture.ServiceAsync(backend, new { timeouts = new { overall = 1.5 } });

        var answer = await fixture.SendAsync($"GET /stream?chunks=100000&ms=50&size=10 HTTP/1.1\r\nHost: {host}\r\n\r\n");

        answer.Status.Should().Be(200);
        answer.End.Should().Be(RawEnd.Reset);
        await backend.UntilStatsAsync("the instance is let go", s => s is { InFlight: 0, Aborted: 1 });
    }
}

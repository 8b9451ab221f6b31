using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Fidelity;

/// <summary>Bodies flow as they come, in both directions at once, and stop when either side has enough.</summary>
public sealed class StreamingTests(DataPlaneFixture fixture) : IClassFixture<DataPlaneFixture>
{
    /// <summary>Within this time the instance must know that the caller has left.</summary>
    private static readonly TimeSpan _abortNoticed = TimeSpan.FromSeconds(1);

    [Theory]
    [InlineData("417 Expectation Failed")]
    [InlineData("413 Content Too Large")]
    public async Task A_body_that_the_instance_refuses_beforehand_is_never_asked_for(string status)
    {
        var afterHead = new TaskCompletionSource<string>();
        await using var upstream = RawUpstream.Start(async (connection, _) =>
        {
            await connection.SendAsync($"HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
            connection.EndInput();
            afterHead.SetResult((await connection.ReadToEndAsync()).Text);
        });
        var host = await fixture.ServiceAsync(upstream);
        using var caller = await RawConnection.ConnectAsync(fixture.Address);

        await caller.SendAsync($"PUT / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5000\r\nExpect: 100-continue\r\n\r\n");
        var (head, _) = await caller.ReadHeadAsync();
        var (body, _) = await caller.ReadCountAsync(2);

        head.Should().StartWith($"HTTP/1.1 {status}\r\n");
        body.Should().Be("no");
        upstream.Heads[0].Should().Contain("\r\nExpect: 100-continue\r\n").And.Contain("\r\nContent-Length: 5000\r\n");
        (await afterHead.Task.WaitAsync(Deadlines.Wait)).Should().BeEmpty("no body went up");
    }

    [Fact]
    public async Task A_body_is_asked_for_when_the_instance_agrees()
    {
        var agree = new TaskCompletionSource();
        await using var upstream = RawUpstream.Start(async (connection, _) =>
        {
            await agree.Task;
            await connection.SendAsync("HTTP/1.1 100 Continue\r\n\r\n");
            var (body, _) = await connection.ReadCountAsync(5);
            await connection.SendAsync($"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{body}");
        });
        var host = await fixture.ServiceAsync(upstream);
        using var caller = await RawConnection.ConnectAsync(fixture.Address);

        await caller.SendAsync($"PUT / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
        var (early, _) = await caller.ReadHeadAsync(TimeSpan.FromMilliseconds(300));
        agree.SetResult();
        var (interim, _) = await caller.ReadHeadAsync();
        await caller.SendAsync("hello");
        var (rest, end) = await caller.ReadToEndAsync();

        early.Should().BeEmpty();
        interim.Should().Be("HTTP/1.1 100 Continue\r\n\r\n");
        rest.Should().StartWith("HTTP/1.1 200 OK\r\n").And.EndWith("hello");
        end.Should().Be(RawEnd.Closed);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Each_event_arrives_before_the_next_is_sent(bool chunked)
    {
        var seen = new SemaphoreSlim(0);
        await using var upstream = RawUpstream.Start(async (connection, _) =>
        {
            await connection.SendAsync($"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{(chunked ? "Transfer-Encoding: chunked" : "Content-Length: 80")}\r\n\r\n");
            for (var i = 0; i < 10; i++)
            {
                await connection.SendAsync(chunked ? $"8\r\ndata:{i}\n\n\r\n" : $"data:{i}\n\n");
                (await seen.WaitAsync(Deadlines.Wait)).Should().BeTrue();
            }

            await connection.SendAsync(chunked ? "0\r\n\r\n" : "");
        });
        var host = await fixture.ServiceAsync(upstream);
        using var caller = await RawConnection.ConnectAsync(fixture.Address);

        await caller.SendAsync($"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        for (var i = 0; i < 10; i++)
        {
            (await caller.ReadUntilAsync($"data:{i}\n\n")).End.Should().Be(RawEnd.Found);
            seen.Release();
        }

        (await caller.ReadToEndAsync()).End.Should().Be(RawEnd.Closed);
    }

    [Fact]
    public async Task The_head_arrives_before_the_first_byte_of_a_body_is_there()
    {
        var headSeen = new TaskCompletionSource();
        await using var upstream = RawUpstream.Start(async (connection, _) =>
        {
            await connection.SendAsync("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
            await headSeen.Task;
            await connection.SendAsync("0\r\n\r\n");
        });
        var host = await fixture.ServiceAsync(upstream);
        using var caller = await RawConnection.ConnectAsync(fixture.Address);

        await caller.SendAsync($"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        var (head, end) = await caller.ReadHeadAsync(TimeSpan.FromSeconds(2));
        headSeen.SetResult();

        end.Should().Be(RawEnd.Found);
        head.Should().StartWith("HTTP/1.1 200 OK\r\n");
    }

    [Fact]
    public async Task Each_part_of_a_request_body_arrives_before_the_next_is_sent()
    {
        var seen = new SemaphoreSlim(0);
        await using var upstream = RawUpstream.Start(async (connection, _) =>
        {
            for (var i = 0; i < 5; i++)
            {
                await connection.ReadUntilAsync($"part{i}");
                seen.Release();
            }

            await connection.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        });
        var host = await fixture.ServiceAsync(upstream);
        using var caller = await RawConnection.ConnectAsync(fixture.Address);

        await caller.SendAsync($"POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (var i = 0; i < 5; i++)
        {
            await caller.SendAsync($"5\r\npart{i}\r\n");
            (await seen.WaitAsync(Deadlines.Wait)).Should().BeTrue($"part {i} arrives");
        }

        await caller.SendAsync("0\r\n\r\n");
        (await caller.ReadHeadAsync()).Text.Should().StartWith("HTTP/1.1 200 OK");
    }

    [Theory]
    [InlineData("GET /hang HTTP/1.1", "", 0)]
    [InlineData("GET /stream?chunks=100000&ms=20&size=10 HTTP/1.1", "", 2)]
    [InlineData("POST /sink HTTP/1.1", "Content-Length: 1000000\r\n", 0)]
    [InlineData("POST /sink HTTP/1.1", "Transfer-Encoding: chunked\r\n", 0)]
    public async Task A_caller_that_leaves_ends_the_instances_work_within_a_second(string line, string framing, int readLines)
    {
        await using var backend = await Backend.StartAsync("left");
        var host = await fixture.ServiceAsync(backend);
        using (var caller = await RawConnection.ConnectAsync(fixture.Address))
        {
            await caller.SendAsync($"{line}\r\nHost: {host}\r\n{framing}\r\n{(framing.Length > 0 ? "5\r\nhello\r\n" : "")}");
            await backend.UntilStatsAsync("the request is there", s => s.InFlight == 1);
            for (var i = 0; i < readLines; i++)
                await caller.ReadUntilAsync("\r\n");
        }

        await backend.UntilStatsAsync("the request is aborted", s => s is { Aborted: 1, InFlight: 0 }, _abortNoticed);
        await fixture.Proxy.Registry.UntilAsync("it counts as aborted, not as failed", $"/stats/{host.Split('.')[0]}",
            s => s.GetProperty("aborted_requests").GetInt64() == 1 && s.GetProperty("failed_requests").GetInt64() == 0 && s.GetProperty("active_connections").GetInt32() == 0);
    }
}

using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Fidelity;

/// <summary>Pins the part of docs/limits.md that is about the course of an exchange: who waits for whom, and what is sent twice.</summary>
public sealed class ExchangeLimitTests(DataPlaneFixture fixture) : IClassFixture<DataPlaneFixture>
{
    [Fact]
    public async Task An_early_answer_waits_until_the_request_body_has_gone_up_but_for_the_direct_forwarder()
    {
        await using var upstream = RawUpstream.Start(async (connection, _) =>
        {
            await connection.SendAsync("HTTP/1.1 413 Too Much\r\nContent-Length: 4\r\n\r\nstop");
            await connection.ReadToEndAsync();
        });
        var host = await fixture.ServiceAsync(upstream);
        using var caller = await RawConnection.ConnectAsync(fixture.Address);

        await caller.SendAsync($"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 10\r\n\r\nhello");
        if (!ProxyProcess.IsDirect)
        {
            (await caller.ReadHeadAsync(TimeSpan.FromMilliseconds(300))).Text.Should().BeEmpty();
            await caller.SendAsync("world");
        }

        (await caller.ReadHeadAsync()).Text.Should().StartWith("HTTP/1.1 413 Too Much\r\n");
        (await caller.ReadCountAsync(4)).Text.Should().Be("stop");
        if (!ProxyProcess.IsDirect)
            return;
        // What is left of the body is nobody's, and the caller may go on behind it.
        await caller.SendAsync($"worldGET /status/204 HTTP/1.1\r\nHost: nobody.alicia.local\r\n\r\n");
        (await caller.ReadHeadAsync()).Text.Should().StartWith("HTTP/1.1 404 ");
    }

    [Fact]
    public async Task An_early_answer_is_lost_when_the_instance_closes_before_the_request_body_has_gone_up_but_for_the_direct_forwarder()
    {
        await using var upstream = RawUpstream.Start(async (connection, _) =>
        {
            await connection.SendAsync("HTTP/1.1 413 Too Much\r\nContent-Length: 4\r\nConnection: close\r\n\r\nstop");
            connection.Reset();
        });
        var host = await fixture.ServiceAsync(upstream);
        using var caller = await RawConnection.ConnectAsync(fixture.Address);

        await caller.SendAsync($"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 10\r\nConnection: close\r\n\r\nhello");
        await caller.ReadHeadAsync(TimeSpan.FromMilliseconds(300));
        await caller.SendAsync("world");
        await caller.ReadToEndAsync();

        new RawAnswer(caller.Received, RawEnd.Closed).Status.Should().Be(ProxyProcess.IsDirect ? 413 : 502);
    }

    [Fact]
    public async Task A_body_of_at_most_1024_bytes_is_asked_for_though_the_instance_refused_it_but_for_the_direct_forwarder()
    {
        await using var upstream = RawUpstream.Start("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
        var host = await fixture.ServiceAsync(upstream);
        using var caller = await RawConnection.ConnectAsync(fixture.Address);

        await caller.SendAsync($"PUT / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n");
        if (!ProxyProcess.IsDirect)
        {
            (await caller.ReadHeadAsync()).Text.Should().Be("HTTP/1.1 100 Continue\r\n\r\n");
            await caller.SendAsync("hello");
        }

        (await caller.ReadHeadAsync()).Text.Should().StartWith("HTTP/1.1 417 No\r\n");
    }

    [Fact]
    public async Task A_body_is_asked_for_after_a_second_without_a_word_from_the_instance()
    {
        await using var upstream = RawUpstream.Start(async (connection, _) =>
        {
            await connection.ReadCountAsync(5000);
            await connection.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        });
        var host = await fixture.ServiceAsync(upstream);
        using var caller = await RawConnection.ConnectAsync(fixture.Address);

        await caller.SendAsync($"PUT / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5000\r\nExpect: 100-continue\r\n\r\n");
        var (interim, _) = await caller.ReadHeadAsync();
        await caller.SendAsync(new string('x', 5000));

        interim.Should().Be("HTTP/1.1 100 Continue\r\n\r\n");
        (await caller.ReadHeadAsync()).Text.Should().StartWith("HTTP/1.1 200 OK");
    }

    [Theory]
    [InlineData("GET", 1, 2)]
    [InlineData("DELETE", 1, 2)]
    [InlineData("POST", 1, 1)]
    [InlineData("GET", 0, 1)]
    public async Task On_a_kept_connection_that_closes_only_what_may_arrive_twice_is_sent_again_and_only_where_retries_are_on(string method, int attempts, int times)
    {
        var (connections, asked) = (0, 0);
        await using var upstream = WireServer.Start(async wire =>
        {
            var first = Interlocked.Increment(ref connections) == 1;
            while (await wire.ReadMessageAsync() is { } request)
            {
                if (request.StartLine.Contains("/again", StringComparison.Ordinal))
                    Interlocked.Increment(ref asked);
                if (first && request.StartLine.Contains("/again", StringComparison.Ordinal))
                    return;
                await wire.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            }
        });
        var host = await fixture.ServiceAsync(upstream, new { retry = new { attempts } });

        await fixture.SendAsync($"GET /first HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        var answer = await fixture.SendAsync($"{method} /again HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");

        (answer.Status, asked).Should().Be((times == 2 ? 200 : 502, times));
    }

    [Fact]
    public async Task A_caller_that_ends_its_side_has_left()
    {
        var arrived = new TaskCompletionSource();
        await using var upstream = RawUpstream.Start(async (connection, _) =>
        {
            arrived.SetResult();
            await connection.ReadToEndAsync();
        });
        var host = await fixture.ServiceAsync(upstream);
        using var caller = await RawConnection.ConnectAsync(fixture.Address);

        await caller.SendAsync($"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        await arrived.Task.WaitAsync(Deadlines.Wait);
        caller.EndInput();

        (await caller.ReadToEndAsync()).Text.Should().BeEmpty();
        await fixture.Proxy.Registry.UntilAsync("it counts as aborted", $"/stats/{host.Split('.')[0]}", s => s.GetProperty("aborted_requests").GetInt64() == 1);
    }

    [Fact]
    public async Task A_caller_that_leaves_behind_more_than_the_buffers_hold_is_noticed_at_the_idle_timeout_only()
    {
        await using var backend = await Backend.StartAsync("full");
        var host = await fixture.ServiceAsync(backend, new { timeouts = new { response = 8, idle = 8 } });
        var stats = $"/stats/{host.Split('.')[0]}";
        using (var caller = await RawConnection.ConnectAsync(fixture.Address))
        {
            await caller.SendAsync($"POST /hang HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100000000\r\n\r\n");
            var (taken, before, looks) = (0, 0, 0);
            var sending = SendAsync(caller, () => Interlocked.Increment(ref taken));
            await Eventually.Until("no buffer takes more", () =>
            {
                var now = Volatile.Read(ref taken);
                (before, looks) = (now, now == before && now > 0 ? looks + 1 : 0);
                return looks == 100;
            });
            sending.IsCompleted.Should().BeFalse();
        }

        (await fixture.Proxy.Registry.GetJsonAsync(stats)).GetProperty("active_connections").GetInt32().Should().Be(1);
        await fixture.Proxy.Registry.UntilAsync("the idle timeout ends it", stats, s => s.GetProperty("active_connections").GetInt32() == 0);

        static async Task SendAsync(RawConnection caller, Action taken)
        {
            var piece = new string('x', 100_000);
            for (var i = 0; i < 1000; i++)
            {
                await caller.SendAsync(piece);
                taken();
            }
        }
    }
}

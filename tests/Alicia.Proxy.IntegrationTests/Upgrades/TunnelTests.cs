using System.Net;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Upgrades;

/// <summary>An upgrade to any protocol becomes a tunnel: its bytes, its ends, its time and its slot.</summary>
[Trait("Depends", "forwarder")]
public sealed class TunnelTests : IAsyncLifetime
{
    private const string Ask = "GET /t/upgrade HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: made-up/1.0\r\n\r\n";

    private ProxyProcess _proxy = null!;
    private Backend _backend = null!;

    public async Task InitializeAsync()
    {
        _backend = await Backend.StartAsync("A");
        _proxy = await ProxyProcess.StartAsync();
        await _proxy.Registry.RegisterActiveAsync("t", _backend, extra: new { max_connections = 2 });
    }

    public async Task DisposeAsync()
    {
        await _proxy.DisposeAsync();
        await _backend.DisposeAsync();
    }

    [Fact]
    public async Task Bytes_go_both_ways_and_the_slot_is_held_until_the_end()
    {
        using (var tunnel = await OpenAsync())
        {
            await tunnel.SendAsync("ping\0\u00ff");
            (await tunnel.ReadCountAsync(6)).Should().Be(("ping\0\u00ff", RawEnd.Found));
            using (var second = await OpenAsync())
            {
                await _proxy.Registry.UntilAsync("two in flight", "/stats/t", s => s.GetProperty("active_connections").GetInt64() == 2);
                using var full = await _proxy.Http.GetAsync("/t/echo");
                full.StatusCode.Should().Be(HttpStatusCode.ServiceUnavailable);
            }

            await UntilActiveAsync(1);
            using var free = await _proxy.Http.GetAsync("/t/echo");
            free.StatusCode.Should().Be(HttpStatusCode.OK);
        }

        await UntilActiveAsync(0);
    }

    [Fact]
    public async Task Much_goes_through_whole()
    {
        using var tunnel = await OpenAsync();
        var text = new string([.. Enumerable.Range(0, 2_000_000).Select(i => (char)(i % 251))]);

        var sending = tunnel.SendAsync(text);
        var (read, end) = await tunnel.ReadCountAsync(text.Length);
        await sending;

        end.Should().Be(RawEnd.Found);
        (read == text).Should().BeTrue();
    }

    [Fact]
    public async Task Bytes_that_come_right_behind_the_request_are_not_lost()
    {
        using var tunnel = await RawConnection.ConnectAsync(_proxy.Address);
        await tunnel.SendAsync(Ask + "early");

        (await tunnel.ReadHeadAsync()).Text.Should().StartWith("HTTP/1.1 101 ");
        (await tunnel.ReadCountAsync(5)).Text.Should().Be("early");
    }

    [Fact]
    public async Task A_client_that_goes_takes_its_connection_to_the_instance_along_within_a_second()
    {
        var tunnel = await OpenAsync();
        await _backend.UntilStatsAsync("one open", s => s.InFlight == 1);

        tunnel.Reset();

        await _backend.UntilStatsAsync("none in flight", s => s.InFlight == 0, TimeSpan.FromSeconds(1.5));
        await UntilActiveAsync(0);
        tunnel.Dispose();
    }

    [Fact]
    public async Task A_client_s_last_bytes_reach_the_instance_before_the_end()
    {
        var received = new TaskCompletionSource<(string, RawEnd)>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var upstream = RawUpstream.Start(async (connection, _) =>
        {
            await connection.SendAsync("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: made-up/1.0\r\n\r\n");
            received.TrySetResult(await connection.ReadToEndAsync());
        });
        await RegisterAsync("last", upstream);
        using var client = await RawConnection.ConnectAsync(_proxy.Address);
        await client.SendAsync(Ask.Replace("/t/", "/last/", StringComparison.Ordinal));
        (await client.ReadHeadAsync()).Text.Should().StartWith("HTTP/1.1 101 ");

        await client.SendAsync(new string('z', 100_000));
        client.EndInput();

        var (text, end) = await received.Task.WaitAsync(Deadlines.Wait);
        text.Length.Should().Be(100_000);
        end.Should().Be(RawEnd.Closed);
    }

    [Fact]
    public async Task An_instance_s_last_bytes_reach_the_client_before_the_end()
    {
        await using var upstream = RawUpstream.Start(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: made-up/1.0\r\n\r\n" + new string('y', 300_000));
        await RegisterAsync("words", upstream);
        using var client = await RawConnection.ConnectAsync(_proxy.Address);
        await client.SendAsync(Ask.Replace("/t/", "/words/", StringComparison.Ordinal));
        (await client.ReadHeadAsync()).Text.Should().StartWith("HTTP/1.1 101 ");

        var (text, end) = await client.ReadToEndAsync();

        text.Length.Should().Be(300_000);
        end.Should().Be(RawEnd.Closed);
    }

    [Fact]
    public async Task An_instance_that_breaks_off_is_counted_as_failed_and_breaks_off_for_the_client_too()
    {
        await using var upstream = RawUpstream.Start(async (connection, _) =>
        {
            await connection.SendAsync("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: made-up/1.0\r\n\r\nhalf");
            await connection.ReadCountAsync(1);
            connection.Reset();
        });
        await RegisterAsync("cut", upstream);
        using var client = await RawConnection.ConnectAsync(_proxy.Address);
        await client.SendAsync(Ask.Replace("/t/", "/cut/", StringComparison.Ordinal));
        (await client.ReadUntilAsync("half")).End.Should().Be(RawEnd.Found);

        await client.SendAsync("x");

        (await client.ReadToEndAsync()).End.Should().Be(RawEnd.Reset);
        var stats = await _proxy.Registry.UntilAsync("none in flight", "/stats/cut", s => s.GetProperty("active_connections").GetInt64() == 0);
        stats.GetProperty("failed_requests").GetInt64().Should().Be(1);
    }

    [Fact]
    public async Task An_instance_that_is_killed_ends_the_client_s_connection()
    {
        await using var other = await Backend.StartAsync("B");
        await _proxy.Registry.RegisterActiveAsync("killed", other);
        using var client = await RawConnection.ConnectAsync(_proxy.Address);
        await client.SendAsync(Ask.Replace("/t/", "/killed/", StringComparison.Ordinal));
        (await client.ReadHeadAsync()).Text.Should().StartWith("HTTP/1.1 101 ");

        other.Process.Kill();

        (await client.ReadToEndAsync()).End.Should().BeOneOf(RawEnd.Closed, RawEnd.Reset);
        await _proxy.Registry.UntilAsync("none in flight", "/stats/killed", s => s.GetProperty("active_connections").GetInt64() == 0);
    }

    [Fact]
    public async Task A_silent_tunnel_ends_with_the_service_s_idle_timeout_and_a_busy_one_does_not()
    {
        using var patched = await _proxy.Registry.PatchServiceAsync("t", new { timeouts = new { idle = 0.5, web_socket_idle = 3 } });
        patched.IsSuccessStatusCode.Should().BeTrue(await patched.Content.ReadAsStringAsync());
        using var silent = await OpenAsync();
        using var busy = await OpenAsync();
        var end = silent.ReadToEndAsync();

        while (!end.IsCompleted)
        {
            await busy.SendAsync("x");
            (await busy.ReadCountAsync(1)).End.Should().Be(RawEnd.Found);
            await Task.WhenAny(end, Task.Delay(50));
        }

        (await end).End.Should().BeOneOf(RawEnd.Closed, RawEnd.Reset);
        await UntilActiveAsync(1);
        (await _proxy.Registry.GetJsonAsync("/stats/t")).GetProperty("failed_requests").GetInt64().Should().Be(0);
    }

    [Theory]
    [InlineData("HTTP/1.1 426 Upgrade Required\r\nUpgrade: made-up/2.0\r\nConnection: Upgrade\r\nContent-Length: 3\r\n\r\nno!", 426, "no!")]
    [InlineData("HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", 400, "no")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "ok")]
    public async Task An_instance_that_does_not_switch_answers_as_it_likes(string answer, int status, string body)
    {
        await using var upstream = RawUpstream.Start(answer);
        await RegisterAsync("refuses", upstream);

        using var request = new HttpRequestMessage(HttpMethod.Get, "/refuses/x");
        request.Headers.TryAddWithoutValidation("Connection", "Upgrade");
        request.Headers.TryAddWithoutValidation("Upgrade", "made-up/1.0");
        using var got = await _proxy.Http.SendAsync(request);

        ((int)got.StatusCode).Should().Be(status);
        (await got.Content.ReadAsStringAsync()).Should().Be(body);
        upstream.Heads.Should().ContainSingle().Which.Should().Contain("\r\nUpgrade: made-up/1.0\r\n");
    }

    [NeedsPackageFact("curl")]
    public async Task An_upgrade_to_clear_text_http2_is_not_passed_on_and_the_request_is_answered()
    {
        await using var curl = ChildProcess.Start("curl", ["-sS", "-q", "--noproxy", "*", "--http2", "-w", "\n%{http_version} %{http_code}", $"{_proxy.Address}t/echo"]);
        (await curl.WaitForExitAsync()).Should().Be(0, curl.Transcript);

        curl.Output[^1].Should().Be("1.1 200");
        var echo = string.Join('\n', curl.Output.SkipLast(1));
        echo.Should().Contain("raw_target").And.NotContainEquivalentOf("\"upgrade\"").And.NotContainEquivalentOf("http2-settings");
    }

    private async Task RegisterAsync(string service, RawUpstream upstream)
    {
        using var answer = await _proxy.Registry.RegisterAsync(service, upstream.Host, upstream.Port, query: "wait=10");
        (await RegistryApi.DocumentOfAsync(answer)).GetProperty("state").GetString().Should().Be("active");
    }

    private Task UntilActiveAsync(int count) => _proxy.Registry.UntilAsync(
        $"{count} in flight", "/stats/t", s => s.GetProperty("active_connections").GetInt64() == count);

    private async Task<RawConnection> OpenAsync()
    {
        var connection = await RawConnection.ConnectAsync(_proxy.Address);
        await connection.SendAsync(Ask);
        var (head, _) = await connection.ReadHeadAsync();
        head.Should().StartWith("HTTP/1.1 101 ").And.Contain("\r\nUpgrade: made-up/1.0\r\n");
        return connection;
    }
}

using System.Diagnostics;
using System.Globalization;
using System.Text;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Upgrades;

/// <summary>Byte for byte, what peers get at the drain timeout: a close frame stands between two frames or nowhere, and whoever does not close in time is reset.</summary>
public sealed class FrameBoundaryTests : IAsyncLifetime
{
    private const string Accepted = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

    /// <summary>What callers get: 1001, unmasked.</summary>
    private const string GoingAway = "\u0088\u0002\u0003\u00e9";

    private ProxyProcess _proxy = null!;

    public async Task InitializeAsync() => _proxy = await ProxyProcess.StartAsync(new ProxyOptions
    {
        Arguments = ["--Defaults:Drain:Timeout=00:00:00.5", "--Defaults:HealthCheck:Enabled=false", "--Registry:Store=memory"],
    });

    public async Task DisposeAsync() => await _proxy.DisposeAsync();

    [Fact]
    public async Task Between_frames_both_get_their_close_frame_and_when_both_have_answered_an_orderly_end()
    {
        var atInstance = Completion();
        await using var upstream = RawUpstream.Start(async (connection, _) =>
        {
            await connection.SendAsync(Accepted + Text("hello"));
            var close = await connection.ReadCountAsync(8);
            await connection.SendAsync("\u0088\u0002\u0003\u00e9");
            connection.EndInput();
            atInstance.TrySetResult((close.Text, (await connection.ReadToEndAsync()).End));
        });
        using var caller = await OpenAsync(upstream);
        (await caller.ReadCountAsync(7)).Text.Should().Be(Text("hello"));

        await RemoveAsync();
        (await caller.ReadCountAsync(4)).Text.Should().Be(GoingAway);
        await caller.SendAsync(Masked("\u0003\u00e9", opcode: 8));

        (await caller.ReadToEndAsync()).Should().Be(("", RawEnd.Closed), "the instance's own close frame is one too many");
        var (frame, end) = await atInstance.Task.WaitAsync(Deadlines.Wait);
        Unmasked(frame).Should().Be((8, "\u0003\u00e9"));
        end.Should().Be(RawEnd.Closed);
        await SettledAsync();
    }

    [Fact]
    public async Task In_the_middle_of_a_frame_its_end_is_waited_for()
    {
        var frame = "\u0082\u007e\u0003\u00e8" + new string('x', 1000);
        var proceed = Completion();
        await using var upstream = RawUpstream.Start(async (connection, _) =>
        {
            await connection.SendAsync(Accepted + frame[..600]);
            // The caller's direction stands between frames and closes at once: the sign that the time is up.
            (await connection.ReadCountAsync(8)).End.Should().Be(RawEnd.Found);
            await connection.SendAsync(frame[600..] + Text("too late"));
            await proceed.Task;
        });
        using var caller = await OpenAsync(upstream);
        (await caller.ReadCountAsync(600)).Text.Should().Be(frame[..600]);

        await RemoveAsync();

        (await caller.ReadCountAsync(404 + 4)).Text.Should().Be(frame[600..] + GoingAway);
        (await caller.ReadToEndAsync()).Should().Be(("", RawEnd.Reset), "nothing follows a close frame, and neither peer has answered it");
        proceed.TrySetResult(default);
        await SettledAsync();
    }

    [Fact]
    public async Task A_frame_that_does_not_end_is_cut_without_a_close_frame_in_it()
    {
        var atInstance = Completion();
        await using var upstream = RawUpstream.Start(async (connection, _) =>
        {
            await connection.SendAsync(Accepted + "\u0082\u007e\u0003\u00e8" + new string('x', 600));
            atInstance.TrySetResult(await connection.ReadToEndAsync());
        });
        using var caller = await OpenAsync(upstream);
        await caller.ReadCountAsync(604);

        var start = Stopwatch.GetTimestamp();
        await RemoveAsync();

        (await caller.ReadToEndAsync()).Should().Be(("", RawEnd.Reset));
        Stopwatch.GetElapsedTime(start).Should().BeGreaterThan(TimeSpan.FromSeconds(1.4)).And.BeLessThan(TimeSpan.FromSeconds(5));
        var (text, end) = await atInstance.Task.WaitAsync(Deadlines.Wait);
        Unmasked(text).Should().Be((8, "\u0003\u00e9"), "its direction stood between frames");
        end.Should().Be(RawEnd.Reset);
        await SettledAsync();
    }

    [Fact]
    public async Task The_instance_gets_its_close_frame_behind_the_caller_s_frame()
    {
        var message = Masked(new string('y', 100), opcode: 1);
        var atInstance = Completion();
        await using var upstream = RawUpstream.Start(async (connection, _) =>
        {
            await connection.SendAsync(Accepted);
            atInstance.TrySetResult(await connection.ReadCountAsync(message.Length + 8));
        });
        using var caller = await OpenAsync(upstream);
        await caller.SendAsync(message[..50]);

        await RemoveAsync();
        (await caller.ReadCountAsync(4)).Text.Should().Be(GoingAway);
        await caller.SendAsync(message[50..] + Masked("\u0003\u00e9", opcode: 8));

        var (text, end) = await atInstance.Task.WaitAsync(Deadlines.Wait);
        end.Should().Be(RawEnd.Found);
        text[..message.Length].Should().Be(message);
        Unmasked(text[message.Length..]).Should().Be((8, "\u0003\u00e9"));
    }

    [Fact]
    public async Task Between_the_fragments_of_a_message_a_close_frame_may_stand()
    {
        await using var upstream = RawUpstream.Start(async (connection, _) =>
        {
            await connection.SendAsync(Accepted + "\u0001\u0003one");
            await connection.ReadCountAsync(8);
            await connection.SendAsync("\u0080\u0003two");
        });
        using var caller = await OpenAsync(upstream);
        (await caller.ReadCountAsync(5)).Text.Should().Be("\u0001\u0003one");

        await RemoveAsync();

        (await caller.ReadToEndAsync()).Text.Should().Be(GoingAway);
    }

    [Fact]
    public async Task A_caller_that_has_closed_already_is_not_closed_for_again()
    {
        var close = Masked("\u000f\u00a1bye", opcode: 8);
        var atInstance = Completion();
        await using var upstream = RawUpstream.Start(async (connection, _) =>
        {
            await connection.SendAsync(Accepted);
            atInstance.TrySetResult(await connection.ReadToEndAsync());
        });
        using var caller = await OpenAsync(upstream);
        await caller.SendAsync(close);

        await RemoveAsync();

        (await caller.ReadCountAsync(4)).Text.Should().Be(GoingAway);
        (await atInstance.Task.WaitAsync(Deadlines.Wait)).Text.Should().Be(close);
    }

    [Fact]
    public async Task Peers_that_do_not_answer_a_close_frame_are_reset()
    {
        var atInstance = Completion();
        await using var upstream = RawUpstream.Start(async (connection, _) =>
        {
            await connection.SendAsync(Accepted);
            atInstance.TrySetResult(await connection.ReadToEndAsync());
        });
        using var caller = await OpenAsync(upstream);

        await RemoveAsync();

        (await caller.ReadToEndAsync()).Should().Be((GoingAway, RawEnd.Reset));
        (await atInstance.Task.WaitAsync(Deadlines.Wait)).End.Should().Be(RawEnd.Reset);
        await SettledAsync();
    }

    [Fact]
    public async Task Another_protocol_is_reset_on_both_sides()
    {
        var atInstance = Completion();
        await using var upstream = RawUpstream.Start(async (connection, _) =>
        {
            await connection.SendAsync(Accepted.Replace("websocket", "made-up/1.0", StringComparison.Ordinal) + "hello");
            atInstance.TrySetResult(await connection.ReadToEndAsync());
        });
        using var caller = await OpenAsync(upstream, "made-up/1.0");
        (await caller.ReadCountAsync(5)).Text.Should().Be("hello");

        await RemoveAsync();

        (await caller.ReadToEndAsync()).Should().Be(("", RawEnd.Reset));
        (await atInstance.Task.WaitAsync(Deadlines.Wait)).Should().Be(("", RawEnd.Reset));
        await SettledAsync();
    }

    [Fact]
    public async Task An_upgrade_that_is_answered_after_the_drain_timeout_is_ended_at_once()
    {
        var asked = Completion();
        var proceed = Completion();
        await using var upstream = RawUpstream.Start(async (connection, _) =>
        {
            asked.TrySetResult(default);
            await proceed.Task;
            await connection.SendAsync(Accepted);
            // Its own end would end the tunnel as well, without a frame.
            await connection.ReadToEndAsync();
        });
        var opening = OpenAsync(upstream);
        await asked.Task.WaitAsync(Deadlines.Wait);
        await RemoveAsync();
        await Eventually.Until("it is struck off the list", async () =>
        {
            using var answer = await _proxy.Registry.GetAsync("/services/s/a");
            return (int)answer.StatusCode == 404;
        });

        proceed.TrySetResult(default);

        using var caller = await opening;
        (await caller.ReadCountAsync(4)).Text.Should().Be(GoingAway);
    }

    private static TaskCompletionSource<(string Text, RawEnd End)> Completion() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private async Task<RawConnection> OpenAsync(RawUpstream upstream, string protocol = "websocket")
    {
        using (var answer = await _proxy.Registry.RegisterAsync("s", upstream.Host, upstream.Port, "a"))
            await RegistryApi.DocumentOfAsync(answer);
        var caller = await RawConnection.ConnectAsync(_proxy.Address);
        await caller.SendAsync($"GET /s/x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n");
        (await caller.ReadHeadAsync()).Text.Should().StartWith("HTTP/1.1 101 ");
        return caller;
    }

    private async Task RemoveAsync()
    {
        using var removal = await _proxy.Registry.DeleteInstanceAsync("s", "a");
        ((int)removal.StatusCode).Should().Be(202);
    }

    private async Task SettledAsync()
    {
        var stats = await _proxy.Registry.UntilAsync("nothing in flight", "/stats/s", s => s.GetProperty("active_connections").GetInt64() == 0);
        stats.GetProperty("failed_requests").GetInt64().Should().Be(0);
        stats.GetProperty("aborted_requests").GetInt64().Should().Be(0);
    }

    private static string Text(string payload) => string.Create(CultureInfo.InvariantCulture, $"\u0081{(char)payload.Length}{payload}");

    /// <summary>A client's frame, for payloads of up to 125 bytes.</summary>
    private static string Masked(string payload, int opcode)
    {
        const string Key = "\u0001\u0080\u00fe\u0010";
        var frame = new StringBuilder().Append((char)(0x80 | opcode)).Append((char)(0x80 | payload.Length)).Append(Key);
        for (var i = 0; i < payload.Length; i++)
            frame.Append((char)(payload[i] ^ Key[i % 4]));
        return frame.ToString();
    }

    private static (int Opcode, string Payload) Unmasked(string frame)
    {
        frame.Should().HaveLength(frame.Length < 2 ? 6 : 6 + (frame[1] & 0x7f));
        (frame[0] & 0x80).Should().Be(0x80);
        (frame[1] & 0x80).Should().Be(0x80, "clients mask");
        return (frame[0] & 0x0f, string.Concat(frame[6..].Select((c, i) => (char)(c ^ frame[2 + (i % 4)]))));
    }
}

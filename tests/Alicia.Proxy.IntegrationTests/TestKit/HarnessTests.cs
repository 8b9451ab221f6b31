using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.TestKit;

/// <summary>The harness reports what went wrong in words, and leaves nothing behind.</summary>
public sealed class HarnessTests
{
    [Fact]
    public async Task A_condition_that_never_holds_is_named_with_its_last_value()
    {
        var counter = 0;

        var wait = () => Eventually.Until("the counter is negative", () => Task.FromResult(++counter), n => n < 0, TimeSpan.FromMilliseconds(100));

        (await wait.Should().ThrowAsync<ConditionNotMetException>()).Which.Message
            .Should().Contain("the counter is negative").And.EndWith($"last value: {counter}");
    }

    [Fact]
    public async Task A_read_that_hangs_does_not_outlive_the_deadline()
    {
        var never = new TaskCompletionSource<bool>();

        var wait = () => Eventually.Until("it answers", () => never.Task, TimeSpan.FromMilliseconds(100));

        await wait.Should().ThrowAsync<ConditionNotMetException>();
    }

    [Fact]
    public async Task A_connection_failure_counts_as_not_yet()
    {
        var tries = 0;

        var value = await Eventually.Until(
            "the third try", () => ++tries < 3 ? throw new HttpRequestException("refused") : Task.FromResult(tries), n => n == 3);

        value.Should().Be(3);
    }

    [Fact]
    public async Task Output_is_captured_and_a_missing_line_is_reported_with_it()
    {
        await using var process = ChildProcess.Start("/bin/sh", ["-c", "echo one; echo two >&2; exit 7"]);

        (await process.WaitForLineAsync(line => line == "one")).Should().Be("one");
        (await process.WaitForExitAsync()).Should().Be(7);
        var wait = () => process.WaitForLineAsync(line => line == "three");

        (await wait.Should().ThrowAsync<ProcessEndedException>()).Which.Message.Should().Contain("exit code 7").And.Contain("one").And.Contain("two");
        process.Errors.Should().Equal("two");
    }

    [Fact]
    public async Task Captured_output_is_bounded_and_keeps_the_newest()
    {
        await using var process = ChildProcess.Start("/bin/sh", ["-c", "i=0; while [ $i -lt 6000 ]; do echo $i; i=$((i+1)); done"]);

        await process.WaitForExitAsync();

        process.Output.Should().HaveCount(5000);
        process.Output[^1].Should().Be("5999");
    }

    [Fact]
    public async Task Kill_and_terminate_end_a_process_by_their_signals()
    {
        await using var killed = ChildProcess.Start("sleep", ["60"]);
        await using var terminated = ChildProcess.Start("sleep", ["60"]);

        killed.Kill();
        terminated.Terminate();

        (await killed.WaitForExitAsync()).Should().Be(128 + 9);
        (await terminated.WaitForExitAsync()).Should().Be(128 + 15);
    }

    [Fact]
    public async Task A_paused_backend_accepts_but_does_not_answer_until_it_goes_on()
    {
        await using var backend = await Backend.StartAsync("paused");
        backend.Process.Pause();
        using var connection = await RawConnection.ConnectAsync(backend.Address);
        await connection.SendAsync("GET /status/204 HTTP/1.1\r\nHost: x\r\n\r\n");

        var (_, whilePaused) = await connection.ReadHeadAsync(TimeSpan.FromMilliseconds(200));
        backend.Process.Resume();
        var (head, end) = await connection.ReadHeadAsync();

        whilePaused.Should().Be(RawEnd.Deadline);
        end.Should().Be(RawEnd.Found);
        head.Should().StartWith("HTTP/1.1 204");
    }

    [Fact]
    public async Task Disposing_ends_the_process()
    {
        int id;
        await using (var backend = await Backend.StartAsync("gone"))
            id = backend.Process.Id;

        Directory.Exists($"/proc/{id}").Should().BeFalse();
    }

    [Fact]
    public async Task A_backend_comes_back_at_its_old_address()
    {
        int port;
        await using (var first = await Backend.StartAsync("first"))
        {
            port = first.Port;
            using var answer = await first.Http.GetAsync("/echo");
        }

        await using var second = await Backend.StartAsync("second", port: port);
        using var again = await second.Http.GetAsync("/echo");

        second.Port.Should().Be(port);
        again.Headers.GetValues("X-Backend").Should().Equal("second");
    }

    [Fact]
    public async Task A_proxy_that_ends_before_it_listens_is_reported_with_its_exit_code()
    {
        var start = () => ProxyProcess.StartAsync(new ProxyOptions { Listen = "nonsense" });

        (await start.Should().ThrowAsync<ProcessEndedException>()).Which.Message.Should().Contain("exit code").And.Contain("--Listen:Proxy=nonsense");
    }

    [Fact]
    public async Task The_raw_upstream_keeps_heads_as_they_came_and_answers_probes_itself()
    {
        await using var upstream = RawUpstream.Start("HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nab");

        var answer = await RawHttp.SendAsync(upstream.Address, "GET /a//b HTTP/1.1\r\nhOsT: x\r\nB: 1\r\nA: 2\r\n\r\n");
        var probe = await RawHttp.SendAsync(upstream.Address, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");

        answer.Text.Should().Be("HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nab");
        answer.Values("content-length").Should().Equal("2", "3");
        answer.End.Should().Be(RawEnd.Closed);
        probe.Status.Should().Be(200);
        upstream.Heads.Should().Equal("GET /a//b HTTP/1.1\r\nhOsT: x\r\nB: 1\r\nA: 2\r\n\r\n");
    }

    [Fact]
    public async Task A_registration_has_the_names_of_the_wire()
    {
        await using var backend = await Backend.StartAsync("tts-1", h2c: true);
        using var answer = await new RegistryApi(backend.Http).RegisterAsync("tts", backend, extra: new { weight = 3 }, query: "wait=10");

        var echo = await Backend.EchoOfAsync(answer);

        (echo.Method, echo.RawTarget).Should().Be(("POST", "/services/tts/register?wait=10"));
        var sent = JsonElement.Parse(Convert.FromBase64String(echo.BodyBase64!));
        sent.ToString().Should().Be($$"""{"host":"127.0.0.1","port":{{backend.Port}},"instance_id":"tts-1","weight":3,"protocol":"h2c"}""");
        echo.Values("Content-Type").Should().ContainSingle().Which.Should().StartWith("application/json");
    }

    [Fact]
    public async Task A_refused_call_is_reported_with_its_answer()
    {
        await using var backend = await Backend.StartAsync("refusing");
        await backend.ModeAsync(new BackendMode(Status: 409));

        var get = () => new RegistryApi(backend.Http).GetJsonAsync("/services/tts");

        (await get.Should().ThrowAsync<InvalidOperationException>()).Which.Message.Should().Contain("/services/tts").And.Contain("409");
    }

    [NeedsPackageFact("curl")]
    public async Task Programs_of_other_makers_are_at_hand()
    {
        await using var backend = await Backend.StartAsync("curled");
        await using var curl = ChildProcess.Start("curl", ["--silent", "--max-time", "20", new Uri(backend.Address, "/status/200").ToString()]);

        (await curl.WaitForExitAsync()).Should().Be(0);
        curl.Output.Should().Equal("""{"name":"curled","status":200}""");
    }
}

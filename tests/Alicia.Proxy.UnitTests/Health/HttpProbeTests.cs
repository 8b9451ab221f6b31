using System.Net;
using System.Net.Sockets;
using System.Text;
using Alicia.Proxy.Health;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.UnitTests.Health;

public sealed class HttpProbeTests : ProberFixture
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    [Theory]
    [InlineData("200 OK")]
    [InlineData("204 No Content")]
    [InlineData("302 Found\r\nLocation: http://127.0.0.1:1/")]
    [InlineData("399 Odd")]
    [InlineData("404 Not Found")]
    [InlineData("405 Method Not Allowed")]
    [InlineData("501 Not Implemented")]
    public async Task Passes_by_default(string status)
    {
        await using var instance = RawInstance.Answering($"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");

        var result = await ProbeAsync(instance.Port);

        result.Should().Be(ProbeResult.Pass("status " + status[..3]) with { Elapsed = result.Elapsed });
        result.Elapsed.Should().BePositive();
        instance.Connections.Should().Be(1, "redirects are not followed");
    }

    [Theory]
    [InlineData("500 Oops")]
    [InlineData("503 Not Now")]
    [InlineData("400 Bad")]
    public async Task Fails_by_default(string status)
    {
        await using var instance = RawInstance.Answering($"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");

        await ExpectAsync(ProbeFailure.Status, "status " + status[..3], instance.Port);
    }

    [Fact]
    public async Task A_path_that_somebody_chose_must_be_there_and_is_asked_as_it_was_written()
    {
        await using var instance = RawInstance.Answering("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");

        await ExpectAsync(ProbeFailure.Status, "status 404", instance.Port, (SettingKeys.HealthCheckPath, "/a/../b%2Fc?x=[1]"));

        instance.Heads.Single().Should().StartWith("GET /a/../b%2Fc?x=[1] HTTP/1.1\r\n");
    }

    [Fact]
    public async Task The_request_names_the_proxy_and_the_instance_and_keeps_no_connection()
    {
        await using var instance = RawInstance.Answering(Ok);

        (await ProbeAsync(instance.Port)).Passed.Should().BeTrue();
        (await ProbeAsync(instance.Port, (SettingKeys.HealthCheckHost, "tts.example:81"))).Passed.Should().BeTrue();

        var lines = instance.Heads.Select(h => h.TrimEnd().Split("\r\n")).ToList();
        lines[0].Should().BeEquivalentTo("GET /health HTTP/1.1", $"Host: 127.0.0.1:{instance.Port}", "User-Agent: Alicia.Proxy", "Connection: close");
        lines[1].Should().Contain("Host: tts.example:81");
        instance.Connections.Should().Be(2, "each probe has its own");
    }

    [Theory]
    [InlineData("Content-Length: 11\r\n\r\nall is well", true)]
    [InlineData("Content-Length: 11\r\n\r\nall is WELL", false)]
    [InlineData("Content-Length: 0\r\n\r\n", false)]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n6\r\nall is\r\n3\r\n we\r\n2\r\nll\r\n0\r\n\r\n", true)]
    public async Task The_text_must_be_in_the_body(string rest, bool passes)
    {
        await using var instance = RawInstance.Answering("HTTP/1.1 200 OK\r\n" + rest);

        var result = await ProbeAsync(instance.Port, (SettingKeys.HealthCheckBody, "is well"));

        result.Failure.Should().Be(passes ? null : ProbeFailure.Body, result.Detail);
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(65_536 - 7, true)]
    [InlineData(65_536 - 6, false)]
    [InlineData(200_000, false)]
    public async Task Only_the_first_64_KiB_are_searched(int before, bool passes)
    {
        await using var instance = RawInstance.Answering($"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{new string('i', before)}is well{new string('x', 1_000_000 - before - 7)}");

        var result = await ProbeAsync(instance.Port, (SettingKeys.HealthCheckBody, "is well"));

        result.Failure.Should().Be(passes ? null : ProbeFailure.Body, result.Detail);
    }

    [Fact]
    public async Task Text_that_arrives_in_pieces_is_found()
    {
        await using var instance = RawInstance.Doing(async (stream, cancellation) =>
        {
            await stream.WriteAsync("HTTP/1.1 200 OK\r\n\r\n"u8.ToArray(), cancellation);
            foreach (var letter in "all is wéll"u8.ToArray())
            {
                await stream.WriteAsync(new[] { letter }, cancellation);
                await Task.Delay(2, cancellation);
            }

            await RawInstance.ClosedAsync(stream, cancellation);
        });

        (await ProbeAsync(instance.Port, (SettingKeys.HealthCheckBody, "is wéll"))).Passed.Should().BeTrue("it need not wait for the end of the body");
    }

    [Fact]
    public async Task A_missing_endpoint_has_no_text_either()
    {
        await using var instance = RawInstance.Answering("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");

        await ExpectAsync(ProbeFailure.Body, "status 404", instance.Port, (SettingKeys.HealthCheckBody, "well"));
    }

    [Fact]
    public async Task One_that_accepts_and_hangs_takes_the_timeout_and_no_more()
    {
        await using var instance = RawInstance.Hanging();

        var result = await ProbeAsync(instance.Port, (SettingKeys.HealthCheckTimeout, TimeSpan.FromMilliseconds(300)));

        result.Failure.Should().Be(ProbeFailure.Timeout);
        result.Detail.Should().Be("waited 0.3 s in all, at last for an answer");
        result.Elapsed.Should().BeGreaterThan(TimeSpan.FromMilliseconds(280)).And.BeLessThan(TimeSpan.FromSeconds(3));
    }

    [Fact]
    public async Task A_body_without_end_takes_the_timeout_too()
    {
        await using var instance = RawInstance.Answering("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nall");

        (await ProbeAsync(instance.Port, (SettingKeys.HealthCheckTimeout, TimeSpan.FromMilliseconds(300)), (SettingKeys.HealthCheckBody, "well")))
            .Failure.Should().Be(ProbeFailure.Timeout);
    }

    [Fact]
    public async Task A_head_that_drips_for_ever_does_not_outlast_the_timeout()
    {
        await using var instance = RawInstance.Doing(async (stream, cancellation) =>
        {
            while (true)
            {
                await stream.WriteAsync("HTTP/1.1 100 Continue\r\n\r\n"u8.ToArray(), cancellation);
                await Task.Delay(20, cancellation);
            }
        });

        (await ProbeAsync(instance.Port, (SettingKeys.HealthCheckTimeout, TimeSpan.FromMilliseconds(300)))).Failure.Should().Be(ProbeFailure.Timeout);
    }

    [Fact]
    public async Task Nobody_listens()
    {
        int port;
        await using (var gone = RawInstance.Hanging())
            port = gone.Port;

        await ExpectAsync(ProbeFailure.Refused, $"127.0.0.1:{port}: ", port);
    }

    [Fact]
    public async Task Accepted_and_then_reset_with_or_without_reading()
    {
        await using var reads = RawInstance.Doing((stream, _) => RawInstance.Reset(stream));
        await using var doesNot = RawInstance.OnConnection((stream, _) => RawInstance.Reset(stream));

        (await ProbeAsync(reads.Port)).Failure.Should().Be(ProbeFailure.Reset);
        (await ProbeAsync(doesNot.Port)).Failure.Should().Be(ProbeFailure.Reset);
    }

    [Theory]
    [InlineData("")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Le")]
    public async Task Closed_before_the_answer_was_there(string beginning)
    {
        await using var instance = RawInstance.Doing((stream, cancellation) => stream.WriteAsync(Encoding.ASCII.GetBytes(beginning), cancellation).AsTask());

        (await ProbeAsync(instance.Port)).Failure.Should().Be(ProbeFailure.Reset);
    }

    [Theory]
    [InlineData("SSH-2.0-OpenSSH_9.6\r\n")]
    [InlineData("HTTP/1.1 abc What\r\n\r\n")]
    [InlineData("\u0001\u0002\u0003\u0004 garbage \u001b[31m\r\n\r\n")]
    public async Task Another_protocol_is_told_in_printable_words(string answer)
    {
        await using var instance = RawInstance.Answering(answer);

        var result = await ProbeAsync(instance.Port);

        result.Failure.Should().Be(ProbeFailure.Protocol, result.Detail);
        result.Detail.Should().NotBeEmpty().And.Match(d => !d.Any(char.IsControl));
    }

    [Fact]
    public async Task A_head_beyond_all_measure_is_refused()
    {
        await using var instance = RawInstance.Answering($"HTTP/1.1 200 OK\r\nX: {new string('x', 300_000)}\r\n\r\n");

        (await ProbeAsync(instance.Port)).Failure.Should().Be(ProbeFailure.Protocol);
    }

    [Fact]
    public async Task Cancelled_it_throws_and_lets_the_connection_go()
    {
        var closed = new TaskCompletionSource();
        var asked = new TaskCompletionSource();
        await using var instance = RawInstance.Doing(async (stream, cancellation) =>
        {
            asked.SetResult();
            await RawInstance.ClosedAsync(stream, cancellation);
            closed.SetResult();
        });
        using var cancelled = new CancellationTokenSource();

        var probe = ProbeAsync(Endpoint(instance.Port), Settings(), cancelled.Token);
        await asked.Task.WaitAsync(TimeSpan.FromSeconds(10));
        await cancelled.CancelAsync();

        await probe.Awaiting(p => p).Should().ThrowAsync<OperationCanceledException>();
        await closed.Task.WaitAsync(TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task Tcp_wants_a_connection_and_sends_nothing()
    {
        var received = new TaskCompletionSource<int>();
        await using var instance = RawInstance.OnConnection(async (stream, cancellation) => received.SetResult(await RawInstance.ClosedAsync(stream, cancellation)));
        (await ProbeAsync(instance.Port, (SettingKeys.HealthCheckType, "tcp"))).Passed.Should().BeTrue();
        (await received.Task.WaitAsync(TimeSpan.FromSeconds(10))).Should().Be(0);

        using var free = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        free.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        await ExpectAsync(ProbeFailure.Refused, "127.0.0.1:", ((IPEndPoint)free.LocalEndPoint!).Port, (SettingKeys.HealthCheckType, "tcp"));
    }

    [Fact]
    public async Task A_thousand_probes_leave_no_connection_open()
    {
        var open = 0;
        await using var instance = RawInstance.Doing(async (stream, cancellation) =>
        {
            Interlocked.Increment(ref open);
            await stream.WriteAsync(Encoding.ASCII.GetBytes(Ok), cancellation);
            await RawInstance.ClosedAsync(stream, cancellation);
            Interlocked.Decrement(ref open);
        });

        await Parallel.ForEachAsync(Enumerable.Range(0, 1000), async (_, _) => (await ProbeAsync(instance.Port)).Passed.Should().BeTrue());

        instance.Connections.Should().Be(1000);
        for (var began = TimeProvider.System.GetTimestamp(); Volatile.Read(ref open) > 0; await Task.Delay(5))
            TimeProvider.System.GetElapsedTime(began).Should().BeLessThan(TimeSpan.FromSeconds(10), "every connection ends with its probe");
    }

    private async Task ExpectAsync(ProbeFailure failure, string detail, int port, params (SettingKey Key, object? Value)[] own)
    {
        var result = await ProbeAsync(port, own);
        result.Failure.Should().Be(failure, result.Detail);
        result.Detail.Should().Contain(detail);
    }
}

using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Logging;

/// <summary>The access log on the standard output of a real proxy.</summary>
[Trait("Depends", "forwarder")]
public sealed class AccessLogTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    [Fact]
    public async Task Off_by_default()
    {
        await using var proxy = await StartAsync();
        await using var upstream = RawUpstream.Start(Ok);
        await ServiceAsync(proxy, upstream);

        await SendAsync(proxy, "/tts/x", "");
        await proxy.StopAsync();

        proxy.Output.Should().OnlyContain(line => line.Contains(" listening on "));
    }

    [Fact]
    public async Task Every_request_has_a_line_that_says_where_it_went_and_what_came_of_it()
    {
        await using var proxy = await StartAsync("--Logging:AccessLog=on");
        await using var upstream = RawUpstream.Start(Ok);
        await ServiceAsync(proxy, upstream);

        await RawHttp.SendAsync(proxy.Address,
            "POST /tts/say?text=a%20b&api_key=hidden HTTP/1.1\r\nHost: front\r\nX-Request-Id: one\r\nUser-Agent: test/1\r\nReferer: http://x/?token=hidden\r\n"
            + "Authorization: Bearer hidden\r\nCookie: c=hidden\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");

        var line = await LineAsync(proxy, "one");
        Of(line, "method", "scheme", "host", "path", "protocol", "service", "instance_id", "upstream", "outcome", "user_agent", "referer", "client").Should().Equal(
            "POST", "http", "front", "/tts/say?text=a%20b&api_key=***", "HTTP/1.1", "tts", "a", $"127.0.0.1:{upstream.Port}", "success", "test/1", "http://x/?token=***", "127.0.0.1");
        (line.GetProperty("status").GetInt32(), line.GetProperty("bytes_in").GetInt64(), line.GetProperty("bytes_out").GetInt64(), line.GetProperty("attempts").GetInt32())
            .Should().Be((200, 5, 2, 1));
        line.GetProperty("time_to_head").GetDouble().Should().BePositive().And.BeLessThanOrEqualTo(line.GetProperty("duration").GetDouble());
        line.GetProperty("proxy_status").ValueKind.Should().Be(JsonValueKind.Null);
        DateTimeOffset.Parse(line.GetProperty("time").GetString()!, System.Globalization.CultureInfo.InvariantCulture)
            .Should().BeCloseTo(DateTimeOffset.Now, TimeSpan.FromMinutes(5));
        proxy.Process.Transcript.Should().NotContain("hidden");
    }

    [Fact]
    public async Task What_the_proxy_answers_itself_has_its_reason()
    {
        await using var proxy = await StartAsync("--Logging:AccessLog=true");
        var dead = RawUpstream.Start(Ok);
        await ServiceAsync(proxy, dead);
        await dead.DisposeAsync();

        await SendAsync(proxy, "/tts/x", "X-Request-Id: refused\r\n");
        await SendAsync(proxy, "/nobody", "X-Request-Id: unknown\r\n");
        await SendAsync(proxy, "/tts/../x", "X-Request-Id: dots\r\n");

        Told(await LineAsync(proxy, "refused")).Should().Be((502, "failure", "alicia; error=connection_refused", 1));
        Told(await LineAsync(proxy, "unknown")).Should().Be((404, "rejected", "alicia; error=destination_not_found", 0));
        Told(await LineAsync(proxy, "dots")).Should().Be((400, "rejected", "alicia; error=http_request_error", 0));
    }

    [Fact]
    public async Task Failures_and_callers_who_leave_are_told_apart()
    {
        await using var proxy = await StartAsync("--Logging:AccessLog=on");
        var arrived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var upstream = RawUpstream.Start(async (connection, head) =>
        {
            if (head.Contains("/cut"))
                await connection.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
            else if (head.Contains("/sick"))
                await connection.SendAsync("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
            else
            {
                arrived.SetResult();
                await connection.ReadToEndAsync();
            }
        });
        await ServiceAsync(proxy, upstream);

        await SendAsync(proxy, "/tts/cut", "X-Request-Id: cut\r\n");
        await SendAsync(proxy, "/tts/sick", "X-Request-Id: sick\r\n");
        using (var caller = await RawConnection.ConnectAsync(proxy.Address))
        {
            await caller.SendAsync("GET /tts/slow HTTP/1.1\r\nHost: x\r\nX-Request-Id: left\r\n\r\n");
            await arrived.Task.WaitAsync(Deadlines.Wait);
        }

        Told(await LineAsync(proxy, "cut")).Should().Be((200, "failure", null, 1));
        Told(await LineAsync(proxy, "sick")).Should().Be((503, "failure", null, 1));
        Told(await LineAsync(proxy, "left")).Should().Be((499, "aborted", null, 1));
    }

    [Fact]
    public async Task The_combined_format_is_one_line_whatever_a_caller_writes()
    {
        await using var proxy = await StartAsync("--Logging:AccessLog=on", "--Logging:AccessLogFormat=combined");

        await SendAsync(proxy, "/x\"y", "X-Request-Id: odd\r\nUser-Agent: a\" \u009b31m \\ \u00e9\r\n");
        await SendAsync(proxy, "/x", "X-Request-Id: plain\r\n");

        await proxy.Process.WaitForLineAsync(l => l.Contains("\"plain\""));
        proxy.Output.Should().ContainSingle(l => l.Contains("\"odd\"")).Which.Should().MatchRegex(
            """^127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET /x\\x22y HTTP/1\.1" 404 \d+ "-" "a\\x22 \\x9B31m \\x5C \\xE9" "odd" "x" "-" "-" "-" 0 [0-9.]+ - rejected "alicia; error=destination_not_found" "-"$""");
    }

    [Fact]
    public async Task A_share_of_requests_is_logged_and_the_share_changes_while_running()
    {
        const int Requests = 600;
        const double Share = 0.3;
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions
        {
            Arguments = ["--Registry:Store=memory"],
            ConfigJson = """{ "Logging": { "AccessLog": 0.3 } }""",
        });
        for (var i = 0; i < Requests; i++)
            (await proxy.Http.GetAsync("/sampled")).Dispose();

        await proxy.WriteConfigAsync("""{ "Logging": { "AccessLog": "on" } }""");
        await Eventually.Until("a reload is told", () => proxy.Process.Errors.Any(l => l.Contains("Logging:AccessLog")), Deadlines.Start);
        (await proxy.Http.GetAsync("/last")).Dispose();
        await proxy.Process.WaitForLineAsync(l => l.Contains("\"path\":\"/last\""));

        // Five standard deviations: one run in a million fails by chance.
        proxy.Output.Count(l => l.Contains("\"path\":\"/sampled\"")).Should().BeCloseTo((int)(Requests * Share), (uint)(5 * Math.Sqrt(Requests * Share * (1 - Share))));
    }

    [Fact]
    public async Task The_last_lines_are_written_before_the_proxy_ends()
    {
        await using var proxy = await StartAsync("--Logging:AccessLog=on", "--Shutdown:Grace=00:00:00");
        for (var i = 0; i < 50; i++)
            await SendAsync(proxy, "/x", $"X-Request-Id: n{i}\r\n");

        await proxy.StopAsync();

        proxy.Output.Count(l => l.Contains("\"request_id\":\"n")).Should().Be(50);
    }

    private static Task<ProxyProcess> StartAsync(params string[] arguments) =>
        ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Registry:Store=memory", "--Defaults:Retry:Attempts=0", .. arguments] });

    private static async Task ServiceAsync(ProxyProcess proxy, RawUpstream upstream)
    {
        using var registered = await proxy.Registry.RegisterAsync("tts", upstream.Host, upstream.Port, extra: new { instance_id = "a" }, query: "wait=10");
        await RegistryApi.DocumentOfAsync(registered);
    }

    private static Task<RawAnswer> SendAsync(ProxyProcess proxy, string target, string fields) =>
        RawHttp.SendAsync(proxy.Address, $"GET {target} HTTP/1.1\r\nHost: x\r\n{fields}Connection: close\r\n\r\n");

    private static async Task<JsonElement> LineAsync(ProxyProcess proxy, string requestId) =>
        JsonElement.Parse(await proxy.Process.WaitForLineAsync(line => line.Contains($"\"request_id\":\"{requestId}\"")));

    private static IEnumerable<string?> Of(JsonElement line, params string[] fields) => fields.Select(field => line.GetProperty(field).GetString());

    private static (int Status, string? Outcome, string? ProxyStatus, int Attempts) Told(JsonElement line) =>
        (line.GetProperty("status").GetInt32(), line.GetProperty("outcome").GetString(), line.GetProperty("proxy_status").GetString(), line.GetProperty("attempts").GetInt32());
}

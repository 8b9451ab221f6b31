using System.Diagnostics;
using System.Net;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Upgrades;

/// <summary>How WebSockets end when their instance has drained for long enough or the proxy stops, as clients and servers of another implementation see it.</summary>
public sealed class FarewellTests : IAsyncLifetime
{
    private ProxyProcess _proxy = null!;
    private PythonPeer _server = null!;

    public async Task InitializeAsync()
    {
        if (MissingPackages.SkipReason(["python3-websockets"]) is not null)
            return;
        _server = await PythonPeer.ServeAsync("ws_server.py");
        _proxy = await ProxyProcess.StartAsync(new ProxyOptions
        {
            Arguments = ["--Defaults:Drain:Timeout=00:00:01", "--Shutdown:Grace=00:00:01", "--Shutdown:Timeout=00:00:03"],
        });
        await RegisterAsync("talk", _server.Port);
    }

    public async Task DisposeAsync()
    {
        if (_proxy is not null)
            await _proxy.DisposeAsync();
        if (_server is not null)
            await _server.DisposeAsync();
    }

    [NeedsPackageFact("python3-websockets")]
    public async Task At_the_drain_timeout_both_peers_see_1001_and_the_removal_is_answered()
    {
        await using var client = await WatchAsync("talk", 3);

        using var removal = await _proxy.Registry.DeleteInstanceAsync("talk", "one", wait: 15);

        removal.StatusCode.Should().Be(HttpStatusCode.OK);
        (await CodesAsync(client)).Should().Equal(new Dictionary<string, int> { ["1001"] = 3 });
        await Eventually.Until("the server saw it too", () => _server.Process.Output.Count(l => l == "closed 1001 ") == 3);
        await UntilSettledAsync("talk");
    }

    [NeedsPackageFact("python3-websockets")]
    public async Task Those_to_an_instance_that_moved_live_on_until_its_drain_timeout()
    {
        await using var elsewhere = await PythonPeer.ServeAsync("ws_server.py");
        using (var patched = await _proxy.Registry.PatchServiceAsync("talk", new { drain = new { timeout = 3 } }))
            patched.IsSuccessStatusCode.Should().BeTrue();
        await using var client = await WatchAsync("talk", 2);

        var moved = Stopwatch.GetTimestamp();
        await RegisterAsync("talk", elsewhere.Port);
        await using var fresh = await WatchAsync("talk", 1);
        await EchoAsync(client);

        (await CodesAsync(client)).Should().Equal(new Dictionary<string, int> { ["1001"] = 2 });
        Stopwatch.GetElapsedTime(moved).Should().BeGreaterThan(TimeSpan.FromSeconds(2.9));
        await EchoAsync(fresh);
        elsewhere.Process.Output.Should().NotContain(l => l.StartsWith("closed", StringComparison.Ordinal));
    }

    [NeedsPackageFact("python3-websockets")]
    public async Task Those_to_an_instance_that_came_back_elsewhere_while_it_drained_end_at_the_drain_timeout_that_had_begun()
    {
        await using var elsewhere = await PythonPeer.ServeAsync("ws_server.py");
        await using var client = await WatchAsync("talk", 1);
        using (var removal = await _proxy.Registry.DeleteInstanceAsync("talk", "one"))
            removal.StatusCode.Should().Be(HttpStatusCode.Accepted);

        await RegisterAsync("talk", elsewhere.Port);

        (await CodesAsync(client)).Should().Equal(new Dictionary<string, int> { ["1001"] = 1 });
    }

    [NeedsPackageFact("python3-websockets")]
    public async Task An_operator_s_drain_ends_them_at_the_drain_timeout_and_keeps_the_instance()
    {
        await using var client = await WatchAsync("talk", 2);
        using (var patched = await _proxy.Registry.PatchInstanceAsync("talk", "one", new { state = "draining" }))
            patched.IsSuccessStatusCode.Should().BeTrue();

        (await CodesAsync(client)).Should().Equal(new Dictionary<string, int> { ["1001"] = 2 });
        (await _proxy.Registry.InstanceAsync("talk", "one")).GetProperty("state").GetString().Should().Be("draining");

        using (var patched = await _proxy.Registry.PatchInstanceAsync("talk", "one", new { state = "active" }))
            patched.IsSuccessStatusCode.Should().BeTrue();
        await using var fresh = await WatchAsync("talk", 1);
        await EchoAsync(fresh);
    }

    [NeedsPackageFact("python3-websockets")]
    public async Task Taken_back_in_before_the_drain_timeout_it_keeps_them()
    {
        await RegisterAsync("other", _server.Port);
        await using var kept = await WatchAsync("talk", 1);
        await using var ended = await WatchAsync("other", 1);
        foreach (var state in new[] { "draining", "active" })
        {
            using var patched = await _proxy.Registry.PatchInstanceAsync("talk", "one", new { state });
            patched.IsSuccessStatusCode.Should().BeTrue();
        }

        // Begun later, over later: the first one's time would be up by then.
        using (var removal = await _proxy.Registry.DeleteInstanceAsync("other", "one"))
            removal.StatusCode.Should().Be(HttpStatusCode.Accepted);
        (await CodesAsync(ended)).Should().Equal(new Dictionary<string, int> { ["1001"] = 1 });
        await EchoAsync(kept);
    }

    [NeedsPackageFact("python3-websockets")]
    public async Task A_proxy_that_stops_closes_fifty_and_is_gone_in_time()
    {
        await using var client = await WatchAsync("talk", 50);
        var start = Stopwatch.GetTimestamp();

        _proxy.Process.Terminate();
        await Eventually.Until("it accepts no more", async () =>
        {
            try
            {
                using var refused = await RawConnection.ConnectAsync(_proxy.Address);
                return false;
            }
            catch (System.Net.Sockets.SocketException)
            {
                return true;
            }
        });
        await EchoAsync(client);

        (await CodesAsync(client)).Should().Equal(new Dictionary<string, int> { ["1001"] = 50 });
        Stopwatch.GetElapsedTime(start).Should().BeGreaterThan(TimeSpan.FromSeconds(2.9), "they may end by themselves until shortly before the timeout");
        (await _proxy.Process.WaitForExitAsync()).Should().Be(0);
        Stopwatch.GetElapsedTime(start).Should().BeLessThan(TimeSpan.FromSeconds(4.5));
        await Eventually.Until("the server saw it too", () => _server.Process.Output.Count(l => l == "closed 1001 ") == 50);
    }

    private async Task RegisterAsync(string service, int port)
    {
        using var answer = await _proxy.Registry.RegisterAsync(service, "127.0.0.1", port, "one", new { health_check = new { type = "tcp" } }, "wait=10");
        answer.IsSuccessStatusCode.Should().BeTrue(await answer.Content.ReadAsStringAsync());
    }

    private async Task<ChildProcess> WatchAsync(string service, int count)
    {
        var client = PythonPeer.Start("ws_watch.py", $"ws://{_proxy.Address.Authority}/{service}/echo", $"{count}");
        await client.WaitForLineAsync(l => l == $"open {count}");
        return client;
    }

    /// <summary>Has every socket of a client send something and get it back.</summary>
    private static async Task EchoAsync(ChildProcess client)
    {
        var before = client.Output.Count(l => l == "echo");
        await client.WriteLineAsync("again");
        await Eventually.Until("an echo on every socket", () => client.Output.Count(l => l == "echo") > before);
    }

    /// <summary>Close codes and how many sockets saw each, once all are closed.</summary>
    private static async Task<Dictionary<string, int>> CodesAsync(ChildProcess client) =>
        (await PythonPeer.ResultAsync(client)).EnumerateObject().ToDictionary(p => p.Name, p => p.Value.GetInt32());

    private async Task UntilSettledAsync(string service)
    {
        var stats = await _proxy.Registry.UntilAsync("nothing in flight", $"/stats/{service}", s => s.GetProperty("active_connections").GetInt64() == 0);
        stats.GetProperty("failed_requests").GetInt64().Should().Be(0);
        stats.GetProperty("aborted_requests").GetInt64().Should().Be(0);
    }
}

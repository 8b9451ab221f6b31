using System.Net;
using Alicia.Proxy.IntegrationTests.Api;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Names;

/// <summary>Names that lead, at once or later, to where no instance may be: the proxy's own listeners and link-local addresses.</summary>
public sealed class RebindingTests : IAsyncLifetime
{
    private const string Good = "127.0.0.2";

    private readonly OwnHosts _hosts = new();
    private PythonPeer? _server;
    private ProxyProcess? _proxy;

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        if (_proxy is not null)
            await _proxy.DisposeAsync();
        if (_server is not null)
            await _server.DisposeAsync();
        _hosts.Dispose();
    }

    /// <summary>The server at 127.0.0.2 and management at 127.0.0.1 have the same port: only the name's answer decides which of them is reached.</summary>
    [NeedsOwnHostsFact("python3")]
    public async Task A_name_that_changes_its_answer_reaches_neither_management_nor_a_link_local_address()
    {
        _server = await PythonPeer.ServeAsync("named_servers.py", Good);
        _hosts.Write($"{Good} mine.test", $"{Good} cloud.test", $"{Good} probed.test", "169.254.169.254 evil.test", "127.0.0.1 self.test", $"169.254.1.1 both.test", $"{Good} both.test");
        _proxy = await ProxyProcess.StartAsync(new ProxyOptions { Wrapper = _hosts.Wrapper, ListenManagement = $"http://127.0.0.1:{_server.Port}" });

        (await _proxy.Registry.RegisterAsync("evil", "evil.test", 80).ProblemAsync(400)).GetProperty("errors").GetProperty("host")[0].GetString()
            .Should().Contain("169.254.169.254").And.Contain("link-local");
        (await _proxy.Registry.RegisterAsync("self", "self.test", _server.Port).ProblemAsync(400)).GetProperty("errors").GetProperty("host")[0].GetString()
            .Should().Contain("listener of this proxy");
        await _proxy.Registry.RegisterAsync("mine", "mine.test", _server.Port).DocumentAsync(201);
        await _proxy.Registry.RegisterAsync("cloud", "cloud.test", _server.Port).DocumentAsync(201);
        await _proxy.Registry.RegisterAsync("both", "both.test", _server.Port).DocumentAsync(201);
        await _proxy.Registry.RegisterAsync("probed", "probed.test", _server.Port, extra: new { health_check = new { enabled = true, interval = 0.2, timeout = 0.2, fast = 0.1 } }).DocumentAsync(201);
        foreach (var service in new[] { "mine", "cloud", "both" })
            (await _proxy.Http.GetStringAsync($"/{service}/services")).Should().Be(Good);

        _hosts.Write("127.0.0.1 mine.test", "169.254.169.254 cloud.test", "127.0.0.1 probed.test");

        await Eventually.Until("neither is reached any more", async () => (await StatusAsync("mine"), await StatusAsync("cloud")) == ("prohibited", "prohibited"), TimeSpan.FromSeconds(25));
        await Eventually.Until("the probe is refused too", async () =>
            (await _proxy.Registry.ServiceAsync("probed")).GetProperty("instances")[0].GetProperty("health_status").GetString() == "unhealthy", TimeSpan.FromSeconds(25));
    }

    private async Task<string> StatusAsync(string service)
    {
        using var answer = await _proxy!.Http.GetAsync($"/{service}/services");
        if (answer.StatusCode == HttpStatusCode.BadGateway && answer.Headers.GetValues("Proxy-Status").Single() == "alicia; error=destination_ip_prohibited")
            return "prohibited";
        // Until the look-up is renewed, the old address answers; management never does.
        (await answer.Content.ReadAsStringAsync()).Should().Be(Good);
        return "old";
    }
}

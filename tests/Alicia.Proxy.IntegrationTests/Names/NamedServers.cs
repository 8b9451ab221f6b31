using System.Net;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Names;

/// <summary>Servers on several loopback addresses behind one name, and a proxy for which the test decides what the name means.</summary>
public abstract class NamedServers : IAsyncLifetime
{
    private protected const string One = "127.0.0.1";
    private protected const string Two = "127.0.0.2";
    private protected const string Three = "127.0.0.3";

    /// <summary>Look-ups are renewed after ten seconds, by the next request.</summary>
    private protected static readonly TimeSpan Renewal = TimeSpan.FromSeconds(25);

    private readonly OwnHosts _hosts = new();
    private readonly List<PythonPeer> _servers = [];

    private protected ProxyProcess Proxy { get; private set; } = null!;

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        if (Proxy is not null)
            await Proxy.DisposeAsync();
        foreach (var server in _servers)
            await server.DisposeAsync();
        _hosts.Dispose();
    }

    /// <summary>Replaces all names.</summary>
    private protected void Names(params string[] lines) => _hosts.Write(lines);

    private protected async Task<PythonPeer> StartAsync(params string[] addresses)
    {
        var server = await PythonPeer.ServeAsync("named_servers.py", addresses);
        _servers.Add(server);
        _hosts.Write([.. addresses.Select(a => $"{a} peer.test")]);
        Proxy = await ProxyProcess.StartAsync(new ProxyOptions { Wrapper = _hosts.Wrapper });
        await RegisterAsync("named", "peer.test");
        return server;
    }

    private protected async Task RegisterAsync(string service, string host, int? port = null)
    {
        using var answer = await Proxy.Registry.RegisterAsync(service, host, port ?? _servers[0].Port, "one", new { health_check = new { type = "tcp" } });
        (await RegistryApi.DocumentOfAsync(answer)).GetProperty("host").GetString().Should().Be(host);
    }

    /// <summary>Asks one after the other; every request must be answered.</summary>
    /// <returns>How often each address did.</returns>
    private protected async Task<Dictionary<string, int>> AskAsync(int times)
    {
        var seen = new Dictionary<string, int>();
        for (var i = 0; i < times; i++)
        {
            using var answer = await Proxy.Http.GetAsync("/named/x");
            answer.StatusCode.Should().Be(HttpStatusCode.OK, await answer.Content.ReadAsStringAsync());
            var address = await answer.Content.ReadAsStringAsync();
            seen[address] = seen.GetValueOrDefault(address) + 1;
        }

        return seen;
    }

    private protected async Task<long> FailuresAsync() => (await Proxy.Registry.GetJsonAsync("/stats/named")).GetProperty("failed_requests").GetInt64();

    private protected static async Task CommandAsync(PythonPeer server, string command)
    {
        var before = server.Process.Output.Count;
        await server.Process.WriteLineAsync(command);
        await Eventually.Until($"'{command}' is done", () => server.Process.Output.Count > before);
    }
}

using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Guarding;

/// <summary>gRPC servers are asked and judged in their own words.</summary>
public sealed class GrpcGuardTests : IAsyncLifetime
{
    private ProxyProcess _proxy = null!;
    private PythonPeer _server = null!;

    public async Task InitializeAsync()
    {
        if (MissingPackages.SkipReason(["python3-grpcio"]) is not null)
            return;
        _server = await PythonPeer.ServeAsync("grpc_server.py");
        _proxy = await ProxyProcess.StartAsync(new ProxyOptions { Guards = true, Listen = "http://127.0.0.1:0;h2c://127.0.0.1:0", Arguments = GuardedProxy.Quick });
    }

    public async Task DisposeAsync()
    {
        if (_proxy is not null)
            await _proxy.DisposeAsync();
        if (_server is not null)
            await _server.DisposeAsync();
    }

    [NeedsPackageFact("python3-grpcio")]
    public async Task A_server_that_is_not_serving_is_out_until_it_is()
    {
        await RegisterAsync("checked", new { protocol = "h2c", health_check = new { type = "grpc" } });
        (await CodeAsync("checked", "unary", "x")).Should().BeNull();

        // NOT_SERVING, then SERVING.
        await _server.Process.WriteLineAsync("2");
        await _proxy.Registry.UntilInstanceAsync("checked", "one", "unhealthy", i => i.Health() == "unhealthy");
        (await CodeAsync("checked", "unary", "x")).Should().Be("UNAVAILABLE");
        await _server.Process.WriteLineAsync("1");
        await _proxy.Registry.UntilInstanceAsync("checked", "one", "healthy", i => i.Health() == "healthy");
        (await CodeAsync("checked", "unary", "x")).Should().BeNull();
    }

    [NeedsPackageFact("python3-grpcio")]
    public async Task Five_calls_answered_UNAVAILABLE_open_the_circuit_and_other_codes_do_not()
    {
        await RegisterAsync("judged", new { protocol = "h2c", health_check = new { type = "tcp", interval = 3600, fast = 3600 } });
        for (var i = 0; i < 6; i++)
            (await CodeAsync("judged", "fail", "13")).Should().Be("INTERNAL");
        (await _proxy.Registry.InstanceAsync("judged", "one")).Circuit().Should().Be("closed");

        for (var i = 0; i < 5; i++)
            (await CodeAsync("judged", "fail", "14")).Should().Be("UNAVAILABLE");

        var opened = await _proxy.Registry.InstanceAsync("judged", "one");
        (opened.Failures(), opened.Reason()).Should().Be((5, "grpc_unavailable"));
        opened.GetProperty("failed_requests").GetInt64().Should().Be(5);
    }

    private async Task RegisterAsync(string service, object fields)
    {
        using var answer = await _proxy.Registry.RegisterAsync(service, "127.0.0.1", _server.Port, "one", fields, "wait=15");
        (await RegistryApi.DocumentOfAsync(answer)).State().Should().Be("active");
    }

    /// <summary>The code that a call failed with; null when it was answered.</summary>
    private async Task<string?> CodeAsync(string service, string scenario, string argument)
    {
        var result = await PythonPeer.RunAsync("grpc_client.py", _proxy.Listeners.First(l => l.Scheme == "h2c").Authority, service + ".alicia.local", scenario, argument);
        return result.TryGetProperty("code", out var code) && code.GetString() != "OK" ? code.GetString() : null;
    }
}

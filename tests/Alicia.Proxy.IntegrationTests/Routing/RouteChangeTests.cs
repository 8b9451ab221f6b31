using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Routing;

/// <summary>Routing changes while requests run: nobody notices but those whom the change is for.</summary>
public sealed class RouteChangeTests
{
    [Fact]
    public async Task Routes_and_services_come_and_go_under_load_without_a_failed_request()
    {
        await using var backend = await Backend.StartAsync("tts-1");
        await using var other = await Backend.StartAsync("other");
        await using var proxy = await ProxyProcess.StartAsync();
        await proxy.Registry.RegisterActiveAsync("tts", backend);
        await SetRoutesAsync(proxy, "tts", new { path = "/v1/{**rest}" });

        var load = Load.Start(proxy.Address, clients: 8, n => n % 2 == 0 ? "/tts/status/204" : "/v1/x");
        for (var round = 0; round < 40; round++)
        {
            // The declared route stays throughout, others beside it change; services come and go.
            await SetRoutesAsync(proxy, "tts", new { path = "/v1/{**rest}" }, new { path = $"/round{round}/{{x}}" });
            await proxy.Registry.RegisterActiveAsync($"new{round}", other);
            await SetRoutesAsync(proxy, $"new{round}", new { hosts = new[] { $"new{round}.example" } });
            (await proxy.GetRawAsync($"/round{round}/y")).Backend.Should().Be("tts-1");
            (await proxy.GetRawAsync("/y", $"new{round}.example")).Backend.Should().Be("other");
            if (round % 2 == 0)
                using (await proxy.Registry.DeleteServiceAsync($"new{round}")) { }
        }
        await load.MoreAsync(100);
        var report = await load.StopAsync();

        report.Failures.Should().BeEmpty();
        report.ByBackend.Should().Equal(new Dictionary<string, int> { ["tts-1"] = report.Sent });
    }

    [Fact]
    public async Task Instances_and_services_rebuild_no_routes()
    {
        await using var backend = await Backend.StartAsync("tts-1");
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Logging:LogLevel:Yarp=Debug"] });
        await proxy.Registry.RegisterActiveAsync("tts", backend);
        await SetRoutesAsync(proxy, "tts", new { path = "/v1/{**rest}" });
        await UntilLoggedAsync(proxy, "'tts#0'");
        var routes = RouteLines(proxy);

        for (var i = 0; i < 20; i++)
        {
            using var instance = await proxy.Registry.RegisterAsync("tts", backend, $"more-{i}", new { weight = i + 1 });
            using var service = await proxy.Registry.RegisterAsync($"other{i}", backend);
            using var patch = await proxy.Registry.PatchServiceAsync($"other{i}", new { algorithm = "random" });
            using var weight = await proxy.Registry.PatchInstanceAsync("tts", $"more-{i}", new { weight = 100 });
            using var removed = await proxy.Registry.DeleteInstanceAsync("tts", $"more-{i}");
            new[] { instance, service, patch, weight, removed }.Should().OnlyContain(answer => answer.IsSuccessStatusCode);
        }
        // Another route change behind them proves that the log shows such lines, and that none is still on its way.
        await SetRoutesAsync(proxy, "tts", new { path = "/v1/{**rest}" }, new { path = "/v2/{**rest}" });
        await UntilLoggedAsync(proxy, "'tts#1'");

        RouteLines(proxy).Except(routes).Should().ContainSingle().Which.Should().Contain("'tts#1'");
        proxy.Process.Errors.Should().Contain(line => line.Contains("'other19'", StringComparison.Ordinal), "clusters are logged at this level too");
    }

    private static async Task SetRoutesAsync(ProxyProcess proxy, string service, params object[] routes)
    {
        using var answer = await proxy.Registry.PatchServiceAsync(service, new { routes });
        await RegistryApi.DocumentOfAsync(answer);
    }

    private static Task UntilLoggedAsync(ProxyProcess proxy, string text) =>
        Eventually.Until($"a line about route {text}", () => RouteLines(proxy).Any(line => line.Contains(text, StringComparison.Ordinal)));

    /// <summary>YARP's lines about added, changed and removed routes.</summary>
    private static string[] RouteLines(ProxyProcess proxy) =>
        [.. proxy.Process.Errors.Where(line => line.Contains("Yarp", StringComparison.Ordinal) && line.Contains("Route '", StringComparison.Ordinal))];
}

using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Routing;

/// <summary>Domain, default service and path prefixes are configuration's to say.</summary>
public sealed class RoutingRulesTests
{
    [Fact]
    public async Task Without_path_prefixes_only_the_host_names_a_service()
    {
        await using var backend = await Backend.StartAsync("tts-1");
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Routing:PathPrefix=false", "--Routing:Domain=Home.example"] });
        await proxy.Registry.RegisterActiveAsync("tts", backend);

        (await proxy.GetRawAsync("/tts/x")).ShouldBeRefused(404, "destination_not_found");
        (await proxy.GetRawAsync("/tts/x", "tts.alicia.local")).ShouldBeRefused(404, "destination_not_found");
        var routed = await proxy.GetRawAsync("/tts/x", "tts.home.example");
        routed.Where.Should().Be(("tts-1", "/tts/x"));
        routed.Prefix.Should().BeEmpty();
    }

    [Fact]
    public async Task The_default_service_takes_what_nothing_else_does_and_comes_last()
    {
        await using var main = await Backend.StartAsync("main");
        await using var tts = await Backend.StartAsync("tts");
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Routing:DefaultService=main"] });

        (await proxy.GetRawAsync("/x")).ShouldBeRefused(404, "destination_not_found");
        await proxy.Registry.RegisterActiveAsync("main", main);
        await proxy.Registry.RegisterActiveAsync("tts", tts);
        using (var routes = await proxy.Registry.PatchServiceAsync("tts", new { routes = new[] { new { path = "/v1/{**rest}" } } }))
            await RegistryApi.DocumentOfAsync(routes);

        (await proxy.GetRawAsync("/x?q", "anything.example")).Where.Should().Be(("main", "/x?q"));
        (await proxy.GetRawAsync("/")).Where.Should().Be(("main", "/"));
        (await proxy.GetRawAsync("/%74ts/x")).Where.Should().Be(("main", "/%74ts/x"));
        (await proxy.GetRawAsync("/V1/x")).Where.Should().Be(("main", "/V1/x"));
        (await proxy.GetRawAsync("/x", "tts.alicia.local")).Where.Should().Be(("tts", "/x"));
        (await proxy.GetRawAsync("/tts/x")).Where.Should().Be(("tts", "/x"));
        (await proxy.GetRawAsync("/main/x")).Where.Should().Be(("main", "/x"));
        (await proxy.GetRawAsync("/v1/x")).Where.Should().Be(("tts", "/v1/x"));
    }
}

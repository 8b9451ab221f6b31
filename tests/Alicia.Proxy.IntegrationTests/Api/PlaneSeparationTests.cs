using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Api;

/// <summary>The two listeners never mix: neither answers for the other, whatever services are called.</summary>
public sealed class PlaneSeparationTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    [Theory]
    [InlineData("/stats")]
    [InlineData("/openapi/v1.json")]
    [InlineData("/docs/index.html")]
    [InlineData("/health/ready")]
    public async Task Management_paths_on_the_data_listener_name_no_service(string path)
    {
        using var answer = await running.Proxy.Http.GetAsync(path);

        answer.Headers.GetValues("Proxy-Status").Single().Should().Contain("destination_not_found");
        await Task.FromResult(answer).ProblemAsync(404);
    }

    [Fact]
    public async Task Registrations_on_the_data_listener_register_nothing()
    {
        var service = running.NewService();

        await running.Proxy.Http.SendJsonAsync("POST", $"/services/{service}/register", """{"host":"127.0.0.1","port":9}""").StatusAsync();

        await running.Proxy.Registry.GetAsync($"/services/{service}").ProblemAsync(404);
    }

    [Fact]
    public async Task Data_paths_on_the_management_listener_are_unknown_there()
    {
        var service = running.NewService();
        await running.Proxy.Registry.RegisterActiveAsync(service, running.A);
        await running.Proxy.Registry.PatchServiceAsync(service, new { routes = new[] { new { path = $"/own/{service}/{{**rest}}" } } }).DocumentAsync(200);
        (await running.Proxy.Http.GetAsync($"/own/{service}/x").StatusAsync()).Should().Be(200);

        foreach (var path in new[] { $"/{service}/echo", $"/own/{service}/x" })
        {
            using var answer = await running.Proxy.Api.GetAsync(path);
            answer.Headers.Contains("Proxy-Status").Should().BeFalse();
            await Task.FromResult(answer).ProblemAsync(404);
        }
    }

    [Fact]
    public async Task Services_may_be_called_like_management_paths()
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Registry:Store=memory"] });
        foreach (var name in new[] { "services", "health", "stats", "docs" })
        {
            await proxy.Registry.RegisterActiveAsync(name, running.A);
            (await Backend.EchoOfAsync(await proxy.Http.GetAsync($"/{name}/ready"))).RawTarget.Should().Be("/ready");
        }

        (await proxy.Api.GetAsync("/health/ready").StatusAsync()).Should().Be(200);
        (await proxy.Registry.GetJsonAsync("/services")).GetProperty("services").ValueKind.Should().Be(JsonValueKind.Object);
    }
}

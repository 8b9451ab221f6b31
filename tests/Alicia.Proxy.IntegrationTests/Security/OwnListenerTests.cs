using Alicia.Proxy.IntegrationTests.Api;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Security;

/// <summary>The proxy's own listeners cannot be made instances, by whatever door and in whatever spelling.</summary>
public sealed class OwnListenerTests
{
    [Fact]
    public async Task Neither_listener_can_be_registered_in_any_spelling()
    {
        await using var proxy = await ProxyProcess.StartAsync();

        foreach (var port in new[] { proxy.ManagementAddress.Port, proxy.Address.Port })
        {
            foreach (var host in new[] { "127.0.0.1", "::ffff:127.0.0.1", "[::ffff:7f00:1]" })
                (await proxy.Registry.RegisterAsync("self", host, port).ProblemAsync(400)).Faults().Should().Equal("port");
        }

        (await proxy.Api.GetAsync("/services/self").StatusAsync()).Should().Be(404);
    }

    [Fact]
    public async Task Configuration_cannot_name_one_either()
    {
        var end = await ProxyProcess.RunAsync(["validate", "--config", "test.json"], """
            { "Listen": { "Proxy": "http://127.0.0.1:18080;http://*:18081", "Management": "http://localhost:18023" },
              "Services": { "self": { "Instances": [
                { "Host": "127.0.0.1", "Port": 18080 }, { "Host": "127.9.9.9", "Port": 18081 }, { "Host": "::1", "Port": 18023 }, { "Host": "127.0.0.1", "Port": 9 } ] } } }
            """);

        end.ExitCode.Should().Be(2);
        string.Join('\n', end.Errors).Should().Contain("Services:self:Instances:0:Port: ").And.Contain("Services:self:Instances:1:Port: ").And.Contain("Services:self:Instances:2:Port: ")
            .And.NotContain("Instances:3");
    }
}

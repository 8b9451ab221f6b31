using Alicia.Proxy.IntegrationTests.Api;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Configuration;

/// <summary>File, environment and command line lie over each other, later wins, in the running program.</summary>
public sealed class LayerTests
{
    [Fact]
    public async Task Environment_wins_over_the_file_and_the_command_line_over_both()
    {
        await using var backend = await Backend.StartAsync("A");
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions
        {
            ConfigJson = """{ "Routing": { "Domain": "file.example" }, "Defaults": { "MaxConnections": 1, "Queue": { "Length": 1 }, "Algorithm": "random" } }""",
            Environment = new Dictionary<string, string?>
            {
                ["Routing__Domain"] = "environment.example",
                ["Defaults__MaxConnections"] = "2",
                ["Defaults__Queue__Length"] = "2",
                ["Services__fixed__Instances__0__Host"] = "127.0.0.1",
                ["Services__fixed__Instances__0__Port"] = backend.Port.ToString(System.Globalization.CultureInfo.InvariantCulture),
                ["ROUTING_DOMAIN"] = "somebody-elses.example",
            },
            Arguments = ["--Defaults:MaxConnections=3"],
        });

        var settings = (await proxy.Registry.ServiceAsync("fixed")).GetProperty("settings");
        (settings.Number("max_connections"), settings.GetProperty("queue").Number("length"), settings.Text("algorithm")).Should().Be((3, 2, "random"));
        (await proxy.Http.SendJsonAsync("GET", "/status/200", null, ("Host", "fixed.environment.example")).StatusAsync()).Should().Be(200);
        (await proxy.Http.SendJsonAsync("GET", "/status/200", null, ("Host", "fixed.file.example")).StatusAsync()).Should().Be(404);
    }

    [Fact]
    public async Task A_missing_file_that_is_named_is_a_fault_and_the_default_ones_may_be_missing()
    {
        var end = await ProxyProcess.RunAsync(["validate", "--config", "nowhere.json"]);

        end.ExitCode.Should().Be(2);
        end.Errors.Should().Contain(line => line.Contains("nowhere.json", StringComparison.Ordinal));
        (await ProxyProcess.RunAsync(["validate"])).ExitCode.Should().Be(0);
    }

    [Fact]
    public async Task Unknown_keys_of_every_layer_are_faults_and_secrets_are_not_repeated()
    {
        var end = await ProxyProcess.RunAsync(
            ["validate", "--config", "test.json", "--Registry:Pth=x", "--Management:ApiKeys:a:Key=secret-one"],
            """{ "Listn": "http://127.0.0.1:1" }""",
            new Dictionary<string, string?> { ["Routing__Domian"] = "x", ["MQTT_PASSWORD"] = "secret-two", ["Mqtt__Port"] = "x" });

        end.ExitCode.Should().Be(2);
        var errors = string.Join('\n', end.Errors);
        errors.Should().ContainAll("Registry:Pth", "Listn", "Routing:Domian", "Mqtt:Port", "Management:ApiKeys:a").And.NotContain("secret-");
    }
}

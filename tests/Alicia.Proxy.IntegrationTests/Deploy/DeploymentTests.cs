using System.Text.Json;
using System.Text.RegularExpressions;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Deploy;

/// <summary>What <c>deploy/</c> sets must be what the program reads: a key that was renamed, or an environment file that no shell takes, would show only at a customer's.</summary>
public sealed partial class DeploymentTests
{
    private static readonly string Deploy = Path.Combine(Programs.Root, "deploy");

    [Fact]
    public async Task The_images_environment_is_a_valid_configuration_once_it_has_a_key()
    {
        var lines = await File.ReadAllLinesAsync(Path.Combine(Deploy, "Dockerfile"));
        var dockerfile = string.Join('\n', lines.Where(l => !l.StartsWith('#')));
        var environment = ConfigurationVariable().Matches(dockerfile).ToDictionary(m => m.Groups[1].Value, m => (string?)m.Groups[2].Value);
        environment.Keys.Should().Contain(["Listen__Proxy", "Listen__Management", "Registry__Path"]);

        var open = await ProxyProcess.RunAsync(["validate"], environment: environment);
        open.ExitCode.Should().Be(2, "management on every address needs a key");
        string.Join('\n', open.Errors).Should().Contain("Listen:Management");

        environment["Management__ApiKeys__admin__KeySha256"] = new string('a', 64);
        environment["Management__ApiKeys__admin__Scopes"] = "read,register,admin";
        var keyed = await ProxyProcess.RunAsync(["validate"], environment: environment);
        keyed.ExitCode.Should().Be(0, string.Join('\n', keyed.Errors));
    }

    [Fact]
    public async Task The_units_command_line_is_valid_and_its_patience_covers_an_ordered_stop()
    {
        var unit = await File.ReadAllTextAsync(Path.Combine(Deploy, "alicia-proxy.service"));
        var start = unit.Split('\n').Single(l => l.StartsWith("ExecStart=", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries);

        var end = await ProxyProcess.RunAsync(["validate", .. start[1..]]);

        end.ExitCode.Should().Be(0, string.Join('\n', end.Errors));
        var patience = int.Parse(unit.Split('\n').Single(l => l.StartsWith("TimeoutStopSec=", StringComparison.Ordinal)).Split('=')[1], System.Globalization.CultureInfo.InvariantCulture);
        patience.Should().BeGreaterThan(2 + 8, "that is Shutdown:Grace and Shutdown:Timeout");
    }

    [Theory]
    [InlineData("environment.small")]
    [InlineData("environment.large")]
    public async Task The_proxy_runs_with_the_runtime_settings(string file)
    {
        var lines = await File.ReadAllLinesAsync(Path.Combine(Deploy, file));
        var environment = lines.Where(l => l.Length > 0 && l[0] != '#').Select(l => l.Split('=', 2)).ToDictionary(p => p[0], p => (string?)p[1]);
        environment.Keys.Should().OnlyContain(k => k.StartsWith("DOTNET_", StringComparison.Ordinal));

        await using var backend = await Backend.StartAsync("A");
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Environment = environment });
        await proxy.Registry.RegisterAsync("tts", backend);

        using var answer = await proxy.Http.GetAsync("/tts/echo");

        answer.EnsureSuccessStatusCode();
    }

    [NeedsPackageFact("python3", "python3-yaml")]
    public async Task The_compose_file_starts_broker_proxy_and_two_services_that_find_each_other()
    {
        await using var python = ChildProcess.Start(
            PythonPeer.Interpreter, ["-c", "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))", Path.Combine(Deploy, "compose.yaml")]);
        (await python.WaitForExitAsync()).Should().Be(0, python.Transcript);
        var compose = JsonElement.Parse(python.Output[^1]);
        var services = compose.GetProperty("services").EnumerateObject().ToDictionary(s => s.Value.GetProperty("container_name").GetString()!, s => s.Value);
        services.Keys.Should().BeEquivalentTo("alicia_mosquitto", "alicia_load_balancer", "alicia_tts_service", "alicia_stt_service");
        services.Values.Should().OnlyContain(s => s.GetProperty("networks")[0].GetString() == "alicia_network");
        compose.GetProperty("networks").GetProperty("alicia_network").GetProperty("name").GetString().Should().Be("alicia_network");

        var proxy = services["alicia_load_balancer"];
        proxy.GetProperty("ports").EnumerateArray().Select(p => p.GetString()).Should().Contain(p => p!.EndsWith(":8023", StringComparison.Ordinal));
        var environment = EnvironmentOf(proxy);
        services.Keys.Should().Contain(environment["MQTT_BROKER"]);
        var valid = environment.ToDictionary(p => p.Key, p => (string?)p.Value);
        valid["MQTT_PASSWORD"] = "some";
        valid["Management__ApiKeys__admin__KeySha256"] = new string('a', 64);
        valid["Listen__Management"] = "http://0.0.0.0:8023";
        var end = await ProxyProcess.RunAsync(["validate"], environment: valid);
        end.ExitCode.Should().Be(0, string.Join('\n', end.Errors));

        // Where the stock table sends requests is where the example services listen.
        var table = JsonElement.Parse(await File.ReadAllTextAsync(Path.Combine(Programs.Root, "config", "alicia.json")), new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip })
            .GetProperty("Mqtt").GetProperty("Addresses");
        foreach (var name in new[] { "tts_service", "stt_service" })
        {
            var example = EnvironmentOf(services["alicia_" + name]);
            example["SERVICE_NAME"].Should().Be(name);
            table.GetProperty(name).GetString().Should().Be($"http://alicia_{name}:{example["PORT"]}");
            File.Exists(Path.Combine(Deploy, services["alicia_" + name].GetProperty("build").GetString()!, "Dockerfile")).Should().BeTrue();
        }

        // What is mounted is shipped, but for the passwords, which nobody ships.
        foreach (var source in services["alicia_mosquitto"].GetProperty("volumes").EnumerateArray().Select(v => v.GetString()!.Split(':')[0]).Where(v => v.StartsWith("./", StringComparison.Ordinal)))
            (source.EndsWith("/passwords", StringComparison.Ordinal) || File.Exists(Path.Combine(Deploy, source))).Should().BeTrue(source);
        compose.GetRawText().Should().NotMatchRegex("PASSWORD\":\"[^$]", "no password is in the file");
    }

    private static Dictionary<string, string> EnvironmentOf(JsonElement service) =>
        service.GetProperty("environment").EnumerateObject().ToDictionary(p => p.Name, p => p.Value.GetString()!);

    [Fact]
    public async Task The_health_verb_tells_a_ready_proxy_from_none()
    {
        await using var proxy = await ProxyProcess.StartAsync();
        var listen = $"--Listen:Management={proxy.ManagementAddress.ToString().TrimEnd('/')}";

        var ready = await ProxyProcess.RunAsync(["health", listen]);
        ready.ExitCode.Should().Be(0, string.Join('\n', ready.Errors));

        await proxy.StopAsync();
        var gone = await ProxyProcess.RunAsync(["health", listen]);
        gone.ExitCode.Should().Be(1);
    }

    [GeneratedRegex(@"\b([A-Z][A-Za-z]+(?:__[A-Za-z0-9]+)+)=([^\s\\<]+)", RegexOptions.CultureInvariant)]
    private static partial Regex ConfigurationVariable();
}

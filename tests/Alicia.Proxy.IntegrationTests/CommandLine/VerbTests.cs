using System.Net;
using System.Net.Sockets;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.CommandLine;

/// <summary>What the program says and exits with before it serves.</summary>
public sealed class VerbTests
{
    private static readonly string[] _anyPorts = ["--Listen:Proxy=http://127.0.0.1:0", "--Listen:Management=http://127.0.0.1:0", "--Registry:Store=memory"];

    [Fact]
    public async Task A_run_prints_where_it_listens()
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Listen = "http://127.0.0.1:0;h2c://127.0.0.1:0;http://[::1]:0" });

        proxy.Output.Should().Equal(
            $"proxy listening on http://127.0.0.1:{proxy.Listeners[0].Port}",
            $"proxy listening on h2c://127.0.0.1:{proxy.Listeners[1].Port}",
            $"proxy listening on http://[::1]:{proxy.Listeners[2].Port}",
            $"management listening on http://127.0.0.1:{proxy.ManagementAddress.Port}");
        proxy.Listeners.Should().OnlyContain(l => l.Port > 0);
    }

    [Theory]
    [InlineData("--help")]
    [InlineData("-h")]
    [InlineData("demo --help")]
    public async Task Help_names_the_verbs(string arguments)
    {
        var end = await ProxyProcess.RunAsync(arguments.Split(' '));

        end.ExitCode.Should().Be(0);
        string.Join('\n', end.Output).Should().ContainAll("demo", "validate", "--config", "--version");
        end.Errors.Should().BeEmpty();
    }

    [Fact]
    public async Task Version_is_one_line()
    {
        var end = await ProxyProcess.RunAsync(["--version"]);

        end.ExitCode.Should().Be(0);
        end.Output.Should().ContainSingle().Which.Should().MatchRegex(@"^\d+\.\d+\.\d+");
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("Validate")]
    public async Task An_unknown_verb_is_named_and_ends_with_2(string verb)
    {
        var end = await ProxyProcess.RunAsync([verb]);

        end.ExitCode.Should().Be(2);
        end.Errors.Should().ContainSingle().Which.Should().Contain($"'{verb}'").And.Contain("--help");
    }

    [Fact]
    public async Task Validate_of_a_good_configuration_says_so_and_listens_nowhere()
    {
        var end = await ProxyProcess.RunAsync(["validate", "--config", "test.json"], """
            { "Services": { "tts": { "Algorithm": "random", "Instances": [ { "Host": "10.0.0.5", "Port": 8003 } ], "Routes": [ { "Path": "/v1/{**rest}" } ] } } }
            """);

        end.ExitCode.Should().Be(0);
        end.Output.Should().ContainSingle().Which.Should().Contain("valid");
    }

    [Theory]
    [InlineData("validate")]
    [InlineData(null)]
    public async Task Every_fault_is_named_with_its_key_and_nothing_is_listened_on(string? verb)
    {
        string[] arguments = [.. verb is null ? Array.Empty<string>() : [verb], "--config", "test.json", "--Shutdown:Grace=5", .. _anyPorts];
        var end = await ProxyProcess.RunAsync(arguments, """
            {
              "Routng": {},
              "Defaults": { "Algorithm": "fastest" },
              "Services": {
                "tts": { "Instances": [ { "Host": "http://x", "Port": 1 }, { "Host": "8.8.8.8", "Port": 1 }, { "Port": 5, "InstanceId": "stats" } ],
                         "Routes": [ { "Path": "v1" }, { "Path": "/{**all}" }, { "Hosts": [ "a b" ], "StripPrefix": "/x" } ] },
                "stt": { "Routes": [ { "Path": "/tts/x" } ] },
                "Bad_": {}
              }
            }
            """);

        end.ExitCode.Should().Be(2);
        end.Output.Should().BeEmpty();
        foreach (var key in new[]
                 {
                     "Routng", "Shutdown:Grace", "Defaults:Algorithm", "Services:tts:Instances:0:Host", "Services:tts:Instances:1:Host",
                     "Services:tts:Instances:2:Host", "Services:tts:Instances:2:InstanceId", "Services:tts:Routes:0:Path", "Services:tts:Routes:1:Path",
                     "Services:tts:Routes:2:Hosts", "Services:tts:Routes:2:StripPrefix", "Services:stt:Routes", "Services:Bad_",
                 })
        {
            end.Errors.Should().Contain(line => line.TrimStart().StartsWith(key + ":", StringComparison.Ordinal), "{0} is at fault", key);
        }
    }

    [Fact]
    public async Task Faults_of_static_services_alone_end_with_2_too()
    {
        var end = await ProxyProcess.RunAsync([.. _anyPorts, "--config", "test.json"], """
            { "Services": { "tts": { "Instances": [ { "Host": "169.254.169.254", "Port": 80 } ] } } }
            """);

        end.ExitCode.Should().Be(2);
        end.Output.Should().BeEmpty();
        end.Errors.Should().Contain(line => line.Contains("Services:tts:Instances:0:Host", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Management_beyond_loopback_without_a_key_is_refused_at_start()
    {
        var end = await ProxyProcess.RunAsync(["--Listen:Proxy=http://127.0.0.1:0", "--Listen:Management=http://0.0.0.0:0", "--Registry:Store=memory"]);

        end.ExitCode.Should().Be(2);
        end.Errors.Should().Contain(line => line.Contains("Listen:Management", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("validate")]
    [InlineData(null)]
    public async Task A_listener_with_TLS_and_no_certificate_is_a_fault(string? verb)
    {
        string[] arguments = [.. verb is null ? Array.Empty<string>() : [verb], .. _anyPorts, "--Listen:Proxy=https://127.0.0.1:0"];

        var end = await ProxyProcess.RunAsync(arguments);

        end.ExitCode.Should().Be(2);
        end.Errors.Should().Contain(line => line.Contains("Listen:Proxy", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("Listen:Proxy")]
    [InlineData("Listen:Management")]
    public async Task A_port_in_use_is_named_and_ends_with_1(string key)
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var address = $"http://{taken.LocalEndpoint}";

        var end = await ProxyProcess.RunAsync([.. _anyPorts, $"--{key}={address}"]);

        end.ExitCode.Should().Be(1);
        end.Output.Should().BeEmpty();
        end.Errors.Should().Contain(line => line.Contains(address, StringComparison.Ordinal) && line.Contains("in use", StringComparison.Ordinal));
        end.Errors.Should().NotContain(line => line.StartsWith("   at ", StringComparison.Ordinal), "a stack trace tells an operator nothing");
    }

    [Fact]
    public async Task The_health_verb_tells_by_its_exit_code_whether_a_proxy_is_ready()
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Registry:Store=memory", "--Shutdown:Grace=00:00:00"] });
        var listen = $"--Listen:Management={proxy.ManagementAddress.GetLeftPart(UriPartial.Authority)}";
        (await ProxyProcess.RunAsync(["health", listen])).ExitCode.Should().Be(0);

        await proxy.StopAsync();

        (await ProxyProcess.RunAsync(["health", listen])).ExitCode.Should().Be(1);
    }

    [Fact]
    public async Task An_address_that_this_machine_does_not_have_is_named_and_ends_with_1()
    {
        var end = await ProxyProcess.RunAsync([.. _anyPorts, "--Listen:Proxy=http://203.0.113.1:8080"]);

        end.ExitCode.Should().Be(1);
        end.Errors.Should().Contain(line => line.Contains("203.0.113.1:8080", StringComparison.Ordinal));
        end.Errors.Should().NotContain(line => line.StartsWith("   at ", StringComparison.Ordinal));
    }
}

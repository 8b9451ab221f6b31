using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Api;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.CommandLine;

/// <summary>A newcomer's first minute: the demo starts, and every line that it prints to try works as printed.</summary>
public sealed class DemoTests : IAsyncLifetime
{
    private ChildProcess _demo = null!;

    public async Task InitializeAsync()
    {
        _demo = ChildProcess.Start(Programs.Dotnet, [Programs.Proxy, "demo", "--Shutdown:Grace=00:00:00"], Path.GetTempPath());
        await _demo.WaitForLineAsync(line => line.Contains("/docs", StringComparison.Ordinal));
    }

    public async Task DisposeAsync() => await _demo.DisposeAsync();

    [NeedsPackageFact("curl")]
    public async Task Every_printed_line_works_and_sigterm_ends_it_with_0()
    {
        string[] lines = [.. _demo.Output.Where(line => line.TrimStart().StartsWith("curl ", StringComparison.Ordinal)).Select(line => line.Trim())];
        lines.Should().HaveCountGreaterThan(3);
        foreach (var line in lines)
            JsonElement.Parse(await ShellAsync(line)).ValueKind.Should().Be(JsonValueKind.Object, "{0} answers a document", line);
        var docs = _demo.Output.First(line => line.Contains("/docs", StringComparison.Ordinal)).Split(' ').First(word => word.Contains("/docs", StringComparison.Ordinal));
        (await ShellAsync($"curl -L {docs}")).Should().Contain("<html");

        _demo.Terminate();
        (await _demo.WaitForExitAsync()).Should().Be(0);
        _demo.Errors.Should().NotContain(line => line.Contains(" ERR ", StringComparison.Ordinal) || line.Contains(" WRN ", StringComparison.Ordinal));
    }

    [NeedsPackageFact(Mosquitto.Clients)]
    public async Task The_bus_of_the_demo_is_heard_and_takes_orders_as_printed()
    {
        string[] lines = [.. _demo.Output.Where(line => line.TrimStart().StartsWith("mosquitto_", StringComparison.Ordinal)).Select(line => line.Split(" #")[0].Trim())];
        lines.Should().HaveCountGreaterThan(3);
        await using var everything = ChildProcess.Start("sh", ["-c", "exec stdbuf -oL " + lines.Single(line => line.StartsWith("mosquitto_sub", StringComparison.Ordinal))]);
        await everything.WaitForLineAsync(line => line.StartsWith("alicia/loadbalancer/status", StringComparison.Ordinal));
        var data = new Uri(_demo.Output.First(line => line.StartsWith("proxy listening on ", StringComparison.Ordinal))["proxy listening on ".Length..]);
        using var client = Clients.Create(data);
        (await client.GetAsync("/greeter/hello")).StatusCode.Should().Be(System.Net.HttpStatusCode.OK, "it announced itself");

        foreach (var line in lines.Where(line => line.StartsWith("mosquitto_pub", StringComparison.Ordinal)))
        {
            await ShellAsync(line);
            if (line.Contains("discovery/register", StringComparison.Ordinal))
                await Eventually.Until("'mine' is served", async () => (await client.GetAsync("/mine/hello")).IsSuccessStatusCode);
        }

        await everything.WaitForLineAsync(line => line.StartsWith("alicia/loadbalancer/command/result", StringComparison.Ordinal) && line.Contains("true", StringComparison.Ordinal));
        await Eventually.Until("'mine' has left", async () => (int)(await client.GetAsync("/mine/hello")).StatusCode == 503);
    }

    [Fact]
    public async Task Three_instances_are_served_evenly_by_prefix_and_by_host()
    {
        var data = new Uri(_demo.Output.First(line => line.StartsWith("proxy listening on ", StringComparison.Ordinal))["proxy listening on ".Length..]);
        using var client = Clients.Create(data);
        var served = new List<string>();
        for (var i = 0; i < 30; i++)
        {
            var answer = await (i % 2 == 0 ? client.GetAsync("/demo/hello") : client.SendJsonAsync("GET", "/hello", null, ("Host", "demo.alicia.local"))).DocumentAsync(200);
            answer.Text("path").Should().Be("/hello");
            served.Add(answer.Text("instance"));
        }

        served.GroupBy(name => name).Select(group => (group.Key, group.Count())).Should().BeEquivalentTo([("demo-1", 10), ("demo-2", 10), ("demo-3", 10)]);
    }

    [Fact]
    public async Task A_second_demo_finds_free_ports_beside_the_first()
    {
        await using var second = ChildProcess.Start(Programs.Dotnet, [Programs.Proxy, "demo"], Path.GetTempPath());

        await second.WaitForLineAsync(line => line.Contains("/docs", StringComparison.Ordinal));

        second.Output.Where(line => line.Contains("listening on", StringComparison.Ordinal)).Should().HaveCount(2).And.NotIntersectWith(_demo.Output);
    }

    /// <summary>What the line prints, run as a reader would, but quietly and failing on error statuses.</summary>
    private static async Task<string> ShellAsync(string line)
    {
        await using var shell = ChildProcess.Start("sh", ["-c", line.Replace("curl ", "curl -sS --fail --noproxy '*' ", StringComparison.Ordinal)]);
        (await shell.WaitForExitAsync()).Should().Be(0, "{0} says {1}", line, string.Join('\n', shell.Errors));
        return string.Join('\n', shell.Output);
    }
}

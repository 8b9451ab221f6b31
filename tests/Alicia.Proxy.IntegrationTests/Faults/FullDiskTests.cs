using System.Net;
using Alicia.Proxy.IntegrationTests.Api;
using Alicia.Proxy.IntegrationTests.Harness;
using Xunit.Abstractions;

namespace Alicia.Proxy.IntegrationTests.Faults;

/// <summary>
/// The registry's disk fills up under load: changes are refused and say why, forwarding goes on, and with room everything goes on by itself; a kill at any moment of this loses nothing that was acknowledged.
/// </summary>
public sealed class FullDiskTests(ITestOutputHelper output)
{
    [SmallDiskFact]
    public async Task A_full_disk_refuses_changes_and_nothing_else()
    {
        using var journal = new Journal();
        await using var disk = await SmallDisk.StartAsync();
        await using var backend = await Backend.StartAsync("a", journal: journal);
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Wrapper = disk.Wrapper, Arguments = [$"--Registry:Path={disk.PathOf("registry.db")}"] });
        await proxy.Registry.RegisterActiveAsync("s", backend);
        var load = LedgerLoad.Start(proxy.Address, Caller.OfEachKind(1), "/s/delay?ms=5");

        disk.Fill();
        var (taken, refused) = (new List<string>(), 0);
        // The last pages of the registry's own files may still take a few.
        for (var i = 0; refused < 20 && i < 2000; i++)
        {
            using var answer = await proxy.Registry.RegisterAsync("s", "127.0.0.1", 9, $"x{i}", new { weight = 1, metadata = new { text = new string('x', 2000) } });
            if (answer.StatusCode == HttpStatusCode.Created)
            {
                taken.Add($"x{i}");
                using var drained = await proxy.Registry.PatchInstanceAsync("s", $"x{i}", new { state = "draining" });
                continue;
            }

            await Task.FromResult(answer).ProblemAsync(503);
            answer.Headers.RetryAfter!.Delta.Should().BePositive();
            refused++;
        }

        refused.Should().Be(20, "the disk is full");
        var health = await proxy.Api.GetAsync("/health").DocumentAsync(200);
        health.Text("status").Should().Be("degraded");
        (await proxy.Api.GetAsync("/health/ready").StatusAsync()).Should().Be(200);
        (await proxy.Registry.HeartbeatAsync("s", "a").StatusAsync()).Should().Be(204);
        await load.MoreAsync(100);
        var ledger = await load.StopAsync(journal);
        output.WriteLine($"{taken.Count} registrations found room, {refused} did not; {ledger}");
        // Those that found room are addresses at which nobody answers, but they are drained: only a request between registration and drain can have met one.
        ledger.Some(f => f.Failed && f.Error != "connection_refused").Should().BeEmpty();
        ledger.Fates.Count(f => f.Failed).Should().BeLessThanOrEqualTo(taken.Count * 4);

        // A kill while the disk is full: the proxy starts on it all the same, with all that was acknowledged.
        await proxy.RestartAsync(kill: true);
        (await IdsAsync(proxy)).Should().BeEquivalentTo([.. taken, "a"]);
        (await Backend.EchoOfAsync(await proxy.Http.GetAsync("/s/echo"))).Name.Should().Be("a");
        await proxy.Registry.RegisterAsync("s", "127.0.0.1", 9, "y", new { metadata = new { text = new string('x', 3000) } }).ProblemAsync(503);

        disk.Free();
        await Eventually.Until("changes are taken again", async () => await proxy.Registry.RegisterAsync("s", "127.0.0.1", 9, "y").StatusAsync() is 200 or 201);
        (await proxy.Api.GetAsync("/health").DocumentAsync(200)).Text("status").Should().Be("healthy");
        await proxy.RestartAsync(kill: true);
        (await IdsAsync(proxy)).Should().BeEquivalentTo([.. taken, "a", "y"]);
    }

    private static async Task<IReadOnlyList<string>> IdsAsync(ProxyProcess proxy) =>
        [.. (await proxy.Registry.ServiceAsync("s")).GetProperty("instances").EnumerateArray().Select(i => i.Text("instance_id"))];
}

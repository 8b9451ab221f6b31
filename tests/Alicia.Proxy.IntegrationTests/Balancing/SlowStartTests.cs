using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Guarding;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Balancing;

/// <summary>A newcomer's share grows from phase to phase; the instance's document says which phase it is in.</summary>
public sealed class SlowStartTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    private const int Batch = 21;

    [Theory]
    [InlineData("round_robin")]
    [InlineData("weighted_round_robin")]
    public async Task The_share_of_a_newcomer_is_what_its_phase_says_and_grows_to_full(string algorithm)
    {
        var service = await running.ServiceAsync(2, new { algorithm });
        using (var patched = await running.Registry.PatchServiceAsync(service, new { slow_start = 15 }))
            await RegistryApi.DocumentOfAsync(patched);
        (await WarmingAsync(service, "a")).Should().BeNull("what was in service before is warm");

        await running.Registry.RegisterActiveAsync(service, running.Backends[2]);
        var phases = new SortedDictionary<double, int>();
        // A phase lasts a second and a half; three of them show that it grows.
        while (phases.Count < 3 && await WarmingAsync(service, "c") is { } before)
        {
            var got = await CountAsync(service, "c");
            // A step in the middle of a batch makes it two phases; such a batch says nothing.
            if (await WarmingAsync(service, "c") is { } after && after == before)
            {
                // Two stretches of the order that are each within one of their share.
                var due = Batch * before / (2 + before);
                ((double)got).Should().BeInRange(due - 2, due + 2, $"phase {before}");
                phases[before] = got;
            }
        }

        phases.Keys.Should().OnlyContain(share => share >= 0.05 && share <= 0.95);
        phases.Should().HaveCount(3, "there are ten phases, and a busy machine may miss some");
        using (var shorter = await running.Registry.PatchServiceAsync(service, new { slow_start = 1 }))
            await RegistryApi.DocumentOfAsync(shorter);
        await running.Registry.UntilInstanceAsync(service, "c", "it is warm", i => i.GetProperty("warming").ValueKind == JsonValueKind.Null);
        (await CountAsync(service, "c")).Should().BeInRange(Batch / 3 - 1, Batch / 3 + 1);
        (await running.Registry.InstanceAsync(service, "c")).State().Should().Be("active");
    }

    [Fact]
    public async Task An_instance_that_recovers_begins_small_again_and_the_first_of_a_service_never_does()
    {
        var service = await running.ServiceAsync(1, new { slow_start = 3600, max_connections = 20 });
        (await WarmingAsync(service, "a")).Should().BeNull();
        await running.Registry.CircuitAsync(service, "a", "open");
        await running.Registry.CircuitAsync(service, "a", "closed");
        await Eventually.Until("it is used again", async () =>
        {
            using var answer = await running.Http.GetAsync($"/{service}/status/204");
            return answer.IsSuccessStatusCode;
        });
        (await WarmingAsync(service, "a")).Should().BeNull("there is nobody who could take the rest");

        using (var off = await running.Registry.PatchServiceAsync(service, new { slow_start = (object?)null }))
            await RegistryApi.DocumentOfAsync(off);
        await running.Registry.RegisterActiveAsync(service, running.Backends[1]);
        using (var on = await running.Registry.PatchServiceAsync(service, new { slow_start = 3600 }))
            await RegistryApi.DocumentOfAsync(on);
        await running.Registry.CircuitAsync(service, "b", "open");
        await running.Registry.UntilInstanceAsync(service, "b", "its circuit is open", i => i.Circuit() == "open");
        (await CountAsync(service, "b")).Should().Be(0);
        await running.Registry.CircuitAsync(service, "b", "closed");
        await running.Registry.UntilInstanceAsync(service, "b", "it warms up", i => i.GetProperty("warming").ValueKind == JsonValueKind.Number);

        (await WarmingAsync(service, "b")).Should().Be(0.05);
        (await CountAsync(service, "b")).Should().BeInRange(0, 2, "a twentieth beside a whole is 1 of 21");
        // Its cap is a twentieth of 20: one request at a time, the rest goes to the other.
        var held = Enumerable.Range(0, 21).Select(_ => running.Http.GetAsync($"/{service}/hold/gate")).ToList();
        await running.Backends[0].UntilHeldAsync("gate", 20);
        await running.Backends[1].UntilHeldAsync("gate", 1);
        using (var refused = await running.Http.GetAsync($"/{service}/status/204"))
            ((int)refused.StatusCode).Should().Be(503, "20 and 1 are all there is");
        await running.Backends[0].ReleaseAsync("gate");
        await running.Backends[1].ReleaseAsync("gate");
        foreach (var answer in await Task.WhenAll(held))
            using (answer)
                answer.IsSuccessStatusCode.Should().BeTrue();
    }

    [Fact]
    public async Task What_was_in_service_before_a_restart_is_warm_after_it()
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Defaults:SlowStart=01:00:00"] });
        foreach (var backend in running.Backends)
            await proxy.Registry.RegisterActiveAsync("web", backend);
        await proxy.RestartAsync();
        var instances = (await proxy.Registry.ServiceAsync("web")).GetProperty("instances").EnumerateArray().ToList();
        instances.Should().HaveCount(4).And.OnlyContain(i => i.GetProperty("warming").ValueKind == JsonValueKind.Null);
    }

    private async Task<double?> WarmingAsync(string service, string id) =>
        (await running.Registry.InstanceAsync(service, id)).GetProperty("warming") is { ValueKind: JsonValueKind.Number } share ? share.GetDouble() : null;

    private async Task<int> CountAsync(string service, string backend)
    {
        var count = 0;
        for (var i = 0; i < Batch; i++)
            count += await running.BackendOfAsync(service) == backend ? 1 : 0;
        return count;
    }
}

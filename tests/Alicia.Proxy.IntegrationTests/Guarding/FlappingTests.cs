using System.Collections.Concurrent;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Guarding;

/// <summary>An instance that is up and down in turns is out until it has been up for a while.</summary>
public sealed class FlappingTests(GuardedProxy guarded) : IClassFixture<GuardedProxy>
{
    [Fact]
    public async Task A_flapping_instance_is_out_after_fall_failures_and_back_after_rise_successes()
    {
        // One probe each: up once to be admitted, down twice, then up and down in turns, then up for good.
        const string Script = "+--+-+-+-+++";
        var heads = new ConcurrentQueue<string>();
        var probe = 0;
        await using var flapping = RawUpstream.Start((connection, head) =>
        {
            if (!head.StartsWith("GET /probe ", StringComparison.Ordinal))
            {
                heads.Enqueue("request");
                return connection.SendAsync("HTTP/1.1 204 No Content\r\nX-Backend: flapping\r\nConnection: close\r\n\r\n");
            }

            var number = Interlocked.Increment(ref probe) - 1;
            heads.Enqueue($"probe {number}");
            var status = Script[Math.Min(number, Script.Length - 1)] == '+' ? "204 No Content" : "503 Service Unavailable\r\nContent-Length: 0";
            return connection.SendAsync($"HTTP/1.1 {status}\r\nConnection: close\r\n\r\n");
        });
        var service = await guarded.ServiceAsync(1);
        var own = new { health_check = new { path = "/probe", interval = 1, timeout = 1, fast = 0.4, rise = 2, fall = 2 } };
        using (var registered = await guarded.Registry.RegisterAsync(service, flapping.Host, flapping.Port, "flapping", own, "wait=10"))
            (await RegistryApi.DocumentOfAsync(registered)).State().Should().Be("active");

        var load = TimedLoad.Start(guarded.Proxy.Address, 4, $"/{service}/delay?ms=2");
        await Eventually.Until("the script is over", () => Volatile.Read(ref probe) >= Script.Length);
        await guarded.Registry.UntilInstanceAsync(service, "flapping", "back", i => i.Health() == "healthy" && i.Circuit() == "closed");
        await load.MoreAsync(100);
        var requests = await load.StopAsync();

        requests.Should().NotContain(r => r.Failed);
        var between = Between([.. heads], Script.Length);
        // How soon the second probe follows the first is chance; the third comes after the fast interval.
        between.Take(2).Sum().Should().BePositive("it was in the rotation until two probes had failed");
        // Between the second failure (probe 2) and the next probe, what was under way may still arrive; after that there is nothing until two have passed in a row (probe 10).
        between.Skip(3).Take(7).Should().AllBeEquivalentTo(0, string.Join(' ', between));
        requests.Count(r => r.Backend == "flapping").Should().BeGreaterThan(between.Take(3).Sum(), "it came back");
    }

    /// <summary>How many requests came after each probe and before the next.</summary>
    private static int[] Between(IReadOnlyList<string> heads, int probes)
    {
        var between = new int[probes];
        var current = -1;
        foreach (var head in heads)
        {
            if (head != "request")
                current++;
            else if (current >= 0 && current < probes)
                between[current]++;
        }

        return between;
    }
}

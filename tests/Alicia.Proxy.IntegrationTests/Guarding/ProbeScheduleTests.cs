using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Guarding;

/// <summary>Nobody's registration moves another's probes. Over an hour, and to the jitter, this is tested with a clock of its own; here it is a real proxy that must not stall.</summary>
public sealed class ProbeScheduleTests
{
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(200);

    [Fact]
    public async Task Registering_others_all_the_time_delays_no_probe()
    {
        const int Probes = 12;
        var probed = new ConcurrentQueue<long>();
        await using var watched = RawUpstream.Start((connection, head) =>
        {
            if (head.StartsWith("GET /watched ", StringComparison.Ordinal))
                probed.Enqueue(Stopwatch.GetTimestamp());
            return connection.SendAsync("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
        });
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Guards = true });
        using (await proxy.Registry.RegisterAsync(
            "tts", watched.Host, watched.Port, "watched", new { health_check = new { path = "/watched", interval = 1, timeout = 1, fast = 1 } }, "wait=10")) { }

        // Five in an interval, in the same service and in others: YARP's own monitor would begin its countdown anew each time, and never come to a probe.
        var registered = 0;
        while (probed.Count < Probes)
        {
            var at = Stopwatch.GetTimestamp();
            var service = registered % 2 == 0 ? "tts" : "other";
            using var answer = await proxy.Registry.RegisterAsync(service, watched.Host, watched.Port, "i" + registered.ToString(CultureInfo.InvariantCulture));
            answer.EnsureSuccessStatusCode();
            registered++;
            await Eventually.Until("the next registration is due", () => Stopwatch.GetElapsedTime(at) > Pace);
        }

        registered.Should().BeGreaterThan(Probes, "or there was nothing that could have delayed a probe");
        var gaps = probed.Zip(probed.Skip(1), (a, b) => Stopwatch.GetElapsedTime(a, b).TotalSeconds).ToList();
        // A busy machine may hold one up; a schedule that starts over would hold up all.
        gaps.Order().ElementAt(gaps.Count / 2).Should().BeInRange(0.8, 1.3, string.Join(' ', gaps));
        gaps.Max().Should().BeLessThan(3);
    }
}

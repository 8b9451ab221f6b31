using System.Diagnostics;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Statistics;

/// <summary>Uptime and rates count from the start of the process, not from the first time that somebody asks.</summary>
public sealed class ClockTests
{
    [Fact]
    public async Task Uptime_and_rates_cover_the_time_before_the_first_question()
    {
        await using var backend = await Backend.StartAsync("A");
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions
        {
            ConfigJson = $$"""{ "Services": { "tts": { "Instances": [ { "InstanceId": "a", "Host": "{{backend.Host}}", "Port": {{backend.Port}} } ] } } }""",
        });
        var watch = Stopwatch.StartNew();
        // Real work takes real time: the requests are the clock.
        for (var i = 0; i < 30; i++)
            (await proxy.Http.GetAsync("/tts/delay?ms=40")).Dispose();
        var elapsed = watch.Elapsed.TotalSeconds;

        var stats = await proxy.Registry.GetJsonAsync("/stats");

        stats.GetProperty("uptime").GetDouble().Should().BeGreaterThanOrEqualTo(elapsed);
        stats.GetProperty("requests_per_second").GetDouble().Should().BeInRange(1, (30 / elapsed) + 0.5);
        stats.GetProperty("average_response_time").GetDouble().Should().BeInRange(0.03, elapsed);
    }
}

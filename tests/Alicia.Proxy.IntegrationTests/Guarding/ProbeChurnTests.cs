using System.Diagnostics;
using Alicia.Proxy.IntegrationTests.Harness;
using Xunit.Abstractions;

namespace Alicia.Proxy.IntegrationTests.Guarding;

/// <summary>Whatever happens to other instances, each is probed when its time has come.</summary>
public sealed class ProbeChurnTests(GuardedProxy guarded, ITestOutputHelper output) : IClassFixture<GuardedProxy>
{
    [Fact]
    public async Task Registrations_without_end_delay_no_probe()
    {
        const int Probes = 10;
        const double Interval = 0.5;
        var service = await guarded.ServiceAsync(1, new { health_check = new { interval = Interval, timeout = Interval, fast = Interval, fall = 100 } });
        var before = (await guarded.Backends[0].StatsAsync()).HealthProbes;
        var start = Stopwatch.GetTimestamp();
        var registrations = 0;

        await Eventually.Until("probed ten times", async () =>
        {
            using (await guarded.Registry.RegisterAsync(service, guarded.Backends[1], $"x{registrations++ % 7}")) { }
            using (await guarded.Registry.DeleteInstanceAsync(service, $"x{registrations % 7}")) { }
            return (await guarded.Backends[0].StatsAsync()).HealthProbes >= before + Probes;
        });

        var elapsed = Stopwatch.GetElapsedTime(start);
        output.WriteLine($"{Probes} probes in {elapsed.TotalSeconds:0.00} s, amid {registrations} registrations");
        registrations.Should().BeGreaterThan(Probes, "each interval has seen some");
        elapsed.Should().BeLessThan(TimeSpan.FromSeconds((Probes * Interval * 1.1) + 3), "10 % is the jitter, the rest a busy machine");
        elapsed.Should().BeGreaterThan(TimeSpan.FromSeconds((Probes - 1) * Interval * 0.9), "nor does a registration hasten another's probes");
    }
}

using System.Diagnostics;
using System.Globalization;
using System.Net;
using Alicia.Proxy.IntegrationTests.Harness;
using Xunit.Abstractions;

namespace Alicia.Proxy.IntegrationTests.Rolling;

/// <summary>
/// Four instances, each restarted twenty times under constant load of GETs and POSTs, on kept connections and on fresh ones: callers see nothing of it. When instances are killed instead of
/// drained, callers still see nothing of it but for POSTs that were at work in the instance.
/// </summary>
[Collection(HeavyTests.Name)]
public sealed class RollingRestartTests(ITestOutputHelper output)
{
    private const int Rounds = 20;
    private const int Connections = 3;

    private static readonly string[] _names = ["a", "b", "c", "d"];

    [NeedsPackageFact(WrkLoad.Package)]
    public async Task Drained_stopped_started_and_registered_again_no_request_fails()
    {
        var ledger = await RollAsync(async (proxy, backend, journal) =>
        {
            using (var removed = await proxy.Registry.DeleteInstanceAsync("rolling", backend.Name, wait: 20))
                removed.StatusCode.Should().Be(HttpStatusCode.OK, await removed.Content.ReadAsStringAsync());
            backend.Process.Terminate();
            (await backend.Process.WaitForExitAsync()).Should().Be(0);
            return await AgainAsync(proxy, backend, journal);
        });

        ledger.Some(f => f.Failed).Should().BeEmpty();
        ledger.Repeated.Should().Be(0, "nothing was lost on the way, so nothing had to be sent again");
    }

    [NeedsPackageFact(WrkLoad.Package)]
    public async Task Killed_no_GET_fails_and_of_the_POSTs_only_those_that_had_been_sent()
    {
        var ledger = await RollAsync(async (proxy, backend, journal) =>
        {
            backend.Process.Kill();
            await backend.Process.WaitForExitAsync();
            return await AgainAsync(proxy, backend, journal);
        });

        ledger.Some(f => f is { Failed: true, Method: "GET" }).Should().BeEmpty();
        ledger.FailedPosts.Should().HaveCountLessThanOrEqualTo(Rounds * _names.Length * Connections * 2, "a kill costs no more than what is on its way");
    }

    /// <summary>Restarts the instances one after the other, round after round, under load.</summary>
    private async Task<Ledger> RollAsync(Func<ProxyProcess, Backend, Journal, Task<Backend>> restart)
    {
        using var journal = new Journal();
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions
        {
            Guards = true,
            Arguments =
            [
                "--Defaults:HealthCheck:Interval=00:00:02", "--Defaults:HealthCheck:Timeout=00:00:02", "--Defaults:HealthCheck:Fast=00:00:00.2",
                "--Defaults:CircuitBreaker:RecoveryTimeout=00:00:01",
            ],
        });
        var backends = await Task.WhenAll(_names.Select(name => Backend.StartAsync(name, journal: journal)));
        var loads = new List<WrkLoad>();
        try
        {
            foreach (var backend in backends)
                await proxy.Registry.RegisterActiveAsync("rolling", backend);
            var target = new Uri(proxy.Address, "/rolling/delay?ms=3");
            foreach (var (method, keep) in new[] { ("GET", true), ("GET", false), ("POST", true), ("POST", false) })
            {
                loads.Add(WrkLoad.Start(
                    target, method, $"{method}-{(keep ? "keep" : "close")}", keep, Connections, pause: TimeSpan.FromMilliseconds(8)));
            }

            var start = Stopwatch.GetTimestamp();
            for (var round = 0; round < Rounds; round++)
            {
                for (var i = 0; i < backends.Length; i++)
                    backends[i] = await restart(proxy, backends[i], journal);
            }

            var fates = new List<Fate>();
            foreach (var load in loads)
                fates.AddRange(await load.StopAsync());
            var ledger = new Ledger(fates, journal.Arrivals());
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{Rounds * backends.Length} restarts in {Stopwatch.GetElapsedTime(start).TotalSeconds:0} s: {ledger}"));
            ledger.ShouldBalance();
            return ledger;
        }
        finally
        {
            foreach (var load in loads)
                await load.DisposeAsync();
            foreach (var backend in backends)
                await backend.DisposeAsync();
        }
    }

    /// <summary>The next life of an instance, in rotation when this returns.</summary>
    private static async Task<Backend> AgainAsync(ProxyProcess proxy, Backend before, Journal journal)
    {
        await before.DisposeAsync();
        var next = await Backend.StartAsync(before.Name, port: before.Port, journal: journal);
        await proxy.Registry.RegisterActiveAsync("rolling", next);
        return next;
    }
}

using Alicia.Proxy.Balancing;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Registry.Settings;
using Alicia.Proxy.Routing;

namespace Alicia.Proxy.Ejection;

/// <summary>
/// Compares the instances of each service that asks for it with each other, once per <c>Ejection:Interval</c>, and trips the circuits of those that are far worse than their peers.
/// Reads counters that requests keep anyway; requests pay nothing for it.
/// </summary>
/// <param name="table">The services as they are now.</param>
/// <param name="time">Clock of the intervals.</param>
/// <param name="logger">Where it says whom it took out, and why.</param>
internal sealed partial class EjectionRounds(Func<RoutingTable> table, TimeProvider time, ILogger<EjectionRounds> logger) : BackgroundService
{
    /// <summary>How often it looks whose interval is over; the shortest interval there is.</summary>
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(1);

    private readonly Dictionary<string, ServiceFigures> _before = new(StringComparer.Ordinal);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Beat, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
                Round();
        }
        catch (OperationCanceledException)
        {
            // Stopping.
        }
    }

    /// <summary>One look at every service. Not thread-safe: the loop's.</summary>
    public void Round()
    {
        var services = table();
        foreach (var upstream in services.Upstreams)
        {
            var state = upstream.State;
            var settings = state.Settings;
            if (!settings.Get(SettingKeys.EjectionSuccessRate) && !settings.Get(SettingKeys.EjectionLatency))
            {
                _before.Remove(upstream.Name);
                continue;
            }

            var known = _before.TryGetValue(upstream.Name, out var before);
            // A beat that comes a little early must not double the interval.
            if (known && time.GetElapsedTime(before!.At) < settings.Get(SettingKeys.EjectionInterval) - (Beat / 2))
                continue;
            var now = new ServiceFigures(state.Rotation, time.GetTimestamp());
            _before[upstream.Name] = now;
            if (known)
                Compare(upstream.Name, state, before!, now);
        }

        foreach (var gone in _before.Keys.Where(name => !services.TryGet(name, out _)).ToArray())
            _before.Remove(gone);
    }

    private void Compare(string service, UpstreamState state, ServiceFigures before, ServiceFigures now)
    {
        var settings = state.Settings;
        // Those of another priority do other work, or none; those that are out have been judged.
        foreach (var tier in state.Rotation.Where(m => m.Gate.Standing == GateStanding.Usable).GroupBy(m => m.Priority))
        {
            var members = tier.ToArray();
            if (settings.Get(SettingKeys.EjectionSuccessRate))
            {
                var rule = new OutlierRule(settings.Get(SettingKeys.EjectionSuccessRateStdevFactor), settings.Get(SettingKeys.EjectionSuccessRateMinimumHosts),
                    settings.Get(SettingKeys.EjectionSuccessRateMinimumRequests));
                var figures = members.Select(m => now.SuccessRate(m.Live, before)).ToArray();
                foreach (var i in Outliers.BySuccessRate(figures, rule, out var mean))
                {
                    if (members[i].Gate.Eject(CircuitReason.SuccessRate))
                        LogSuccessRate(logger, members[i].Gate.InstanceId, service, figures[i].Value * 100, figures[i].Requests, mean * 100);
                }
            }

            if (settings.Get(SettingKeys.EjectionLatency))
            {
                var rule = new OutlierRule(settings.Get(SettingKeys.EjectionLatencyStdevFactor), settings.Get(SettingKeys.EjectionLatencyMinimumHosts),
                    settings.Get(SettingKeys.EjectionLatencyMinimumRequests));
                var figures = members.Select(m => now.Latency(m.Live, before)).ToArray();
                foreach (var i in Outliers.ByLatency(figures, rule, out var mean))
                {
                    if (members[i].Gate.Eject(CircuitReason.Latency))
                        LogLatency(logger, members[i].Gate.InstanceId, service, figures[i].Value * 1000, figures[i].Requests, mean * 1000);
                }
            }
        }
    }

    [LoggerMessage(LogLevel.Warning, "Instance {Instance} of {Service} is out: {Rate:0.0} % of {Requests} attempts succeeded, {Mean:0.0} % in the mean of all instances")]
    private static partial void LogSuccessRate(ILogger logger, string instance, string service, double rate, long requests, double mean);

    [LoggerMessage(LogLevel.Warning, "Instance {Instance} of {Service} is out: its {Answers} answers took {Millis:0.0} ms each, {Mean:0.0} ms in the mean of all instances")]
    private static partial void LogLatency(ILogger logger, string instance, string service, double millis, long answers, double mean);
}

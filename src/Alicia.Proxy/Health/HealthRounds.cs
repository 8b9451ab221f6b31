using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Changes;

namespace Alicia.Proxy.Health;

/// <summary>
/// What has to be looked for, because nothing calls: instances that fall silent under requests, leases that run out, and instances that have been unhealthy for too long.
/// </summary>
internal sealed partial class HealthRounds(
    HealthMonitor monitor, LeaseBook leases, ServiceRegistry registry, LiveTable lives, Func<TimeSpan> removeAfter, TimeProvider time, ILogger<HealthRounds> logger) : BackgroundService
{
    /// <summary>Short beside the shortest useful probe timeout, and a few reads per instance each.</summary>
    private static readonly TimeSpan Round = TimeSpan.FromMilliseconds(250);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Round, time);
        try
        {
            for (var round = 0L; await timer.WaitForNextTickAsync(stoppingToken); round++)
            {
                monitor.LookForDoubt();
                if (round % 4 != 0)
                    continue;
                foreach (var instance in leases.Expire(registry.Snapshot, lives, time.GetUtcNow()))
                    await RemoveAsync(instance, DepartureReason.LeaseExpired, stoppingToken);
                foreach (var instance in TooLongUnhealthy())
                    await RemoveAsync(instance, DepartureReason.Unhealthy, stoppingToken);
            }
        }
        catch (OperationCanceledException)
        {
            // Stopping.
        }
    }

    private List<Instance> TooLongUnhealthy()
    {
        var (now, limit) = (time.GetUtcNow(), removeAfter());
        var found = new List<Instance>();
        foreach (var watch in monitor.Watches)
        {
            if (watch.UnhealthySince is { } since && now - since > limit && watch.Instance.Source != RegistrationSource.Config)
                found.Add(watch.Instance);
        }

        return found;
    }

    private async Task RemoveAsync(Instance instance, DepartureReason reason, CancellationToken cancellation)
    {
        try
        {
            var result = await registry.SubmitAsync(new RemoveInstance(instance.ServiceName, instance.InstanceId, reason, instance.Epoch), cancellation);
            if (result.Accepted)
                LogRemoved(logger, instance.InstanceId, instance.ServiceName, DepartureReasons.Of(reason));
            // A store that cannot be written has said so itself; the next round asks again.
        }
        catch (System.Threading.Channels.ChannelClosedException)
        {
            // The registry closes before the rounds do.
        }
    }

    [LoggerMessage(LogLevel.Warning, "Instance {Instance} of {Service} is removed ({Reason}); what is in flight finishes")]
    private static partial void LogRemoved(ILogger logger, string instance, string service, string reason);
}

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
        var removing = Task.CompletedTask;
        try
        {
            for (var round = 0L; await timer.WaitForNextTickAsync(stoppingToken); round++)
            {
                try
                {
                    monitor.LookRound();
                    // Beside the rounds: a slow disk must not keep anybody from noticing an instance that hangs.
                    if (round % 4 == 0 && removing.IsCompleted)
                        removing = RemoveAsync(stoppingToken);
                }
                catch (Exception e) when (!stoppingToken.IsCancellationRequested)
                {
                    // A bug in one round. The next may do better; without rounds nobody would notice what hangs, and without this the whole proxy would stop.
                    LogRoundFailed(logger, e);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // Stopping.
        }
    }

    /// <summary>Removes what has run out, together, so that one commit serves many.</summary>
    private async Task RemoveAsync(CancellationToken cancellation)
    {
        try
        {
            var limit = removeAfter();
            var unhealthy = monitor.Watches.Where(w => monitor.UnhealthyFor(w) > limit && w.Instance.Source != RegistrationSource.Config).Select(w => w.Instance);
            await Task.WhenAll([
                .. leases.Expire(registry.Snapshot, lives, time).Select(i => RemoveAsync(i, DepartureReason.LeaseExpired, cancellation)),
                .. unhealthy.Select(i => RemoveAsync(i, DepartureReason.Unhealthy, cancellation)),
            ]);
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested)
        {
            LogRoundFailed(logger, e);
        }
        catch (OperationCanceledException)
        {
            // Stopping.
        }
    }

    private async Task RemoveAsync(Instance instance, DepartureReason reason, CancellationToken cancellation)
    {
        try
        {
            var result = await registry.SubmitAsync(new RemoveInstance(instance.ServiceName, instance.InstanceId, reason, instance.Epoch), cancellation);
            // A store that cannot be written has said so itself; the next round asks again.
            if (!result.Accepted)
                return;
            if (reason == DepartureReason.LeaseExpired)
                leases.Gone(time);
            LogRemoved(logger, instance.InstanceId, instance.ServiceName, DepartureReasons.Of(reason));
        }
        catch (System.Threading.Channels.ChannelClosedException)
        {
            // The registry closes before the rounds do.
        }
    }

    [LoggerMessage(LogLevel.Error, "A round of looking after instances failed inside the proxy")]
    private static partial void LogRoundFailed(ILogger logger, Exception error);

    [LoggerMessage(LogLevel.Warning, "Instance {Instance} of {Service} is removed ({Reason}); what is in flight finishes")]
    private static partial void LogRemoved(ILogger logger, string instance, string service, string reason);
}

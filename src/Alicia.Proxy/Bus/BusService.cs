namespace Alicia.Proxy.Bus;

/// <summary>
/// Owns the bus's loops: the connection, the reading of what came, the regular reports, the following of events. Each begins again when it breaks, which would be a
/// fault in it; none can take the proxy down or keep it from starting.
/// </summary>
internal sealed partial class BusService(
    BusConnection connection, InboundQueue inbound, InboundHandling handling, BusPublisher publisher, IHostApplicationLifetime lifetime, TimeProvider time,
    ILogger<BusService> logger) : BackgroundService
{
    private static readonly TimeSpan RestartPause = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // Nothing is said of a proxy that does not listen yet.
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using (lifetime.ApplicationStarted.Register(started.SetResult))
        await using (stoppingToken.Register(() => started.TrySetResult()))
            await started.Task;
        await Task.WhenAll(
            KeepAsync("connection", token => connection.RunAsync(Random.Shared, token), stoppingToken),
            KeepAsync("reader", token => handling.RunAsync(inbound, token), stoppingToken),
            KeepAsync("reports", publisher.RunAsync, stoppingToken),
            KeepAsync("events", publisher.FollowAsync, stoppingToken));
    }

    private async Task KeepAsync(string name, Func<CancellationToken, Task> loop, CancellationToken cancellation)
    {
        while (!cancellation.IsCancellationRequested)
        {
            try
            {
                await Task.Run(() => loop(cancellation), cancellation);
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                LogBroke(logger, name, e);
                await Task.Delay(RestartPause, time, CancellationToken.None);
            }
        }
    }

    [LoggerMessage(LogLevel.Error, "The bus's {Loop} broke and begins again")]
    private static partial void LogBroke(ILogger logger, string loop, Exception error);
}

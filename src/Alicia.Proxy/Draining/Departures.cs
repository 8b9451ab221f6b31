using System.Collections.Concurrent;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Changes;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Draining;

/// <summary>
/// Sees instances off: one that was removed is struck from the registry when its last request is over or its drain timeout has passed, whichever is first.
/// Requests that outlast the timeout are not cut; they finish, the registry just no longer lists their instance. Upgraded connections, which may last for days, end with it.
/// </summary>
internal sealed partial class Departures(ServiceRegistry registry, LiveTable lives, EndpointTable endpoints, GateTable gates, TimeProvider time, ILogger<Departures> logger)
{
    /// <summary>How long a departure waits after the registry failed to finish it.</summary>
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<long, Departure> _leaving = new();
    private readonly ConcurrentDictionary<long, ITimer> _drained = new();

    /// <summary>Called with the epoch of an instance whose drain timeout has passed with something in flight, for those who keep connections to it. Set before the first departure.</summary>
    public Action<long>? Overdue { get; set; }

    /// <summary>
    /// An operator has taken an instance out of rotation, or back in. It stays listed for as long as he likes; but connections that would never end are ended at the drain timeout,
    /// as with one that leaves.
    /// </summary>
    public void DrainedByOperator(Instance instance)
    {
        StopDraining(instance.Epoch);
        if (instance.OperatorDrain)
            _drained[instance.Epoch] = time.CreateTimer(_ => EndConnections(instance.Epoch), null, TimeoutOf(instance), Timeout.InfiniteTimeSpan);
        else if (lives.TryGet(instance.Epoch, out var live))
            live.IsOverdue = false;
    }

    /// <summary>Begins the departure of an instance that nothing new can reach any more.</summary>
    public void Begin(Instance instance)
    {
        StopDraining(instance.Epoch);
        var departure = new Departure(instance);
        if (!_leaving.TryAdd(instance.Epoch, departure))
            return;
        StartTimer(departure);
        lives.GetOrAdd(instance.Epoch).WhenIdle(_ =>
        {
            departure.Idle.TrySetResult();
            Finish(departure, "idle");
        });
    }

    /// <summary>
    /// An epoch is no longer in the registry: whatever is kept by it goes once nothing is in flight. One that was replaced while it drained keeps its drain timeout, one that was
    /// replaced without draining has it from now on.
    /// </summary>
    public void Forget(Instance instance)
    {
        StopDraining(instance.Epoch);
        var wasLeaving = _leaving.TryRemove(instance.Epoch, out var found);
        var departure = found ?? new Departure(instance);
        departure.Gone.TrySetResult();
        if (!lives.TryGet(instance.Epoch, out var live))
        {
            departure.StopTimer();
            return;
        }

        if (!wasLeaving)
            StartTimer(departure);
        live.WhenIdle(l =>
        {
            departure.StopTimer();
            departure.Idle.TrySetResult();
            lives.Forget(l.Epoch);
            endpoints.Forget(l.Epoch);
            gates.Retire(l.Epoch);
        });
    }

    /// <summary>Completes when the instance of that epoch has left the registry; at once when it is not leaving.</summary>
    public Task GoneAsync(long epoch) => _leaving.TryGetValue(epoch, out var departure) ? departure.Gone.Task : Task.CompletedTask;

    /// <summary>Completes when nothing is in flight to that epoch any more, which may be after it has left; at once when it is not leaving.</summary>
    public Task IdleAsync(long epoch) => _leaving.TryGetValue(epoch, out var departure) ? departure.Idle.Task : Task.CompletedTask;

    private void StartTimer(Departure departure) =>
        departure.Timer = time.CreateTimer(_ => TimeIsUp(departure), null, TimeoutOf(departure.Instance), Timeout.InfiniteTimeSpan);

    private TimeSpan TimeoutOf(Instance instance) => registry.Snapshot.TryGet(instance.ServiceName, out var service)
        ? service.Settings.Get(SettingKeys.DrainTimeout)
        : SettingKeys.DrainTimeout.Default;

    private void StopDraining(long epoch)
    {
        if (_drained.TryRemove(epoch, out var timer))
            timer.Dispose();
    }

    private void EndConnections(long epoch)
    {
        if (!lives.TryGet(epoch, out var live) || live.InFlight == 0)
            return;
        live.IsOverdue = true;
        Overdue?.Invoke(epoch);
    }

    private void TimeIsUp(Departure departure)
    {
        EndConnections(departure.Instance.Epoch);
        if (!departure.Gone.Task.IsCompleted)
            Finish(departure, "drain timeout");
    }

    private void Finish(Departure departure, string reason)
    {
        if (departure.TryFinish())
            _ = FinishAsync(departure, reason);
    }

    private async Task FinishAsync(Departure departure, string reason)
    {
        var instance = departure.Instance;
        try
        {
            var result = await registry.SubmitAsync(new FinishDeparture(instance.ServiceName, instance.Epoch), CancellationToken.None);
            if (result.Accepted)
                LogLeft(logger, instance.ServiceName, instance.InstanceId, reason, lives.Read(instance.Epoch).InFlight);
            else
                departure.Retry(RetryDelay);
        }
        catch (Exception e) when (e is System.Threading.Channels.ChannelClosedException or OperationCanceledException)
        {
            // The proxy is stopping; the instance's row is gone already.
        }
        catch (Exception e)
        {
            // A bug in the registry. Left like this, the instance would drain for ever.
            LogRetrying(logger, instance.ServiceName, instance.InstanceId, e);
            departure.Retry(RetryDelay);
        }
    }

    private sealed class Departure(Instance instance)
    {
        private int _finishing;

        public Instance Instance { get; } = instance;

        public TaskCompletionSource Gone { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource Idle { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public ITimer? Timer { get; set; }

        public bool TryFinish() => Interlocked.Exchange(ref _finishing, 1) == 0;

        /// <summary>Has the timer try again after <paramref name="delay"/>.</summary>
        public void Retry(TimeSpan delay)
        {
            Volatile.Write(ref _finishing, 0);
            Timer?.Change(delay, Timeout.InfiniteTimeSpan);
        }

        public void StopTimer() => Timer?.Dispose();
    }

    [LoggerMessage(LogLevel.Error, "Instance {Instance} of {Service} could not be struck off the registry; trying again")]
    private static partial void LogRetrying(ILogger logger, string service, string instance, Exception error);

    [LoggerMessage(LogLevel.Information, "Instance {Instance} of {Service} has left ({Reason}, {InFlight} requests in flight)")]
    private static partial void LogLeft(ILogger logger, string service, string instance, string reason, int inFlight);
}

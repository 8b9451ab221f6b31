using Alicia.Proxy.Registry;

namespace Alicia.Proxy.Bus;

/// <summary>Holds new traffic from an instance and probes it at once.</summary>
/// <param name="instance">Who is suspected.</param>
/// <param name="reason">Of what, such as <c>mqtt_will</c>.</param>
/// <returns>True when the probe passed and traffic goes on, false when it failed.</returns>
internal delegate Task<bool> SuspectInstance(Instance instance, string reason);

/// <summary>
/// Bad news from the bus about instances: each is probed at once, beside the reading of further messages, and one whose goodbye was a last will is removed when the
/// probe says so too. At most one probe per instance at a time; news in the meantime joins it.
/// </summary>
internal sealed partial class Suspicions(SuspectInstance suspect, Func<Instance, Task> remove, ILogger logger)
{
    /// <summary>Instances that may be under suspicion at once; a storm of bad news must not become a storm of probes.</summary>
    public const int Limit = 256;

    private readonly Lock _lock = new();
    private readonly Dictionary<long, Suspicion> _open = [];

    /// <summary>Begins a suspicion, or joins the one that there is. Returns at once.</summary>
    /// <param name="instance">Who is suspected.</param>
    /// <param name="reason">Of what.</param>
    /// <param name="removes">Whether it is removed when the probe fails.</param>
    /// <returns>False when too many are under suspicion already.</returns>
    public bool Begin(Instance instance, string reason, bool removes)
    {
        Suspicion suspicion;
        lock (_lock)
        {
            if (_open.TryGetValue(instance.Epoch, out var joined))
            {
                joined.Removes |= removes;
                return true;
            }

            if (_open.Count >= Limit)
                return false;
            _open[instance.Epoch] = suspicion = new Suspicion { Removes = removes };
        }

        LogSuspected(logger, instance.ServiceName, instance.InstanceId, reason);
        // Not awaited: it outlives this message. It ends by itself, its failures are logged, and there are at most Limit of it.
        _ = Task.Run(() => FollowAsync(instance, reason, suspicion));
        return true;
    }

    /// <summary>The instance has been heard of again: whatever the probe says, this is no longer the instance that was lost.</summary>
    public void Clear(long epoch)
    {
        lock (_lock)
        {
            if (_open.TryGetValue(epoch, out var suspicion))
                suspicion.Removes = false;
        }
    }

    private async Task FollowAsync(Instance instance, string reason, Suspicion suspicion)
    {
        try
        {
            var passed = await suspect(instance, reason);
            bool removes;
            lock (_lock)
            {
                _open.Remove(instance.Epoch);
                removes = !passed && suspicion.Removes;
            }

            if (!removes)
                return;
            LogRemoved(logger, instance.ServiceName, instance.InstanceId);
            await remove(instance);
        }
        catch (OperationCanceledException)
        {
            // No verdict: the proxy is stopping, or nobody probes the instance any more. Only a probe that failed removes.
        }
        catch (Exception e)
        {
            // The end of a task that nobody waits for: this is where its failures are told.
            LogFailed(logger, instance.ServiceName, instance.InstanceId, e);
        }
        finally
        {
            lock (_lock)
                _open.Remove(instance.Epoch);
        }
    }

    private sealed class Suspicion
    {
        public bool Removes { get; set; }
    }

    [LoggerMessage(LogLevel.Information, "Instance {Instance} of {Service} is probed at once: {Reason}")]
    private static partial void LogSuspected(ILogger logger, string service, string instance, string reason);

    [LoggerMessage(LogLevel.Information, "Instance {Instance} of {Service} left by its last will, and the probe failed: it is removed")]
    private static partial void LogRemoved(ILogger logger, string service, string instance);

    [LoggerMessage(LogLevel.Error, "A suspicion against instance {Instance} of {Service} could not be followed")]
    private static partial void LogFailed(ILogger logger, string service, string instance, Exception error);
}

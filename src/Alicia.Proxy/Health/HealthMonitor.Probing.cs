using Alicia.Proxy.Circuit;
using Alicia.Proxy.Events;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry.Changes;

namespace Alicia.Proxy.Health;

/// <content>One probe of one instance, and what follows from it.</content>
internal sealed partial class HealthMonitor
{
    /// <summary>One probe and what follows from it.</summary>
    /// <returns>The time until the next.</returns>
    private async Task<TimeSpan> ProbeAsync(Watch watch, CancellationToken cancellation)
    {
        var settings = watch.Settings;
        var (waiting, doubted) = watch.Begin();
        // Null as long as there is no result that counts: a probe that was cancelled has failed nobody.
        bool? passed = null;
        var again = false;
        try
        {
            var verdict = watch.Verdict;
            var result = await _prober.ProbeAsync(watch.Endpoint, settings, cancellation);
            lock (watch.Judging)
            {
                // Switched off in the meantime, perhaps on again: whatever this probe says is of another time.
                if (watch.Ended || !watch.Settings.Enabled || !ReferenceEquals(verdict, watch.Verdict))
                    return settings.Interval;
                Take(watch, settings, result, doubted);
            }

            passed = result.Passed;
            again = result.Passed && watch.GoesOn(waiting, settings.Rise);
            if (result.Passed && !watch.Instance.Admitted)
                await AdmitAsync(watch);
            return IsSettled(watch) ? settings.Interval : settings.Fast;
        }
        finally
        {
            watch.First.TrySetResult();
            if (again)
                _schedule.ProbeNow(watch.Instance.Epoch);
            else if (passed is { } result)
                waiting.ForEach(waiter => waiter.TrySetResult(result));
            else
                waiting.ForEach(waiter => waiter.TrySetCanceled());
        }
    }

    private void Take(Watch watch, ProbeSettings settings, ProbeResult result, bool doubted)
    {
        var now = _time.GetUtcNow();
        Counters.Count(result);
        watch.Live.LastProbe = (now, result.Passed);
        var before = watch.Verdict.Status;
        // Refused to a request and to the probe that asked whether that was chance: it was not.
        var certain = doubted && result.Failure is not (null or ProbeFailure.Status or ProbeFailure.Body or ProbeFailure.NotServing or ProbeFailure.Protocol);
        var served = watch.Instance.Admitted;
        var moved = certain ? watch.Verdict.FailAtOnce() : watch.Verdict.Observe(result.Passed, served ? settings.Rise : 1, settings.Fall);
        // Before the verdict: a circuit that probes have opened is half-open before anybody sees that the instance is healthy. The slots open with the verdict.
        if (result.Passed)
            watch.Gate.ProbePassed(settings.Rise);
        else
            watch.Gate.ProbeFailed();
        if (moved is { } verdict)
        {
            watch.UnhealthySince = verdict == HealthStatus.Unhealthy ? _time.GetTimestamp() : null;
            watch.Gate.Judge(verdict, served);
            _yarp.Set(watch.Instance, verdict);
            _events.Publish(EventKind.HealthChanged, watch.Instance.ServiceName, new Happening
            {
                InstanceId = watch.Instance.InstanceId,
                Epoch = watch.Instance.Epoch,
                Previous = HealthNames.Of(before),
                Current = HealthNames.Of(verdict),
                Reason = ProbeNames.Of(result.Failure),
            });
            if (verdict == HealthStatus.Unhealthy)
                LogUnhealthy(_logger, watch.Instance.InstanceId, watch.Instance.ServiceName, ProbeNames.Of(result.Failure), result.Detail);
            else
                LogHealthy(_logger, watch.Instance.InstanceId, watch.Instance.ServiceName, result.Elapsed.TotalMilliseconds);
        }
    }

    /// <summary>
    /// Settled: in the rotation, or on trial, which is for requests to decide; out by what probes do not see; or unhealthy for so long that haste brings nothing.
    /// </summary>
    private bool IsSettled(Watch watch) => watch.Verdict switch
    {
        { BetweenStates: true } => false,
        _ when !watch.Instance.Admitted => false,
        { Status: HealthStatus.Unhealthy } => UnhealthyFor(watch) > HopefulTime,
        _ => watch.Gate.Standing != GateStanding.Shut
            || watch.Gate.Read() is { Suspected: false, Reason: CircuitReason.Operator or CircuitReason.FailureStatuses or CircuitReason.GrpcUnavailable },
    };

    private async Task AdmitAsync(Watch watch)
    {
        var instance = watch.Instance;
        lock (watch.Judging)
        {
            if (watch.Admitting)
                return;
            watch.Admitting = true;
        }

        try
        {
            var result = await _registry.SubmitAsync(new AdmitInstance(instance.ServiceName, instance.Epoch), CancellationToken.None);
            if (result.Rejection is { } rejection)
                LogNotAdmitted(_logger, instance.InstanceId, instance.ServiceName, rejection.Detail);
            else
                await _publisher.AppliedAsync(result.Revision, CancellationToken.None);
        }
        catch (Exception e) when (e is System.Threading.Channels.ChannelClosedException or InvalidOperationException)
        {
            // The proxy is stopping, or the revision could not be put in force, which the publisher says and mends.
        }
        finally
        {
            watch.Admitting = false;
        }
    }

    [LoggerMessage(LogLevel.Warning, "Instance {Instance} of {Service} is unhealthy ({Reason}: {Detail})")]
    private static partial void LogUnhealthy(ILogger logger, string instance, string service, string reason, string detail);

    [LoggerMessage(LogLevel.Information, "Instance {Instance} of {Service} is healthy (answered in {Milliseconds:0.0} ms)")]
    private static partial void LogHealthy(ILogger logger, string instance, string service, double milliseconds);

    [LoggerMessage(LogLevel.Warning, "Instance {Instance} of {Service} passed its probe but could not be admitted: {Reason}")]
    private static partial void LogNotAdmitted(ILogger logger, string instance, string service, string reason);
}

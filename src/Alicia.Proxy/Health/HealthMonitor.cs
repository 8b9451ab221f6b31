using System.Collections.Concurrent;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Events;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Routing;
using Yarp.ReverseProxy.Health;
using Yarp.ReverseProxy.Model;

namespace Alicia.Proxy.Health;

/// <summary>
/// Watches every registered instance: probes it on its own schedule, admits it after its first good probe, tells its gate what the probes say, and probes at once where a request,
/// or somebody on the bus, casts doubt on it. Takes the place of YARP's monitor, which probes clusters as a whole and starts over with every registration.
/// </summary>
internal sealed partial class HealthMonitor : IActiveHealthCheckMonitor, IAsyncDisposable
{
    /// <summary>How long an instance that became unhealthy is probed at the fast interval: most come back soon or not at all.</summary>
    private static readonly TimeSpan HopefulTime = TimeSpan.FromMinutes(1);

    /// <summary>How long a probe that passed answers for the doubts of requests.</summary>
    private static readonly TimeSpan DoubtPause = TimeSpan.FromMilliseconds(100);

    private readonly ServiceRegistry _registry;
    private readonly SnapshotPublisher _publisher;
    private readonly EndpointTable _endpoints;
    private readonly LiveTable _lives;
    private readonly GateTable _gates;
    private readonly Prober _prober;
    private readonly ProbeSchedule _schedule;
    private readonly YarpHealth _yarp;
    private readonly EventLog _events;
    private readonly TimeProvider _time;
    private readonly ILogger<HealthMonitor> _logger;
    private readonly ConcurrentDictionary<long, Watch> _watches = new();

    public HealthMonitor(ServiceRegistry registry, SnapshotPublisher publisher, EndpointTable endpoints, LiveTable lives, GateTable gates, GateSurroundings surroundings, Prober prober,
        ProbeSchedule schedule, YarpHealth yarp, ProbeCounters counters, EventLog events, TimeProvider time, ILogger<HealthMonitor> logger)
    {
        (_registry, _publisher, _endpoints, _lives, _gates, _prober, _schedule, _yarp, _events, _time, _logger) =
            (registry, publisher, endpoints, lives, gates, prober, schedule, yarp, events, time, logger);
        Counters = counters;
        publisher.Refreshed = Follow;
        surroundings.ProbeWanted = Met;
    }

    public ProbeCounters Counters { get; }

    /// <summary>Every instance that is watched.</summary>
    public IEnumerable<Watch> Watches => _watches.Values;

    /// <inheritdoc/>
    public bool InitialProbeCompleted => _watches.Values.All(w => w.First.Task.IsCompleted);

    /// <inheritdoc/>
    /// <remarks>YARP asks when it starts; the schedule begins with the first publication, which is later.</remarks>
    public Task CheckHealthAsync(IEnumerable<ClusterState> clusters) => Task.CompletedTask;

    /// <summary>Completes when every instance that is watched now has been probed once.</summary>
    public Task FirstRoundAsync() => Task.WhenAll(_watches.Values.Select(w => w.First.Task));

    /// <summary>Probes an instance at once because something cast doubt on it.</summary>
    public void Doubt(long epoch)
    {
        if (!_watches.TryGetValue(epoch, out var watch) || !watch.Settings.Enabled)
            return;
        watch.Doubt();
        // An instance that resets requests and passes its probes would else be probed without a pause, until its circuit opens. The doubt stays; the next round asks.
        if (watch.Live.LastProbe is not { Passed: true } last || _time.GetUtcNow() - last.At >= DoubtPause)
            _schedule.ProbeNow(epoch);
    }

    /// <summary>A request met an instance that seems dead. Where it did not even take the connection and others can serve, nobody else need find out the same way.</summary>
    private void Met(InstanceGate gate, bool refused)
    {
        if (refused && gate.Siblings?.HasOther(gate) == true && _watches.TryGetValue(gate.Live.Epoch, out var watch))
        {
            lock (watch.Judging)
            {
                if (watch.Settings.Enabled && !watch.Ended && gate.Standing == GateStanding.Usable)
                    gate.Suspect();
            }
        }

        Doubt(gate.Live.Epoch);
    }

    /// <summary>Holds new requests back from an instance that is said to be gone, and probes it at once.</summary>
    /// <returns>True when the probe passed and requests go there again; false when it failed, or the instance has left.</returns>
    /// <exception cref="OperationCanceledException">There was no verdict: the proxy is stopping, or probes were switched off in that moment.</exception>
    public async Task<bool> SuspectAsync(Instance instance, CancellationToken cancellation)
    {
        if (!_watches.TryGetValue(instance.Epoch, out var watch))
            return false;
        watch.Gate.Suspect();
        if (watch.Settings.Enabled)
        {
            var next = watch.NextAsync();
            watch.Doubt();
            _schedule.ProbeNow(instance.Epoch);
            return await next.WaitAsync(cancellation);
        }

        // Nobody probes it, so nobody would ever take the suspicion back: whether it takes connections decides, once.
        try
        {
            return (await _prober.ProbeAsync(watch.Endpoint, watch.Settings with { Type = ProbeType.Tcp }, cancellation)).Passed;
        }
        finally
        {
            watch.Gate.Trust();
        }
    }

    /// <summary>Completes when an instance has been admitted or a probe of it has failed; probes one at once that was there already and gets nothing.</summary>
    public async Task SettledAsync(Instance instance, TimeSpan wait, CancellationToken cancellation)
    {
        if (!_watches.TryGetValue(instance.Epoch, out var watch))
            return;
        var settled = watch.First.Task.IsCompleted ? Renewed(instance) : watch.First.Task;
        try
        {
            await settled.WaitAsync(wait, _time, cancellation);
        }
        catch (Exception e) when (e is TimeoutException || (e is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            // Time is over, or there will be no verdict; the caller sees by the document how things stand.
        }
    }

    /// <summary>An instance has registered again. One that gets nothing now has most likely just come back: it is probed at once.</summary>
    /// <returns>Completes with that probe, or at once where there is nothing to find out.</returns>
    public Task Renewed(Instance instance)
    {
        if (!_watches.TryGetValue(instance.Epoch, out var watch) || !watch.Settings.Enabled)
            return Task.CompletedTask;
        if (watch.Instance.Admitted && watch.Gate.Standing == GateStanding.Usable)
            return Task.CompletedTask;
        var next = watch.NextAsync();
        // As with doubts, one that says so all the time is not probed without a pause; the next round asks.
        if (watch.Live.LastProbe is not { Passed: false } last || _time.GetUtcNow() - last.At >= DoubtPause)
            _schedule.ProbeNow(instance.Epoch);
        return next;
    }

    /// <summary>An epoch has left.</summary>
    public void Forget(long epoch)
    {
        if (!_watches.TryRemove(epoch, out var watch))
            return;
        _schedule.Remove(epoch);
        watch.End();
    }

    /// <summary>
    /// Looks for instances that have fallen silent under requests, for doubts and questions that no probe has answered yet, and for those that should have been admitted when the store could
    /// not be written.
    /// </summary>
    public void LookRound()
    {
        foreach (var (epoch, watch) in _watches)
        {
            if (watch.Settings.Enabled)
            {
                if (watch.FallsSilent(_time) || watch.IsDoubted)
                    Doubt(epoch);
                else if (watch.IsAwaited)
                    _schedule.ProbeNow(epoch);
            }
            else if (!watch.Instance.Admitted && !_registry.StoreFailing)
            {
                _ = AdmitAsync(watch);
            }
        }
    }

    /// <summary>How long an instance's probes have called it unhealthy; null when they do not.</summary>
    public TimeSpan? UnhealthyFor(Watch watch) => watch.UnhealthySince is { } since ? _time.GetElapsedTime(since) : null;

    public ValueTask DisposeAsync() => _schedule.DisposeAsync();

    /// <summary>Takes over what changed in a service. On the publisher's loop, one service at a time.</summary>
    private void Follow(Service service)
    {
        foreach (var instance in service.Instances)
        {
            if (instance.Leaving)
                Forget(instance.Epoch);
            else if (!_watches.TryGetValue(instance.Epoch, out var watch))
                Begin(service, instance);
            else
                Update(watch, service, instance);
        }
    }

    private void Begin(Service service, Instance instance)
    {
        if (!_gates.TryGet(instance.Epoch, out var gate) || !_endpoints.TryGet(instance.Epoch, out var endpoint))
            return;
        var watch = new Watch(instance, ProbeSettings.Resolve(service.Settings, instance.HealthCheck), _lives.GetOrAdd(instance.Epoch), gate, endpoint)
        {
            ServiceSettings = service.Settings,
        };
        _watches[instance.Epoch] = watch;
        // In the rotation before it was ever probed, as after a restart: one that has died in the meantime is out by its first probe.
        if (instance.Admitted)
            watch.Doubt();
        if (watch.Settings.Enabled)
            Schedule(watch);
        else
            Unprobed(watch);
    }

    private void Update(Watch watch, Service service, Instance instance)
    {
        var same = ReferenceEquals(watch.ServiceSettings, service.Settings) && ReferenceEquals(watch.Instance.HealthCheck, instance.HealthCheck);
        watch.Instance = instance;
        if (same)
            return;
        watch.ServiceSettings = service.Settings;
        var settings = ProbeSettings.Resolve(service.Settings, instance.HealthCheck);
        if (settings == watch.Settings)
            return;
        var before = watch.Settings;
        lock (watch.Judging)
        {
            watch.Settings = settings;
            if (!settings.Enabled && before.Enabled)
            {
                _schedule.Remove(instance.Epoch);
                watch.Verdict = new RiseFall();
                watch.UnhealthySince = null;
                watch.Gate.ProbesEnded();
            }
        }

        if (settings.Enabled && !before.Enabled)
        {
            Schedule(watch);
        }
        else if (!settings.Enabled)
        {
            watch.NoVerdict();
            Unprobed(watch);
        }
        else
        {
            _schedule.Change(instance.Epoch, settings);
            // Another path, say: what the old probes said may no longer hold.
            _schedule.ProbeNow(instance.Epoch);
        }
    }

    private void Schedule(Watch watch) => _schedule.Add(watch.Instance.Epoch, watch.Settings, cancellation => ProbeAsync(watch, cancellation));

    private void Unprobed(Watch watch)
    {
        watch.First.TrySetResult();
        if (!watch.Instance.Admitted)
            _ = AdmitAsync(watch);
    }
}

using System.Collections.Concurrent;
using System.Threading.Channels;
using Alicia.Proxy.Admission;
using Alicia.Proxy.Balancing;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Live;
using Alicia.Proxy.RateLimits;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Settings;
using Yarp.ReverseProxy;
using Yarp.ReverseProxy.Configuration;

namespace Alicia.Proxy.Routing;

/// <summary>
/// Makes the request path follow the registry: from one background loop, coalesced, it hands YARP the projected configuration, then swaps in pools and the
/// routing table, and tells whoever waits that a revision is in force.
/// </summary>
internal sealed partial class SnapshotPublisher : IAsyncDisposable
{
    private readonly ServiceRegistry _registry;
    private readonly SnapshotConfigProvider _provider;
    private readonly IServiceProvider _services;
    private readonly LiveTable _lives;
    private readonly EndpointTable _endpoints;
    private readonly PolicyCatalog _policies;
    private readonly GateTable _gates;
    private readonly GateSurroundings _surroundings;
    private readonly AffinityKey _affinityKey;
    private readonly TimeProvider _time;
    private readonly ILogger<SnapshotPublisher> _logger;
    private readonly Channel<bool> _signal = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true });
    private readonly CancellationTokenSource _stopping = new();
    private readonly Dictionary<string, ClusterConfig> _clusters = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Upstream> _upstreams = new(StringComparer.Ordinal);
    private readonly Dictionary<string, SlowStart> _slowStarts = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, bool> _rearranged = new(StringComparer.Ordinal);
    private readonly Lock _waitersLock = new();
    private readonly PriorityQueue<TaskCompletionSource, long> _waiters = new();
    private RegistrySnapshot _published = RegistrySnapshot.Empty;
    private IReadOnlyList<RouteConfig> _routes = [RouteProjection.CatchAllRoute];
    private RoutingTable _table = RoutingTable.Empty;
    private bool _hasDeclaredRoutes;
    private Task _loop = Task.CompletedTask;
    private long _appliedRevision = -1;
    private bool _starting;
    private volatile bool _failing;
    private long _publications;
    private long _publishingTicks;
    private long _lastTicks;

    public SnapshotPublisher(ServiceRegistry registry, SnapshotConfigProvider provider, IServiceProvider services, LiveTable lives,
        EndpointTable endpoints, PolicyCatalog policies, GateTable gates, GateSurroundings surroundings, AffinityKey affinityKey, TimeProvider time, ILogger<SnapshotPublisher> logger)
    {
        (_registry, _provider, _services, _lives, _endpoints, _policies, _time, _logger) = (registry, provider, services, lives, endpoints, policies, time, logger);
        (_gates, _surroundings, _affinityKey) = (gates, surroundings, affinityKey);
        registry.Published += (_, _) => _signal.Writer.TryWrite(true);
        surroundings.RotationChanged = Rearrange;
    }

    private void Rearrange(string service)
    {
        _rearranged.TryAdd(service, true);
        _signal.Writer.TryWrite(true);
    }

    /// <summary>How long a failed publication waits before it is tried again.</summary>
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);

    /// <summary>True while the registry's latest revision cannot be put in force.</summary>
    public bool Failing => _failing;

    /// <summary>Publications since start that succeeded.</summary>
    public long Publications => Volatile.Read(ref _publications);

    /// <summary>What they took in all.</summary>
    public TimeSpan TimePublishing => new(Volatile.Read(ref _publishingTicks));

    /// <summary>What the latest took.</summary>
    public TimeSpan LastPublication => new(Volatile.Read(ref _lastTicks));

    /// <summary>The latest revision that requests are routed by.</summary>
    public long AppliedRevision => Volatile.Read(ref _appliedRevision);

    /// <summary>The table in force.</summary>
    public RoutingTable Table => Volatile.Read(ref _table);

    /// <summary>False when nothing but host, prefix and default decides where a request goes: there is nothing that YARP's routes could find.</summary>
    public bool HasDeclaredRoutes => Volatile.Read(ref _hasDeclaredRoutes);

    /// <summary>Called for each service that changed, after requests are routed by it. Set before <see cref="StartAsync"/>; must not block.</summary>
    public Action<Service>? Refreshed { get; set; }

    /// <summary>Called once for each instance that has begun to leave, after nothing new can reach it. Set before <see cref="StartAsync"/>.</summary>
    public Action<Instance>? Departing { get; set; }

    /// <summary>Called for each instance that an operator took out of rotation, or back in, after requests are routed by it.</summary>
    public Action<Instance>? DrainedByOperator { get; set; }

    /// <summary>Called once for each epoch that is gone from the registry, for those who keep something by it.</summary>
    public Action<Instance>? Departed { get; set; }

    /// <summary>
    /// Publishes what the registry holds and starts the loop. Called after YARP has read its first configuration and before the listeners open.
    /// </summary>
    public async Task StartAsync()
    {
        _starting = true;
        await PublishAsync(_registry.Snapshot);
        _starting = false;
        _loop = Task.Run(RunAsync, CancellationToken.None);
    }

    /// <summary>Completes when the request path routes by the given revision or a later one.</summary>
    public Task AppliedAsync(long revision, CancellationToken cancellation)
    {
        lock (_waitersLock)
        {
            if (_appliedRevision >= revision)
                return Task.CompletedTask;
            var waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiters.Enqueue(waiter, revision);
            return waiter.Task.WaitAsync(cancellation);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _loop;
        foreach (var slowStart in _slowStarts.Values)
            slowStart.Dispose();
        _stopping.Dispose();
    }

    private async Task RunAsync()
    {
        try
        {
            while (await _signal.Reader.WaitToReadAsync(_stopping.Token))
            {
                // Taken before the snapshot is read: a swap in between signals again and costs at most one empty round.
                _signal.Reader.TryRead(out _);
                var snapshot = _registry.Snapshot;
                if (snapshot.Revision != _published.Revision && !await TryPublishAsync(snapshot))
                {
                    // What was in force stays in force; the next change, or a while, brings the next try.
                    await Task.Delay(RetryDelay, _time, _stopping.Token);
                    _signal.Writer.TryWrite(true);
                }

                foreach (var service in _rearranged.Keys)
                {
                    // Taken off the list before its gates are read: one that moves in between puts it on again.
                    _rearranged.TryRemove(service, out _);
                    if (_upstreams.TryGetValue(service, out var upstream))
                        Arrange(upstream, upstream.State.Rotation, upstream.State.Policy, upstream.State.Settings);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // Stopping.
        }
    }

    /// <summary>Publishes; a failure, which validation should have kept out, is told to those who wait and does not end the loop.</summary>
    private async Task<bool> TryPublishAsync(RegistrySnapshot snapshot)
    {
        try
        {
            await PublishAsync(snapshot);
            _failing = false;
            return true;
        }
        catch (Exception e)
        {
            if (!_failing)
                LogFailed(_logger, snapshot.Revision, e);
            _failing = true;
            FailWaiters(snapshot.Revision, e);
            return false;
        }
    }

    private async Task PublishAsync(RegistrySnapshot snapshot)
    {
        var startedAt = _time.GetTimestamp();
        var changed = new List<Service>();
        var rulesChanged = !ReferenceEquals(snapshot.Rules, _published.Rules);
        var setChanged = rulesChanged;
        var clustersChanged = false;
        var routesChanged = false;
        foreach (var service in snapshot.Services.Values)
        {
            var before = _published.Services.GetValueOrDefault(service.Name);
            if (ReferenceEquals(before, service))
                continue;
            changed.Add(service);
            setChanged |= before is null || before.Leaving != service.Leaving;
            routesChanged |= before is null ? !service.Routes.IsEmpty : !before.Routes.AsSpan().SequenceEqual(service.Routes.AsSpan());
            if (before is null || !SameRotation(before, service))
            {
                _clusters[service.Name] = RouteProjection.Cluster(service);
                clustersChanged = true;
            }
        }

        foreach (var gone in _published.Services.Values.Where(s => !snapshot.Services.ContainsKey(s.Name)))
        {
            _clusters.Remove(gone.Name);
            _upstreams.Remove(gone.Name);
            if (_slowStarts.Remove(gone.Name, out var slowStart))
                slowStart.Dispose();
            _lives.Retire(gone.Name);
            setChanged = clustersChanged = true;
            routesChanged |= !gone.Routes.IsEmpty;
        }

        if (routesChanged)
            _routes = RouteProjection.Routes(snapshot);
        var hasDeclared = _routes.Count > 1;
        // Asked for before they are there and until they are gone: in between, YARP's routing says what is in force.
        if (hasDeclared)
            Volatile.Write(ref _hasDeclaredRoutes, true);
        if (clustersChanged || routesChanged)
            await _provider.ApplyAsync(_routes, [RouteProjection.PlaceholderCluster, .. _clusters.Values]);
        Volatile.Write(ref _hasDeclaredRoutes, hasDeclared);
        foreach (var service in changed)
            Refresh(service);
        if (setChanged)
            Volatile.Write(ref _table, new RoutingTable(snapshot.Rules, _upstreams.Values.Where(u => !snapshot.Services[u.Name].Leaving)));
        NotifyDepartures(snapshot);
        foreach (var service in changed)
            Refreshed?.Invoke(service);
        _published = snapshot;
        var took = _time.GetElapsedTime(startedAt).Ticks;
        Volatile.Write(ref _lastTicks, took);
        Interlocked.Add(ref _publishingTicks, took);
        Interlocked.Increment(ref _publications);
        ReleaseWaiters(snapshot.Revision);
    }

    /// <summary>Brings one service's limits, endpoints and pool up to date.</summary>
    private void Refresh(Service service)
    {
        if (!_upstreams.TryGetValue(service.Name, out var upstream))
            _upstreams[service.Name] = upstream = new Upstream(service.Name, _lives.GetOrAdd(service.Name));
        _services.GetRequiredService<IProxyStateLookup>().TryGetCluster(service.Name, out var cluster);

        var connectTimeout = service.Settings.Get(SettingKeys.ConnectTimeout);
        var circuit = new CircuitSettings(service.Settings.Get(SettingKeys.CircuitFailureThreshold), service.Settings.Get(SettingKeys.CircuitRecoveryTimeout),
            service.Settings.Get(SettingKeys.CircuitSuccessThreshold));
        var members = new List<PoolMember>(service.Instances.Length);
        foreach (var instance in service.Instances)
        {
            var live = _lives.GetOrAdd(instance.Epoch);
            live.Weight = instance.Weight;
            // A lease is not kept on disk; after a restart it begins anew.
            if (live.LeaseRenewedAt == 0)
                live.RenewLease(_time);
            if (instance.InRotation)
                live.MaxConnections = service.MaxConnectionsOf(instance);
            var endpoint = _endpoints.GetOrAdd(instance, connectTimeout);
            endpoint.UseTls(service.Settings.Get(SettingKeys.TlsProfile), service.Settings.Get(SettingKeys.TlsServerName));
            var gate = _gates.GetOrAdd(instance.Epoch, () => new InstanceGate(service.Name, instance.InstanceId, live, circuit, _surroundings, _time) { Siblings = upstream.Gates });
            gate.Use(circuit);
            if (instance.InRotation && cluster is not null && cluster.Destinations.TryGetValue(DestinationIds.Of(instance.Epoch), out var destination))
                members.Add(new PoolMember(live, endpoint, destination, gate) { Priority = instance.Priority });
        }

        Line(upstream, service);
        upstream.Gates.Use([.. members.Select(m => m.Gate)], service.Settings.Get(SettingKeys.MaxEjectionPercent));
        upstream.RateLimit = RateLimit.For(RateLimitRule.Of(service.Settings, _registry.Snapshot.Rules.RateLimitPartitions), upstream.RateLimit);
        Arrange(upstream, [.. members], _policies[service.Settings.Get(SettingKeys.Algorithm)], service.Settings);

        // No slot on what is out of rotation: a request that still holds the old pool finds it closed and asks again, by the state that is in force already.
        foreach (var instance in service.Instances)
        {
            if (!instance.InRotation)
                _lives.GetOrAdd(instance.Epoch).MaxConnections = 0;
        }
    }

    /// <summary>Makes tiers of the instances in rotation: those that every request may go to, and those on trial. The slots of the others are shut already.</summary>
    private void Arrange(Upstream upstream, PoolMember[] rotation, BalancingPolicy policy, ServiceSettings settings)
    {
        var before = upstream.State.Tiers;
        var tiers = new List<Tier>();
        var groups = rotation.GroupBy(m => m.Priority).OrderBy(g => g.Key).Select(g => (All: g.ToArray(), Usable: g.Where(m => m.Gate.Standing == GateStanding.Usable).ToArray())).ToList();
        if (!_slowStarts.TryGetValue(upstream.Name, out var slowStart))
            _slowStarts[upstream.Name] = slowStart = new SlowStart(_time, () => Rearrange(upstream.Name));
        slowStart.Arrange([.. groups.Select(g => g.Usable)], settings.Get(SettingKeys.SlowStart), _starting);
        foreach (var (all, usable) in groups)
        {
            // A pool that says the same keeps its place in the rotation.
            var pool = Array.Find(before, t => t.Pool.Count > 0 && t.Pool.SameAs(usable))?.Pool ?? new Pool(usable);
            policy.Prepare(pool, settings);
            tiers.Add(new Tier(pool, [.. all.Where(m => m.Gate.Standing == GateStanding.Trial)]));
        }

        upstream.State = new UpstreamState([.. tiers], rotation, policy, settings) { Affinity = Affinity.Of(upstream.Name, rotation, settings, _affinityKey) };
        // As in SlotWaiters: the state is there before anybody looks who waits.
        Interlocked.MemoryBarrier();
        upstream.Live.Waiters?.SlotFreed();
    }

    /// <summary>Lets requests of the service wait for slots, or no more of them.</summary>
    private void Line(Upstream upstream, Service service)
    {
        var capacity = service.Settings.Get(SettingKeys.QueueLength);
        var line = upstream.Live.Waiters;
        if (line is null && capacity == 0)
            return;
        line ??= new WaitingLine(upstream, _time);
        line.Capacity = capacity;
        // The instances first: once a request can wait, each of them tells of its slots.
        foreach (var instance in service.Instances)
            _lives.GetOrAdd(instance.Epoch).Waiters = line;
        upstream.Live.Waiters = line;
    }

    private void NotifyDepartures(RegistrySnapshot snapshot)
    {
        foreach (var service in snapshot.Services.Values)
        {
            var before = _published.Services.GetValueOrDefault(service.Name);
            if (ReferenceEquals(before, service))
                continue;
            foreach (var instance in service.Instances)
            {
                var was = before?.Instances.FirstOrDefault(i => i.Epoch == instance.Epoch);
                if (instance.Leaving && was is not { Leaving: true })
                    Departing?.Invoke(instance);
                else if (!instance.Leaving && instance.OperatorDrain != (was?.OperatorDrain ?? false))
                    DrainedByOperator?.Invoke(instance);
            }
        }

        foreach (var before in _published.Services.Values)
        {
            var now = snapshot.Services.GetValueOrDefault(before.Name);
            if (ReferenceEquals(before, now))
                continue;
            foreach (var instance in before.Instances)
            {
                if (now?.Instances.Any(i => i.Epoch == instance.Epoch) == true)
                    continue;
                // Replaced without a draining phase (same id, new address): closed like one that drained.
                if (_lives.TryGet(instance.Epoch, out var live))
                    live.MaxConnections = 0;
                Departed?.Invoke(instance);
            }
        }
    }

    private void ReleaseWaiters(long revision)
    {
        lock (_waitersLock)
        {
            _appliedRevision = Math.Max(_appliedRevision, revision);
            while (_waiters.TryPeek(out var waiter, out var wanted) && wanted <= _appliedRevision)
            {
                _waiters.Dequeue();
                waiter.TrySetResult();
            }
        }
    }

    private void FailWaiters(long revision, Exception error)
    {
        lock (_waitersLock)
        {
            while (_waiters.TryPeek(out var waiter, out var wanted) && wanted <= revision)
            {
                _waiters.Dequeue();
                waiter.TrySetException(new InvalidOperationException("The change is stored but could not be put in force.", error));
            }
        }
    }

    private static bool SameRotation(Service before, Service after) =>
        before.Instances.Where(i => i.InRotation).Select(i => i.Epoch).SequenceEqual(after.Instances.Where(i => i.InRotation).Select(i => i.Epoch));

    [LoggerMessage(LogLevel.Critical, "Revision {Revision} of the registry could not be put in force; requests are routed as before, and it is tried again")]
    private static partial void LogFailed(ILogger logger, long revision, Exception error);
}

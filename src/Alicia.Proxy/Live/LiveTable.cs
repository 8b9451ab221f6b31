using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Diagnostics.Metrics;

namespace Alicia.Proxy.Live;

/// <summary>
/// Finds the live state of an instance by epoch and of a service by name. Control path; requests hold the objects themselves. Only the publisher adds, when the registry has
/// something new, and only what follows a departure removes; everybody else reads.
/// </summary>
internal sealed class LiveTable
{
    private readonly ConcurrentDictionary<long, InstanceLive> _instances = new();
    private readonly ConcurrentDictionary<string, ServiceLive> _services = new(StringComparer.Ordinal);
    private readonly Lock _retiredLock = new();
    private readonly List<Retired> _retired = [];
    private ServiceTotals _gone;
    private long _servicesAdded;

    /// <summary>Where services put the lengths of their requests. Set before the first service is added.</summary>
    public Histogram<double>? Durations { get; set; }

    /// <summary>Counts what no service of ours is asked for: all unknown names share it, because a caller could make up any number of them.</summary>
    public ServiceLive Unknown { get; } = new("unknown");

    public InstanceLive GetOrAdd(long epoch) => _instances.GetOrAdd(epoch, static e => new InstanceLive(e));

    public bool TryGet(long epoch, [NotNullWhen(true)] out InstanceLive? live) => _instances.TryGetValue(epoch, out live);

    /// <summary>The state of an epoch for reading; blank, and kept by nobody, when there is none.</summary>
    public InstanceLive Read(long epoch) => TryGet(epoch, out var live) ? live : new InstanceLive(epoch);

    /// <summary>Services that were added since start, those that have left included.</summary>
    public long ServicesAdded => Volatile.Read(ref _servicesAdded);

    public ServiceLive GetOrAdd(string service) => _services.GetOrAdd(service, static (name, table) =>
    {
        Interlocked.Increment(ref table._servicesAdded);
        return new ServiceLive(name, table.Durations);
    }, this);

    public bool TryGet(string service, [NotNullWhen(true)] out ServiceLive? live) => _services.TryGetValue(service, out live);

    /// <summary>The state of a service for reading; blank, and kept by nobody, when there is none.</summary>
    public ServiceLive Read(string service) => TryGet(service, out var live) ? live : new ServiceLive(service);

    /// <summary>Every service that counts on its own: the registered ones, and those that left a moment ago.</summary>
    public IReadOnlyCollection<ServiceLive> Services
    {
        get
        {
            lock (_retiredLock)
                return [.. _services.Values, .. _retired.Select(r => r.Live)];
        }
    }

    /// <summary>Totals of the services that are gone for good, so that the proxy's totals never fall.</summary>
    public ServiceTotals Gone
    {
        get
        {
            lock (_retiredLock)
                return _gone;
        }
    }

    public void Forget(long epoch) => _instances.TryRemove(epoch, out _);

    /// <summary>A service has left the registry. Its requests may still be in flight, and its last minute still counts.</summary>
    public void Retire(string service)
    {
        lock (_retiredLock)
        {
            if (_services.TryRemove(service, out var live))
                _retired.Add(new Retired(live));
        }
    }

    /// <summary>Moves every window on by a slot, and folds what left more than a window ago and has nothing in flight into <see cref="Gone"/>.</summary>
    public void Advance()
    {
        foreach (var service in Services)
            service.Recent.Advance();
        lock (_retiredLock)
        {
            foreach (var retired in _retired)
                retired.Slots++;
            foreach (var retired in _retired.Where(r => r.Slots > RecentWindow.Slots && r.Live.ActiveConnections == 0))
                _gone = _gone.Plus(retired.Live);
            _retired.RemoveAll(r => r.Slots > RecentWindow.Slots && r.Live.ActiveConnections == 0);
        }
    }

    private sealed class Retired(ServiceLive live)
    {
        public ServiceLive Live { get; } = live;

        public int Slots { get; set; }
    }
}

/// <summary>Counters of services that are gone.</summary>
internal readonly record struct ServiceTotals(long Requests, long Failed, long Rejected, long Aborted)
{
    public ServiceTotals Plus(ServiceLive live) =>
        new(Requests + live.TotalRequests, Failed + live.FailedRequests, Rejected + live.RejectedRequests, Aborted + live.AbortedRequests);
}

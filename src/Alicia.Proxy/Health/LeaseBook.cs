using System.Collections.Concurrent;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;

namespace Alicia.Proxy.Health;

/// <summary>
/// Says whose lease has run out. When very many run out together, it is more likely that heartbeats do not get through than that all those instances died: then
/// the rest are held, as long as their last probe does not say otherwise.
/// </summary>
/// <remarks>
/// From <see cref="GuardFrom"/> live leases up, at most max(3, 15 %) of them may run out within a minute. When more would, those are let go and the others are held until no more
/// than that many are overdue at once: they stay in rotation, and their probes and circuits go on guarding the traffic.
/// </remarks>
internal sealed class LeaseBook
{
    /// <summary>Leases below which the guard does not look: of a handful, all may well end at once.</summary>
    public const int GuardFrom = 20;

    private static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    /// <summary>When instances went, as timestamps. Several removals may end at the same time.</summary>
    private readonly ConcurrentQueue<long> _gone = new();
    private bool _holding;
    private int _held;

    /// <summary>Leases that have run out and are held.</summary>
    public int Held => Volatile.Read(ref _held);

    /// <summary>The instances whose lease has run out and that are to go now. Called by one thread, about once a second.</summary>
    public IReadOnlyList<Instance> Expire(RegistrySnapshot snapshot, LiveTable lives, TimeProvider time)
    {
        var leases = 0;
        var dead = new List<Instance>();
        var overdue = new List<(Instance Instance, TimeSpan By)>();
        foreach (var service in snapshot.Services.Values)
        {
            foreach (var instance in service.Instances)
            {
                if (instance.Leaving || service.TtlSecondsOf(instance) is not { } ttl || !lives.TryGet(instance.Epoch, out var live) || live.LeaseRenewedAt == 0)
                    continue;
                leases++;
                var by = time.GetElapsedTime(live.LeaseRenewedTimestamp) - TimeSpan.FromSeconds(ttl);
                if (by < TimeSpan.Zero)
                    continue;
                if (live.LastProbe is { Passed: false })
                    dead.Add(instance);
                else
                    overdue.Add((instance, by));
            }
        }

        while (_gone.TryPeek(out var oldest) && time.GetElapsedTime(oldest) >= Window)
            _gone.TryDequeue(out _);
        // Those that went within the minute were live leases when it began.
        var atStart = leases + _gone.Count;
        // Once it holds it goes on holding, though those that went have left fewer than it looks from.
        var allowed = atStart < GuardFrom && !_holding ? int.MaxValue : Math.Max(3, atStart * 15 / 100);
        var wanted = _gone.Count + overdue.Count;
        var quota = wanted <= allowed ? overdue.Count : _holding ? 0 : Math.Max(0, allowed - _gone.Count);
        _holding = wanted > allowed;

        var go = overdue.OrderByDescending(o => o.By).Take(quota).Select(o => o.Instance).ToList();
        Volatile.Write(ref _held, overdue.Count - go.Count);
        go.AddRange(dead);
        return go;
    }

    /// <summary>One of them has gone: the store took it.</summary>
    public void Gone(TimeProvider time) => _gone.Enqueue(time.GetTimestamp());
}

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

    private readonly Queue<DateTimeOffset> _expired = new();
    private bool _holding;
    private int _held;

    /// <summary>Leases that have run out and are held.</summary>
    public int Held => Volatile.Read(ref _held);

    /// <summary>The instances whose lease has run out and that are to go now. Called by one thread, about once a second.</summary>
    public IReadOnlyList<Instance> Expire(RegistrySnapshot snapshot, LiveTable lives, DateTimeOffset now)
    {
        var leases = 0;
        var dead = new List<Instance>();
        var overdue = new List<(Instance Instance, DateTimeOffset At)>();
        foreach (var service in snapshot.Services.Values)
        {
            foreach (var instance in service.Instances)
            {
                if (instance.Leaving || service.TtlSecondsOf(instance) is not { } ttl || !lives.TryGet(instance.Epoch, out var live) || live.LeaseRenewedAt == 0)
                    continue;
                leases++;
                var at = new DateTimeOffset(live.LeaseRenewedAt, TimeSpan.Zero).AddSeconds(ttl);
                if (at > now)
                    continue;
                if (live.LastProbe is { Passed: false })
                    dead.Add(instance);
                else
                    overdue.Add((instance, at));
            }
        }

        while (_expired.TryPeek(out var oldest) && now - oldest >= Window)
            _expired.Dequeue();
        // Those that went within the minute were live leases when it began.
        var atStart = leases + _expired.Count;
        // Once it holds it goes on holding, though those that went have left fewer than it looks from.
        var allowed = atStart < GuardFrom && !_holding ? int.MaxValue : Math.Max(3, atStart * 15 / 100);
        var wanted = _expired.Count + overdue.Count;
        var quota = wanted <= allowed ? overdue.Count : _holding ? 0 : Math.Max(0, allowed - _expired.Count);
        _holding = wanted > allowed;

        var go = overdue.OrderBy(o => o.At).Take(quota).Select(o => o.Instance).ToList();
        foreach (var _ in go)
            _expired.Enqueue(now);
        Volatile.Write(ref _held, overdue.Count - go.Count);
        go.AddRange(dead);
        return go;
    }
}

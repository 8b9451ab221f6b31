using Alicia.Proxy.Events;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;

namespace Alicia.Proxy.Bus;

/// <summary>
/// Decides when the proxy says what: once a second the traffic and what changed, every thirty seconds the regular reports, and what happens when it happens. Puts
/// messages into the outgoing queue and waits for nobody. Regular reports are not made while the broker is away: they would be old news.
/// </summary>
internal sealed class BusPublisher(
    Announcements say, OutgoingQueue outgoing, ServiceRegistry registry, LiveTable lives, EventLog events, TimeProvider time, Func<bool> connected)
{
    /// <summary>Time between looks at what changed.</summary>
    public static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);

    /// <summary>Ticks between regular reports.</summary>
    public const int TicksPerReport = 30;

    /// <summary>Lines of a summary per tick at least: a small house is told at once, a large one over the half minute until the next summary.</summary>
    private const int SummaryChunk = 200;

    private readonly TrafficMeter _meter = new(lives);
    private readonly Queue<Instance> _summary = new();
    private int _summaryPerTick;
    private int _ticks;
    private (int, int, int) _told = (-1, -1, -1);
    private int _question;
    private long _answeredAt = long.MinValue;
    private int _greeted;

    /// <summary>What is said first on a new connection.</summary>
    public IReadOnlyList<OutgoingMessage> Greeting()
    {
        var (services, instances, healthy) = InstanceStanding.Count(registry.Snapshot, lives);
        Volatile.Write(ref _greeted, 1);
        return [say.Online(services, instances, healthy), say.Register(), say.OwnHealth()];
    }

    /// <summary>Somebody asks how the proxy is. The first question is answered at once, those of the same second together at its end.</summary>
    public void Asked()
    {
        var now = time.GetTimestamp();
        var last = Volatile.Read(ref _answeredAt);
        if (last == long.MinValue || time.GetElapsedTime(last, now) >= Tick)
        {
            Volatile.Write(ref _answeredAt, now);
            outgoing.Add(say.OwnHealth());
            return;
        }

        Volatile.Write(ref _question, 1);
    }

    /// <summary>Ticks until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(Tick, time);
        while (await timer.WaitForNextTickAsync(cancellation))
            OnTick();
    }

    /// <summary>Follows events until cancelled. One who could not keep up begins anew with a summary.</summary>
    public async Task FollowAsync(CancellationToken cancellation)
    {
        while (true)
        {
            using var follower = events.Follow();
            await foreach (var happened in follower.Events.ReadAllAsync(cancellation))
            {
                if (say.Health(happened) is { } message)
                    outgoing.Add(message);
            }

            Volatile.Write(ref _greeted, 1);
        }
    }

    /// <summary>What is due in this second.</summary>
    internal void OnTick()
    {
        var snapshot = registry.Snapshot;
        // Read also while nobody hears it, so that the first message after a reconnect is of its own second.
        var traffic = _meter.Read(snapshot);
        if (!connected())
        {
            _summary.Clear();
            return;
        }

        if (traffic.Count > 0)
            outgoing.Add(say.Requests(traffic));
        if (Interlocked.Exchange(ref _question, 0) == 1)
        {
            Volatile.Write(ref _answeredAt, time.GetTimestamp());
            outgoing.Add(say.OwnHealth());
        }

        var report = ++_ticks >= TicksPerReport;
        var now = InstanceStanding.Count(snapshot, lives);
        if (report || now != _told)
        {
            outgoing.Add(say.Online(now.Services, now.Instances, now.Healthy));
            _told = now;
        }

        if (report)
        {
            _ticks = 0;
            outgoing.Add(say.OwnHealth());
            outgoing.Add(say.Stats());
        }

        if (Interlocked.Exchange(ref _greeted, 0) == 1 || report)
            BeginSummary(snapshot);
        for (var i = 0; i < _summaryPerTick && _summary.TryDequeue(out var instance); i++)
            outgoing.Add(say.Summary(instance));
    }

    private void BeginSummary(RegistrySnapshot snapshot)
    {
        _summary.Clear();
        foreach (var service in snapshot.Services.Values)
        {
            foreach (var instance in service.Instances)
            {
                if (!instance.Leaving)
                    _summary.Enqueue(instance);
            }
        }

        _summaryPerTick = Math.Max(SummaryChunk, (_summary.Count / (TicksPerReport - 5)) + 1);
    }
}

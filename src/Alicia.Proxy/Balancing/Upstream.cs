using Alicia.Proxy.Circuit;
using Alicia.Proxy.Live;
using Alicia.Proxy.RateLimits;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Balancing;

/// <summary>
/// One service as the request path sees it. The object lives as long as the service; what may change while requests run is one immutable
/// <see cref="UpstreamState"/>, read once per request.
/// </summary>
internal sealed class Upstream(string name, ServiceLive live)
{
    private UpstreamState _state = UpstreamState.Initial;
    private RateLimit? _rateLimit;

    public string Name { get; } = name;

    public ServiceLive Live { get; } = live;

    /// <summary>What the gates of the service's instances know of each other.</summary>
    public ServiceGates Gates { get; } = new();

    /// <summary>The service's rate limit; null, as it mostly is, lets everything through. Its buckets outlive changes of instances and of other settings.</summary>
    public RateLimit? RateLimit
    {
        get => Volatile.Read(ref _rateLimit);
        set => Volatile.Write(ref _rateLimit, value);
    }

    public UpstreamState State
    {
        get => Volatile.Read(ref _state);
        set => Volatile.Write(ref _state, value);
    }
}

/// <summary>Instances of one priority.</summary>
/// <param name="Pool">Those that every request may go to.</param>
/// <param name="Trials">Those whose circuit is half-open: each takes one request at a time.</param>
internal sealed record Tier(Pool Pool, PoolMember[] Trials)
{
    private readonly Lazy<Pool> _pickedByCallers = new(() => new Pool(Pool.Members.ToArray(), apart: true) { BoundPercent = Pool.BoundPercent });
    private readonly Lazy<Pool> _pickedAgain = new(() => new Pool(Pool.Members.ToArray(), apart: true) { BoundPercent = Pool.BoundPercent });

    /// <summary>The same instances with a rotation of their own, for callers that ask for an instance and connect themselves.</summary>
    public Pool PickedByCallers => _pickedByCallers.Value;

    /// <summary>
    /// The same once more, for requests that have been to one of the instances in vain. Were such a pick a turn of the common rotation, a failing instance of two would be the next one's turn
    /// each time.
    /// </summary>
    public Pool PickedAgain => _pickedAgain.Value;
}

/// <summary>What routes and balances a service's requests at one moment.</summary>
/// <param name="Tiers">By rising priority; a later one takes requests only while no instance of an earlier is usable.</param>
/// <param name="Rotation">Every instance that takes traffic as far as the registry knows, whether it is usable now or not.</param>
/// <param name="Policy">The algorithm in force.</param>
/// <param name="Settings">Resolved settings.</param>
internal sealed record UpstreamState(Tier[] Tiers, PoolMember[] Rotation, BalancingPolicy Policy, ServiceSettings Settings)
{
    public static readonly UpstreamState Initial = new(Pool.Empty, new RoundRobin(), ServiceSettings.BuiltIn);

    private readonly RequestKey _key = new(Settings);

    /// <summary>What keeps callers with their instance; null when nothing does.</summary>
    public Affinity? Affinity { get; init; }

    /// <summary>A service whose instances are all usable and of one priority.</summary>
    public UpstreamState(Pool pool, BalancingPolicy policy, ServiceSettings settings)
        : this([new Tier(pool, [])], pool.Members.ToArray(), policy, settings)
    {
    }

    /// <summary>How forwarders are to send the service's requests.</summary>
    public RequestConfigs Configs { get; } = RequestConfigs.Of(Settings);

    /// <summary>What the algorithm tells this request from others by: the same for requests that shall meet the same instance, and 0 where it does not matter.</summary>
    /// <param name="request">The request, or null for a pick without one.</param>
    public ulong KeyOf(HttpContext? request) => Policy.UsesKey && request is not null ? _key.Of(request) : 0;

    /// <summary>Seconds until an instance may be tried again, as far as is known: 1 or more.</summary>
    public int RetryAfterSeconds()
    {
        // The longest that a circuit stays open by itself, in seconds.
        const int Most = 300;
        var first = double.MaxValue;
        foreach (var member in Rotation)
        {
            var gate = member.Gate.Read();
            // A trial runs, or a probe: either may be over in a moment.
            if (gate.Suspected || member.Gate.Standing == GateStanding.Trial)
                return 1;
            if (gate.RetryIn is { } wait)
                first = Math.Min(first, wait.TotalSeconds);
        }

        return first == double.MaxValue ? 1 : (int)Math.Clamp(Math.Ceiling(first), 1, Most);
    }
}

using System.Net;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Settings;
using Yarp.ReverseProxy.Forwarder;

namespace Alicia.Proxy.Balancing;

/// <summary>
/// One service as the request path sees it. The object lives as long as the service; what may change while requests run is one immutable
/// <see cref="UpstreamState"/>, read once per request.
/// </summary>
internal sealed class Upstream(string name, ServiceLive live)
{
    private UpstreamState _state = UpstreamState.Initial;

    public string Name { get; } = name;

    public ServiceLive Live { get; } = live;

    public UpstreamState State
    {
        get => Volatile.Read(ref _state);
        set => Volatile.Write(ref _state, value);
    }
}

/// <summary>What routes and balances a service's requests at one moment.</summary>
/// <param name="Pool">Instances that take traffic.</param>
/// <param name="Policy">The algorithm in force.</param>
/// <param name="Settings">Resolved settings.</param>
internal sealed record UpstreamState(Pool Pool, BalancingPolicy Policy, ServiceSettings Settings)
{
    public static readonly UpstreamState Initial = new(Pool.Empty, new RoundRobin(), ServiceSettings.BuiltIn);

    private readonly Lazy<Pool> _pickedByCallers = new(() => new Pool(Pool.Members.ToArray(), apart: true));
    private readonly ForwarderRequestConfig _http1 = Config(HttpVersion.Version11, Settings);
    private readonly ForwarderRequestConfig _http2 = Config(HttpVersion.Version20, Settings);

    /// <summary>The same instances with a rotation of their own, for callers that ask for an instance and connect themselves.</summary>
    public Pool PickedByCallers => _pickedByCallers.Value;

    /// <summary>How YARP sends a request to an instance of this protocol: the version exactly, never a lower one on the quiet.</summary>
    public ForwarderRequestConfig ConfigFor(UpstreamProtocol protocol) => protocol == UpstreamProtocol.Http1 ? _http1 : _http2;

    private static ForwarderRequestConfig Config(Version version, ServiceSettings settings) => new()
    {
        Version = version,
        VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        // YARP has one timeout for all silences. Where the service wants two, the longer one here is a backstop; ExchangeDeadline keeps both.
        ActivityTimeout = TimeSpan.FromTicks(Math.Max(settings.Get(SettingKeys.IdleTimeout).Ticks, settings.Get(SettingKeys.ResponseTimeout).Ticks)),
    };
}

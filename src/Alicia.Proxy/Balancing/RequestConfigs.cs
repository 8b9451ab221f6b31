using System.Net;
using System.Runtime.CompilerServices;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Settings;
using Yarp.ReverseProxy.Forwarder;

namespace Alicia.Proxy.Balancing;

/// <summary>What silences a request may have, as far as is known before its answer.</summary>
internal enum Silence
{
    Ordinary,

    /// <summary>It asks for server-sent events.</summary>
    Events,

    /// <summary>It asks for another protocol.</summary>
    Upgrade,
}

/// <summary>How forwarders are to send the requests of services with the same settings: made once for all of them.</summary>
internal sealed class RequestConfigs(ServiceSettings settings)
{
    private static readonly ConditionalWeakTable<ServiceSettings, RequestConfigs> _all = [];

    private readonly ForwarderRequestConfig[] _http1 = Configs(HttpVersion.Version11, settings);
    private readonly ForwarderRequestConfig[] _http2 = Configs(HttpVersion.Version20, settings);

    public static RequestConfigs Of(ServiceSettings settings) => _all.GetValue(settings, static s => new RequestConfigs(s));

    /// <summary>How a request is sent to an instance of this protocol: the version exactly, never a lower one on the quiet.</summary>
    /// <param name="protocol">Of the instance.</param>
    /// <param name="silence">What silences the request may have.</param>
    public ForwarderRequestConfig For(UpstreamProtocol protocol, Silence silence) => (protocol == UpstreamProtocol.Http1 ? _http1 : _http2)[(int)silence];

    /// <summary>By <see cref="Silence"/>.</summary>
    private static ForwarderRequestConfig[] Configs(Version version, ServiceSettings settings)
    {
        var idle = settings.Get(SettingKeys.IdleTimeout);
        var response = settings.Get(SettingKeys.ResponseTimeout);
        return [Config(Longer(idle, response)), Config(Longer(Longer(idle, response), settings.Get(SettingKeys.EventStreamIdle))), Config(settings.Get(SettingKeys.WebSocketIdle))];

        // YARP has one timeout for all silences. Where the service wants two, the longer one here is a backstop; ExchangeDeadline keeps both.
        ForwarderRequestConfig Config(TimeSpan silence) => new() { Version = version, VersionPolicy = HttpVersionPolicy.RequestVersionExact, ActivityTimeout = silence };

        static TimeSpan Longer(TimeSpan a, TimeSpan b) => a > b ? a : b;
    }
}

using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Health;

/// <summary>What a probe does.</summary>
internal enum ProbeType
{
    /// <summary>GET, then a look at the status and perhaps at the body.</summary>
    Http,

    /// <summary>Opens a connection, with TLS where the instance has it.</summary>
    Tcp,

    /// <summary><c>grpc.health.v1.Health/Check</c>.</summary>
    Grpc,
}

/// <summary>How one instance is probed: its own settings over its service's. Equal when nothing differs, so that a change is seen to be none.</summary>
internal sealed record ProbeSettings
{
    /// <summary>A 404, a 405 or a 501 to a path that nobody chose says only that the instance has no health endpoint.</summary>
    private static readonly int[] NoSuchEndpoint = [404, 405, 501];

    private ProbeSettings(ServiceSettings service, SettingOverrides own)
    {
        Enabled = Of(SettingKeys.HealthCheckEnabled);
        Type = Of(SettingKeys.HealthCheckType) switch
        {
            "tcp" => ProbeType.Tcp,
            "grpc" => ProbeType.Grpc,
            _ => ProbeType.Http,
        };
        Path = Of(SettingKeys.HealthCheckPath)!;
        Status = new StatusRanges(Of(SettingKeys.HealthCheckStatus));
        Body = Of(SettingKeys.HealthCheckBody);
        Host = Of(SettingKeys.HealthCheckHost);
        Interval = Of(SettingKeys.HealthCheckInterval);
        // Either may come from a layer that did not know of the other's shorter interval.
        Timeout = AtMostInterval(Of(SettingKeys.HealthCheckTimeout));
        Fast = AtMostInterval(Of(SettingKeys.HealthCheckFast));
        Rise = Of(SettingKeys.HealthCheckRise);
        Fall = Of(SettingKeys.HealthCheckFall);

        T Of<T>(SettingKey<T> key) => own.TryGet(key, out var value) ? (T)value! : service.Get(key);
        TimeSpan AtMostInterval(TimeSpan value) => value < Interval ? value : Interval;
    }

    public bool Enabled { get; init; }

    public ProbeType Type { get; init; }

    /// <summary>Target of an HTTP probe.</summary>
    public string Path { get; init; }

    public StatusRanges Status { get; init; }

    /// <summary>Text that the answer must contain, or null.</summary>
    public string? Body { get; init; }

    /// <summary>Host field, or null for the instance's own host and port.</summary>
    public string? Host { get; init; }

    /// <summary>From probe to probe of an instance in a settled state.</summary>
    public TimeSpan Interval { get; init; }

    /// <summary>How long a probe may take in all; at most <see cref="Interval"/>.</summary>
    public TimeSpan Timeout { get; init; }

    /// <summary>From probe to probe while a change builds up; at most <see cref="Interval"/>.</summary>
    public TimeSpan Fast { get; init; }

    public int Rise { get; init; }

    public int Fall { get; init; }

    /// <summary>The settings of an instance.</summary>
    /// <param name="service">Those of its service.</param>
    /// <param name="own">What its registration set for its own probes.</param>
    public static ProbeSettings Resolve(ServiceSettings service, SettingOverrides own) => new(service, own);

    /// <summary>True when an answer with this status comes from an instance that is alive.</summary>
    public bool IsAlive(int status) => Status.Contains(status) || (Path == SettingKeys.HealthCheckPath.Default && NoSuchEndpoint.Contains(status));
}

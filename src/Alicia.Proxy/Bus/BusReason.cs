namespace Alicia.Proxy.Bus;

/// <summary>Why a received message had no effect. Each is a counter and a word in the log line.</summary>
internal enum BusReason
{
    /// <summary>Not JSON, not an object, a field twice, nested too deep.</summary>
    BadJson,

    /// <summary>Larger than <see cref="Envelope.MaxBytes"/>.</summary>
    Oversized,

    /// <summary>A field is missing, of the wrong type, or breaks a rule.</summary>
    BadField,

    /// <summary><c>timestamp</c> and <c>ttl</c> say that it is too old.</summary>
    Expired,

    /// <summary>It has been handed on more often than it allows.</summary>
    MaxHops,

    /// <summary>A service without an address of its own, and none in configuration.</summary>
    NoAddress,

    UnknownService,
    UnknownInstance,

    /// <summary>It names no instance, and several could be meant.</summary>
    AmbiguousInstance,
    UnknownCommand,

    /// <summary>Retained, and would take effect again at each reconnect: a command, or a goodbye that holds for ever.</summary>
    Retained,

    /// <summary>Configuration or another service stands against it.</summary>
    Conflict,

    /// <summary>The registry's store could not be written.</summary>
    StoreUnavailable,

    /// <summary>The queue of received messages was full.</summary>
    QueueFull,

    /// <summary>A fault inside the proxy.</summary>
    Internal,

    /// <summary>The proxy's own message, or another proxy's of the same name. Nobody's fault.</summary>
    Own,

    /// <summary>A device announced itself, not a service. Nobody's fault.</summary>
    Device,

    /// <summary>A health status that is neither good nor bad news, such as <c>degraded</c>. Nobody's fault.</summary>
    OtherStatus,

    /// <summary>Health of a service that several instances registered over the bus, without saying whose. Nobody's fault.</summary>
    UnclearEvidence,
}

internal static class BusReasons
{
    /// <summary>True when somebody should mend something: such messages are errors, and logged.</summary>
    public static bool IsFault(this BusReason reason) => reason < BusReason.Own;

    /// <summary>Name in logs and counters, such as <c>bad_json</c>.</summary>
    public static string Name(this BusReason reason) => reason switch
    {
        BusReason.BadJson => "bad_json",
        BusReason.Oversized => "oversized",
        BusReason.BadField => "bad_field",
        BusReason.Expired => "expired",
        BusReason.MaxHops => "max_hops",
        BusReason.NoAddress => "no_address",
        BusReason.UnknownService => "unknown_service",
        BusReason.UnknownInstance => "unknown_instance",
        BusReason.AmbiguousInstance => "ambiguous_instance",
        BusReason.UnknownCommand => "unknown_command",
        BusReason.Retained => "retained",
        BusReason.Conflict => "conflict",
        BusReason.StoreUnavailable => "store_unavailable",
        BusReason.QueueFull => "queue_full",
        BusReason.Internal => "internal",
        BusReason.Own => "own",
        BusReason.Device => "device",
        BusReason.OtherStatus => "other_status",
        BusReason.UnclearEvidence => "unclear_evidence",
        _ => throw new ArgumentOutOfRangeException(nameof(reason), reason, null),
    };
}

namespace Alicia.Proxy.Configuration;

/// <summary>How much callers may bring, how slow and how many they may be. Null: no limit.</summary>
internal sealed record LimitsConfiguration
{
    /// <summary>Default 32 KiB.</summary>
    public required int TargetBytes { get; init; }

    /// <summary>Default 64 KiB.</summary>
    public required int FieldBytes { get; init; }

    /// <summary>Default 500.</summary>
    public required int FieldCount { get; init; }

    public required long? BodyBytes { get; init; }

    /// <summary>Default 10 s.</summary>
    public required TimeSpan HeadTimeout { get; init; }

    /// <summary>Default 130 s.</summary>
    public required TimeSpan IdleTimeout { get; init; }

    /// <summary>Bytes a second.</summary>
    public required long? RequestBodyRate { get; init; }

    /// <summary>Bytes a second.</summary>
    public required long? ResponseBodyRate { get; init; }

    /// <summary>Default <see cref="LimitKeys.ByOpenFiles"/>.</summary>
    public required long? Connections { get; init; }

    public required long? ConnectionsPerAddress { get; init; }

    /// <summary>Default 256.</summary>
    public required int Http2Streams { get; init; }
}

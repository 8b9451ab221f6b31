using System.Diagnostics.Metrics;

namespace Alicia.Proxy.Telemetry;

/// <summary>What the message bus says of itself; all zero while it is off.</summary>
/// <param name="Connected">Whether the broker is connected.</param>
/// <param name="Received">Messages that came from the broker.</param>
/// <param name="Published">Messages that the broker took.</param>
/// <param name="Dropped">Outgoing messages that were dropped because too many waited.</param>
/// <param name="PublishFailures">Outgoing messages that the broker refused.</param>
/// <param name="Connects">Connections that were made.</param>
/// <param name="ConnectFailures">Attempts to connect that failed.</param>
/// <param name="WithoutEffect">Received messages that changed nothing, by reason.</param>
internal sealed record BusReading(bool Connected, long Received, long Published, long Dropped, long PublishFailures, long Connects, long ConnectFailures,
    IEnumerable<(string Reason, long Count)> WithoutEffect)
{
    public static readonly BusReading Off = new(false, 0, 0, 0, 0, 0, 0, []);
}

/// <summary>The message bus in metrics.</summary>
internal sealed class BusMetrics
{
    public BusMetrics(ProxyMeter meter)
    {
        meter.Gauge("alicia_mqtt_connected", null, "1 while the broker is connected.", () => Read().Connected ? 1L : 0);
        meter.Counter("alicia_mqtt_received", null, "Messages that came from the broker.", () => Read().Received);
        meter.Counter("alicia_mqtt_published", null, "Messages that the broker took.", () => Read().Published);
        meter.Counter("alicia_mqtt_dropped", null, "Outgoing messages that were dropped because too many waited.", () => Read().Dropped);
        meter.Counter("alicia_mqtt_publish_failures", null, "Outgoing messages that the broker refused.", () => Read().PublishFailures);
        meter.Counter("alicia_mqtt_connects", null, "Connections to the broker.", () => Read().Connects);
        meter.Counter("alicia_mqtt_connect_failures", null, "Attempts to connect to the broker that failed.", () => Read().ConnectFailures);
        meter.Counter("alicia_mqtt_ignored", null, SeriesPer.Proxy, "Received messages that changed nothing, by reason.",
            () => Read().WithoutEffect.Select(r => new Measurement<long>(r.Count, [new("reason", r.Reason)])));
    }

    /// <summary>Where the figures come from; null while there is no bus.</summary>
    public Func<BusReading>? Source { get; set; }

    private BusReading Read() => Source?.Invoke() ?? BusReading.Off;
}

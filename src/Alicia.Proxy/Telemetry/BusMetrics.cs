using System.Diagnostics.Metrics;
using Alicia.Proxy.Bus;

namespace Alicia.Proxy.Telemetry;

/// <summary>The message bus in metrics; all zero while there is none.</summary>
internal sealed class BusMetrics
{
    /// <param name="meter">Where the instruments go.</param>
    /// <param name="counters">What the bus counts.</param>
    /// <param name="connected">Whether the broker is connected.</param>
    public BusMetrics(ProxyMeter meter, BusCounters counters, Func<bool> connected)
    {
        meter.Gauge("alicia_mqtt_connected", null, "1 while the broker is connected.", () => connected() ? 1L : 0);
        meter.Counter("alicia_mqtt_received", null, "Messages that came from the broker.", () => counters.Received);
        meter.Counter("alicia_mqtt_processed", null, "Messages that were looked at to the end and were no fault.", () => counters.Processed);
        meter.Counter("alicia_mqtt_published", null, "Messages that the broker took.", () => counters.Published);
        meter.Counter("alicia_mqtt_dropped", null, "Outgoing messages that were dropped because too many waited.", () => counters.Dropped);
        meter.Counter("alicia_mqtt_publish_failures", null, "Outgoing messages that the broker refused.", () => counters.PublishFailures);
        meter.Counter("alicia_mqtt_connects", null, "Connections to the broker.", () => counters.Connects);
        meter.Counter("alicia_mqtt_connect_failures", null, "Attempts to connect to the broker that failed.", () => counters.ConnectFailures);
        meter.Counter("alicia_mqtt_ignored", null, SeriesPer.Proxy, "Received messages without effect, by reason.",
            () => counters.ByReason.Select(r => new Measurement<long>(r.Count, [new("reason", r.Reason)])));
    }
}

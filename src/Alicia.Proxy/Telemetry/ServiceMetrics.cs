using System.Diagnostics.Metrics;
using Alicia.Proxy.Callers;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;

namespace Alicia.Proxy.Telemetry;

/// <summary>What each service's callers meet: how long it takes, what is refused, what is carried; and the connections on both sides.</summary>
internal sealed class ServiceMetrics
{
    private static readonly (RejectReason Reason, string Name)[] Reasons = [.. Enum.GetValues<RejectReason>().Select(r => (r, MetricLabels.Of(r)))];

    private static readonly (RetryReason Reason, string Name)[] RetryReasons = [.. Enum.GetValues<RetryReason>().Select(r => (r, MetricLabels.Of(r)))];

    private readonly CensusTaker _census;
    private readonly LiveTable _lives;

    /// <param name="meter">Where the instruments go.</param>
    /// <param name="census">Who is there.</param>
    /// <param name="lives">Gets the histogram.</param>
    /// <param name="callers">Connections to the data plane.</param>
    /// <param name="managers">Connections to management.</param>
    /// <param name="connector">Opens connections to instances.</param>
    public ServiceMetrics(ProxyMeter meter, CensusTaker census, LiveTable lives, Crowd callers, Crowd managers, UpstreamConnector connector)
    {
        (_census, _lives) = (census, lives);
        lives.Durations = meter.Durations("alicia_request_duration",
            "From the choice of an instance to the end of its answer; of an upgraded connection, to the switch of protocols. Requests that were refused are not among them.");
        meter.Counter("alicia_rejected", null, SeriesPer.ServiceAndState, "Requests that the proxy refused itself. Unknown services share the label value 'unknown'.", Rejected);
        meter.Counter("alicia_retries", null, SeriesPer.ServiceAndState, "Attempts after the first, by what made them necessary.", Retries);
        meter.Gauge("alicia_queue_depth", null, SeriesPer.Service, "Requests that wait for a slot.", () => Each(s => s.Waiters?.Depth ?? 0));
        meter.Counter("alicia_queue_waits", null, SeriesPer.Service, "Requests that have waited for a slot, whatever came of it.", () => Each(s => s.Waiters?.Waits ?? 0));
        meter.Counter("alicia_queue_wait_seconds", null, SeriesPer.Service, "Their waits, summed.", WaitSeconds);
        meter.Counter("alicia_request_body", "By", SeriesPer.Service, "Bytes of request bodies, and of callers on upgraded connections.", () => Each(s => s.BytesReceived));
        meter.Counter("alicia_response_body", "By", SeriesPer.Service, "Bytes of response bodies, and of instances on upgraded connections.", () => Each(s => s.BytesSent));
        meter.Gauge("alicia_registry_instances", null, SeriesPer.ServiceAndState, "Registered instances by state.", Instances);
        meter.Gauge("alicia_client_connections", null, "Open connections of callers to the data plane.", () => callers.Count.Open);
        meter.Counter("alicia_client_connections_opened", null, "Connections that callers opened to the data plane.", () => callers.Count.Opened);
        meter.Counter("alicia_client_connections_refused", null, SeriesPer.Proxy, "Connections that were closed because there were too many: to the data plane in all or of one address, or to management.", () =>
            (IEnumerable<Measurement<long>>)
            [
                new(callers.RefusedOfAddress, [new("limit", "address")]), new(callers.Refused, [new("limit", "all")]), new(managers.Refused + managers.RefusedOfAddress, [new("limit", "management")]),
            ]);
        meter.Gauge("alicia_upstream_connections", null, "Open connections to instances for requests, idle ones included; those of probes are not.", () => connector.Connections.Open);
        meter.Counter("alicia_upstream_connections_opened", null, "Connections that were opened to instances for requests.", () => connector.Connections.Opened);
    }

    private IEnumerable<Measurement<long>> Each(Func<ServiceLive, long> read)
    {
        foreach (var row in _census.Current.Services)
            yield return new(read(row.Live), [new("service", row.Service.Name)]);
    }

    private IEnumerable<Measurement<long>> Rejected()
    {
        var unknown = _lives.Unknown;
        var shared = false;
        foreach (var row in _census.Current.Services)
        {
            // A service may be called like that.
            var shares = row.Service.Name == unknown.Name;
            shared |= shares;
            foreach (var (reason, name) in Reasons)
            {
                if (shares || !IsBeforeService(reason))
                    yield return new(row.Live.Rejected(reason) + (shares ? unknown.Rejected(reason) : 0), [new("reason", name), new("service", row.Service.Name)]);
            }
        }

        if (shared)
            yield break;
        foreach (var (reason, name) in Reasons)
        {
            if (IsBeforeService(reason))
                yield return new(unknown.Rejected(reason), [new("reason", name), new("service", unknown.Name)]);
        }
    }

    private IEnumerable<Measurement<double>> WaitSeconds()
    {
        foreach (var row in _census.Current.Services)
            yield return new(row.Live.Waiters?.WaitSeconds ?? 0, [new("service", row.Service.Name)]);
    }

    private IEnumerable<Measurement<long>> Retries()
    {
        foreach (var row in _census.Current.Services)
        {
            foreach (var (reason, name) in RetryReasons)
                yield return new(row.Live.Retried(reason), [new("reason", name), new("service", row.Service.Name)]);
        }
    }

    private static bool IsBeforeService(RejectReason reason) => reason is RejectReason.UnknownService or RejectReason.BadRequest;

    private IEnumerable<Measurement<long>> Instances()
    {
        foreach (var row in _census.Current.Services)
        {
            foreach (var state in Enum.GetValues<InstanceState>())
            {
                var count = 0L;
                foreach (var instance in row.Service.Instances)
                    count += instance.State == state ? 1 : 0;
                yield return new(count, [new("service", row.Service.Name), new("state", MetricLabels.Of(state))]);
            }
        }
    }
}

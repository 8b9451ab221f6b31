using System.Text.Json;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;

namespace Alicia.Proxy.Bus;

/// <summary>Counters of one service or instance over one second.</summary>
/// <param name="Requests">Requests that came.</param>
/// <param name="Failures">Those that an instance failed.</param>
/// <param name="Retries">Tries after the first.</param>
/// <param name="Rejected">Requests that the proxy refused.</param>
/// <param name="Responses">Answers whose time was taken.</param>
/// <param name="ResponseMicros">Those times together, in microseconds.</param>
internal readonly record struct Traffic(long Requests, long Failures, long Retries, long Rejected, long Responses, long ResponseMicros)
{
    public bool IsNone => this == default;

    public static Traffic operator -(Traffic now, Traffic before) => new(
        now.Requests - before.Requests, now.Failures - before.Failures, now.Retries - before.Retries, now.Rejected - before.Rejected,
        now.Responses - before.Responses, now.ResponseMicros - before.ResponseMicros);

    public static Traffic Of(ServiceLive live)
    {
        var (responses, micros) = live.Recent.SinceStart;
        return new Traffic(live.TotalRequests, live.FailedRequests, live.Retries, live.RejectedRequests, responses, micros);
    }

    public static Traffic Of(InstanceLive live) => new(live.TotalRequests, live.FailedRequests, 0, 0, live.Heads, live.ResponseMicros);

    /// <summary>Writes the fields that services and instances share. The average is in seconds, 0 without an answer.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteNumber("requests", Requests);
        json.WriteNumber("failures", Failures);
        json.WriteNumber("retries", Retries);
        json.WriteNumber("rejected", Rejected);
        json.WriteNumber("average_response_time", Responses <= 0 ? 0 : ResponseMicros / 1e6 / Responses);
    }
}

/// <summary>One service's traffic since the last look, with its instances' that had any.</summary>
internal sealed record ServiceTraffic(string Service, Traffic Traffic, IReadOnlyList<(string InstanceId, Traffic Traffic)> Instances);

/// <summary>
/// Tells what happened since the last look, from counters that only rise. Looks at an instance only when its service had traffic, so a quiet house costs one
/// subtraction a service. One caller.
/// </summary>
internal sealed class TrafficMeter(LiveTable lives)
{
    private Dictionary<ServiceLive, Traffic> _services = [];
    private Dictionary<long, Traffic> _instances = [];

    /// <summary>The traffic since the last call; empty when there was none.</summary>
    public IReadOnlyList<ServiceTraffic> Read(RegistrySnapshot snapshot)
    {
        var services = new Dictionary<ServiceLive, Traffic>(_services.Count);
        var rows = new List<ServiceTraffic>();
        foreach (var live in lives.Services)
        {
            var now = services[live] = Traffic.Of(live);
            // What was counted before the first look is not of this second; a service that is new has had none before.
            var since = now - _services.GetValueOrDefault(live);
            if (!since.IsNone)
                rows.Add(new ServiceTraffic(live.Name, since, snapshot.TryGet(live.Name, out var service) ? Instances(service) : []));
        }

        _services = services;
        if (_instances.Count > 64 && _instances.Count > 2 * snapshot.Services.Values.Sum(s => s.Instances.Length))
            _instances = _instances.Where(i => lives.TryGet(i.Key, out _)).ToDictionary();
        return rows;
    }

    private List<(string InstanceId, Traffic Traffic)> Instances(Service service)
    {
        var rows = new List<(string, Traffic)>();
        foreach (var instance in service.Instances)
        {
            if (!lives.TryGet(instance.Epoch, out var live))
                continue;
            var now = Traffic.Of(live);
            var since = now - _instances.GetValueOrDefault(instance.Epoch);
            if (since.IsNone)
                continue;
            _instances[instance.Epoch] = now;
            rows.Add((instance.InstanceId, since));
        }

        return rows;
    }
}

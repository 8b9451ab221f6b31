using System.Text.Json;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Events;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using MQTTnet.Protocol;

namespace Alicia.Proxy.Bus;

/// <summary>What the bus asks the rest of the proxy about it.</summary>
internal sealed record ProxyFacts
{
    public required string Version { get; init; }

    /// <summary>The management listener, as others may reach it.</summary>
    public required Func<(string Host, int Port)> Address { get; init; }

    /// <summary><c>healthy</c>, <c>degraded</c> or <c>unhealthy</c>.</summary>
    public required Func<string> Status { get; init; }

    /// <summary>The document of <c>GET /stats</c>.</summary>
    public required Func<JsonElement> Stats { get; init; }
}

/// <summary>Makes the messages that the proxy publishes: what each says, where, with which quality of service, and whether the broker keeps it.</summary>
internal sealed class Announcements(Topics topics, ProxyFacts facts, LiveTable lives, GateTable gates, ProcessClock clock, BusCounters counters)
{
    private static readonly string[] Capabilities = ["load_balancing", "service_registry", "reverse_proxy", "websocket", "grpc", "statistics"];

    /// <summary>That the proxy is there, and with how much.</summary>
    public OutgoingMessage Online(int services, int instances, int healthy) => Status("online", services, instances, healthy, Envelope.DefaultTtl);

    /// <summary>That it is not; also its last will, which is made at the time of connecting and must hold whenever it is sent.</summary>
    public OutgoingMessage Offline() => Status("offline", 0, 0, 0, ttl: 0);

    /// <summary>The proxy's own announcement as a service.</summary>
    public OutgoingMessage Register()
    {
        var (host, port) = facts.Address();
        return Say(topics.Register, MqttQualityOfServiceLevel.AtLeastOnce, json =>
        {
            json.WriteString("service_name", Envelope.OwnSource);
            json.WriteString("status", "online");
            json.WriteStartArray("capabilities");
            foreach (var capability in Capabilities)
                json.WriteStringValue(capability);
            json.WriteEndArray();
            json.WriteString("version", facts.Version);
            json.WriteString("host", host);
            json.WriteNumber("port", port);
        });
    }

    /// <summary>How the proxy itself is.</summary>
    public OutgoingMessage OwnHealth() => Say(topics.OwnHealth, MqttQualityOfServiceLevel.AtLeastOnce, json =>
    {
        json.WriteString("service_name", Envelope.OwnSource);
        json.WriteString("status", facts.Status());
        json.WriteNumber("uptime", clock.Uptime.TotalSeconds);
        json.WriteNumber("messages_processed", counters.Processed);
        json.WriteNumber("errors", counters.Errors);
        json.WriteNumber("timestamp", Envelope.Seconds(clock.Now));
    });

    public OutgoingMessage Stats() => Say(topics.Stats, MqttQualityOfServiceLevel.AtMostOnce, json =>
    {
        foreach (var property in facts.Stats().EnumerateObject())
            property.WriteTo(json);
    });

    /// <summary>The traffic of one second.</summary>
    public OutgoingMessage Requests(IReadOnlyList<ServiceTraffic> rows) => Say(topics.Requests, MqttQualityOfServiceLevel.AtMostOnce, json =>
    {
        json.WriteNumber("timestamp", Envelope.Seconds(clock.Now));
        json.WriteStartArray("services");
        foreach (var row in rows)
        {
            json.WriteStartObject();
            json.WriteString("service_name", row.Service);
            row.Traffic.Write(json);
            json.WriteStartArray("instances");
            foreach (var (instance, traffic) in row.Instances)
            {
                json.WriteStartObject();
                json.WriteString("instance_id", instance);
                traffic.Write(json);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        }

        json.WriteEndArray();
    });

    /// <summary>One line of the summary of all instances.</summary>
    public OutgoingMessage Summary(Instance instance) =>
        Health("summary", instance.ServiceName, instance.InstanceId, lives.Read(instance.Epoch), null, null, "summary", clock.Now);

    /// <summary>What became of an instance, or null when the event is of no instance.</summary>
    public OutgoingMessage? Health(ProxyEvent happened)
    {
        var what = happened.Happening;
        if (what.InstanceId is not { } instance)
            return null;
        var (name, reason) = happened.Kind switch
        {
            EventKind.HealthChanged => ("health_changed", what.Reason),
            EventKind.CircuitChanged => ("circuit_changed", what.Reason),
            EventKind.InstanceRegistered => ("instance_registered", what.Reason ?? "registered"),
            EventKind.InstanceRemoved => ("instance_removed", what.Reason ?? "removed"),
            EventKind.InstanceStateChanged => ("state_changed", what.Reason ?? what.Current),
            _ => (null, null),
        };
        return name is null ? null : Health(name, happened.Service, instance, lives.Read(what.Epoch), happened.Kind, what, reason, happened.At);
    }

    /// <summary>The result of a command. It carries the id of the message that it answers, outside and inside.</summary>
    public OutgoingMessage Result(CommandSender sender, Action<Utf8JsonWriter> payload) => new(
        topics.CommandResult,
        Envelope.Write(sender.MessageId ?? NewId(), "response", sender.Source, clock.Now, Envelope.DefaultTtl, payload),
        MqttQualityOfServiceLevel.AtLeastOnce);

    private OutgoingMessage Health(
        string name, string service, string instance, InstanceLive live, EventKind? kind, Happening? what, string? reason, DateTimeOffset at) =>
        Say(topics.Health, MqttQualityOfServiceLevel.AtLeastOnce, json =>
        {
            json.WriteString("event", name);
            json.WriteString("service_name", service);
            json.WriteString("instance_id", instance);
            json.WriteString("health_status", kind == EventKind.HealthChanged ? what?.Current : HealthNames.Of(live.Health));
            json.WriteString("previous", what?.Previous);
            json.WriteString("circuit", kind == EventKind.CircuitChanged ? what?.Current : InstanceStanding.CircuitOf(gates, live.Epoch));
            json.WriteString("reason", reason);
            if (double.IsNaN(live.ResponseTime))
                json.WriteNull("response_time");
            else
                json.WriteNumber("response_time", live.ResponseTime);
            json.WriteNumber("timestamp", Envelope.Seconds(at));
        });

    private OutgoingMessage Status(string status, int services, int instances, int healthy, int ttl)
    {
        var payload = Envelope.Write(NewId(), "event", null, clock.Now, ttl, json =>
        {
            json.WriteString("load_balancer_name", Envelope.OwnSource);
            json.WriteString("status", status);
            json.WriteNumber("total_services", services);
            json.WriteNumber("total_instances", instances);
            json.WriteNumber("healthy_instances", healthy);
            json.WriteNumber("uptime", clock.Uptime.TotalSeconds);
            json.WriteString("version", facts.Version);
            json.WriteNumber("timestamp", Envelope.Seconds(clock.Now));
        });
        return new OutgoingMessage(topics.Status, payload, MqttQualityOfServiceLevel.AtLeastOnce, Retain: true);
    }

    private OutgoingMessage Say(string topic, MqttQualityOfServiceLevel quality, Action<Utf8JsonWriter> payload) =>
        new(topic, Envelope.Write(NewId(), "event", null, clock.Now, Envelope.DefaultTtl, payload), quality);

    private static string NewId() => Guid.NewGuid().ToString();
}

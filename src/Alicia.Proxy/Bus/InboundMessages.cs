using System.Globalization;
using System.Text.Json;
using Alicia.Proxy.Registry.Documents;
using Alicia.Proxy.Registry.Validation;

namespace Alicia.Proxy.Bus;

/// <summary>
/// Tells from topic and bytes what a message wants, or why it wants nothing. Pure: a stranger's bytes and the time go in, a value comes out; whatever the bytes
/// are, no exception does.
/// </summary>
internal static class InboundMessages
{
    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false, MaxDepth = 16 };

    public static InboundMessage Read(Topics topics, RawMessage raw, DateTimeOffset now)
    {
        var meaning = topics.MeaningOf(raw.Topic);
        if (meaning == TopicMeaning.None)
            return Nothing(BusReason.BadField, "is a topic without a meaning here");
        if (raw.Length > Envelope.MaxBytes)
            return Nothing(BusReason.Oversized, string.Create(CultureInfo.InvariantCulture, $"{raw.Length} bytes; at most {Envelope.MaxBytes} are read"));
        try
        {
            using var document = JsonDocument.Parse(raw.Payload, Strict);
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? Read(topics, meaning, raw, document.RootElement, now)
                : Unreadable(meaning, "must be a JSON object");
        }
        catch (JsonException e)
        {
            return Unreadable(meaning, e.Message);
        }
        catch (InvalidOperationException)
        {
            // Half a surrogate pair, or bytes that are no UTF-8, in a name or a text.
            return Unreadable(meaning, "a name or a text is not valid Unicode");
        }
    }

    /// <summary>A question needs no words, and those that it has need no sense.</summary>
    private static InboundMessage Unreadable(TopicMeaning meaning, string detail) =>
        meaning == TopicMeaning.HealthCheck ? new InboundMessage.HealthQuestion() : Nothing(BusReason.BadJson, detail);

    private static InboundMessage Read(Topics topics, TopicMeaning meaning, RawMessage raw, JsonElement message, DateTimeOffset now)
    {
        var faults = new FaultList();
        var envelope = Envelope.Open(message, faults, out var payload);
        if (envelope.Source == Envelope.OwnSource)
            return Nothing(BusReason.Own, "own message");
        if (faults.Any)
            return Faulty(faults);
        if (envelope.TooManyHops)
            return Nothing(BusReason.MaxHops, string.Create(CultureInfo.InvariantCulture, $"handed on {envelope.Hops} times; it allows {envelope.MaxHops}"));
        var body = new WireObject(payload, "", faults);
        // A will carries the time at which its client connected, which says nothing of when the client was lost.
        var will = body.Flag("will") ?? false;
        if (!will && envelope.ExpiredAt(now))
        {
            return Nothing(BusReason.Expired, string.Create(CultureInfo.InvariantCulture,
                $"ran out {Envelope.Seconds(now) - envelope.Timestamp - envelope.Ttl:0} s ago"));
        }

        InboundMessage read = meaning switch
        {
            TopicMeaning.HealthCheck => new InboundMessage.HealthQuestion(),
            TopicMeaning.Register => Registration(body, payload),
            // A goodbye from whenever would take the service out again at each reconnect, long after it came back. A will only raises a suspicion.
            TopicMeaning.Unregister when raw.Retained && !will && !(envelope is { Ttl: > 0, Timestamp: not null }) => Nothing(BusReason.Retained, "retained, without a time and a ttl"),
            TopicMeaning.Unregister => Unregistration(body, will),
            TopicMeaning.Health => Evidence(body, topics.SubjectOf(raw.Topic)),
            _ => Command(body, envelope, raw.Retained),
        };
        return read with { From = envelope.Source };
    }

    private static InboundMessage Registration(WireObject body, JsonElement payload)
    {
        if (IsDevice(payload))
            return Nothing(BusReason.Device, "a device, not a service");
        var service = body.Text("service_name");
        if (service == Envelope.OwnSource)
            return Nothing(BusReason.Own, "own name");
        var request = RegistrationReader.Read(body);
        if (service is null)
            body.Faults.AddIfNone("service_name", "is required");
        else if (!Names.IsService(service))
            body.Faults.Add("service_name", "must be " + Names.ServiceRule);
        return body.Faults.Any ? Faulty(body.Faults) : new InboundMessage.Registration(service!, request);
    }

    /// <summary>Devices are announced on the services' topic: a <c>device_id</c> and no <c>service_name</c>, sometimes in a second envelope.</summary>
    private static bool IsDevice(JsonElement payload)
    {
        if (payload.TryGetProperty("service_name", out _))
            return false;
        return payload.TryGetProperty("device_id", out _)
            || (payload.TryGetProperty("payload", out var inner) && inner.ValueKind == JsonValueKind.Object && inner.TryGetProperty("device_id", out _)
                && !inner.TryGetProperty("service_name", out _));
    }

    private static InboundMessage Unregistration(WireObject body, bool will)
    {
        var service = Service(body, null);
        var instance = body.Text("instance_id");
        return service == Envelope.OwnSource ? Nothing(BusReason.Own, "own name")
            : body.Faults.Any ? Faulty(body.Faults)
            : new InboundMessage.Unregistration(service!, instance, will);
    }

    private static InboundMessage Evidence(WireObject body, string subject)
    {
        var service = Service(body, subject);
        if (service == Envelope.OwnSource)
            return Nothing(BusReason.Own, "own name");
        var instance = body.Text("instance_id");
        var status = body.Text("status");
        if (status is null)
            body.Faults.AddIfNone("status", "is required");
        if (body.Faults.Any)
            return Faulty(body.Faults);
        return status switch
        {
            "healthy" => new InboundMessage.Evidence(service!, instance, Healthy: true, status),
            "unhealthy" or "offline" => new InboundMessage.Evidence(service!, instance, Healthy: false, status),
            _ => Nothing(BusReason.OtherStatus, "neither good nor bad news"),
        };
    }

    private static InboundMessage Command(WireObject body, Envelope envelope, bool retained)
    {
        var name = body.Text("command");
        var sender = new CommandSender(name, envelope.MessageId, envelope.Source);
        if (retained)
            return new InboundMessage.WithoutEffect(BusReason.Retained, "a retained command would be carried out again at each reconnect", sender);
        if (name is null)
            body.Faults.AddIfNone("command", "is required");
        var fields = body.Object("parameters") ?? body;
        var service = Service(fields, null);
        BusCommand? command = null;
        switch (name)
        {
            case "set_algorithm":
                command = new BusCommand.SetAlgorithm(service ?? "", Required(fields, "algorithm"));
                break;
            case "update_weights":
                command = new BusCommand.UpdateWeights(service ?? "", Weights(fields));
                break;
            case "drain":
                command = new BusCommand.Drain(service ?? "", Required(fields, "instance_id"));
                break;
            case not null:
                return new InboundMessage.WithoutEffect(BusReason.UnknownCommand, "must be set_algorithm, update_weights or drain", sender);
        }

        return body.Faults.Any || command is null
            ? new InboundMessage.WithoutEffect(BusReason.BadField, Words(body.Faults), sender)
            : new InboundMessage.Order(command, sender);
    }

    private static string? Service(WireObject body, string? otherwise)
    {
        var service = body.Text("service_name") ?? otherwise;
        if (service is null)
            body.Faults.AddIfNone("service_name", "is required");
        return service;
    }

    private static string Required(WireObject body, string field)
    {
        var text = body.Text(field);
        if (text is null)
            body.Faults.AddIfNone(field, "is required");
        return text ?? "";
    }

    private static IReadOnlyDictionary<string, int> Weights(WireObject body)
    {
        if (body.Integers("weights") is { Count: > 0 } weights)
            return weights;
        body.Faults.AddIfNone("weights", "must name an instance");
        return new Dictionary<string, int>();
    }

    private static InboundMessage.WithoutEffect Nothing(BusReason reason, string detail) => new(reason, detail);

    private static InboundMessage.WithoutEffect Faulty(FaultList faults) => new(BusReason.BadField, Words(faults));

    /// <summary>The first faults in words; a log line has no room for more.</summary>
    public static string Words(FaultList faults) => string.Join("; ", faults.All.Take(4).Select(f => $"{f.Field} {f.Message}"));
}

using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Alicia.Proxy.Registry.Validation;

namespace Alicia.Proxy.Bus;

/// <summary>
/// The wrapping that messages on the bus share: who says it, when, for how long it holds, how often it was handed on. Received messages may come without it
/// (bare, their fields at the top level); what the proxy says always has it.
/// </summary>
internal sealed record Envelope
{
    /// <summary>The name under which the system knows the proxy.</summary>
    public const string OwnSource = "load_balancer";

    /// <summary>Largest message that is read.</summary>
    public const int MaxBytes = 64 * 1024;

    /// <summary>Seconds after which what the proxy said is old news.</summary>
    public const int DefaultTtl = 300;

    private static readonly JsonWriterOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public string? MessageId { get; init; }

    public string? Source { get; init; }

    /// <summary>Unix seconds; null when the message does not say.</summary>
    public double? Timestamp { get; init; }

    /// <summary>Seconds from <see cref="Timestamp"/>; 0 or null: for ever.</summary>
    public double? Ttl { get; init; }

    public int? Hops { get; init; }

    public int? MaxHops { get; init; }

    /// <summary>True when the message says that it was handed on more often than it may be.</summary>
    public bool TooManyHops => Hops > MaxHops;

    /// <summary>True when the message says that it no longer holds.</summary>
    public bool ExpiredAt(DateTimeOffset now) => Ttl > 0 && Timestamp + Ttl < Seconds(now);

    /// <summary>Takes a message apart. A field of the envelope that is of the wrong type is a fault; of a bare message it is somebody else's field.</summary>
    /// <param name="message">A JSON object.</param>
    /// <param name="faults">Gets what is wrong.</param>
    /// <param name="payload">The fields.</param>
    public static Envelope Open(JsonElement message, FaultList faults, out JsonElement payload)
    {
        if (!message.TryGetProperty("payload", out payload))
        {
            payload = message;
            return Read(message, new FaultList());
        }

        if (payload.ValueKind != JsonValueKind.Object)
            faults.Add("payload", "must be an object");
        return Read(message, faults);
    }

    /// <summary>Wraps what the proxy says.</summary>
    /// <param name="id">Of the message; normally a new UUID.</param>
    /// <param name="type">Such as <c>event</c>.</param>
    /// <param name="destination">Who should hear it, or null for everybody.</param>
    /// <param name="now">When it is said.</param>
    /// <param name="ttl">Seconds that it holds; 0 for ever.</param>
    /// <param name="payload">Writes the fields of the payload.</param>
    /// <param name="source">Who says it.</param>
    public static byte[] Write(
        string id, string type, string? destination, DateTimeOffset now, int ttl, Action<Utf8JsonWriter> payload, string source = OwnSource)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(buffer, Relaxed))
        {
            json.WriteStartObject();
            json.WriteString("message_id", id);
            json.WriteNumber("timestamp", Seconds(now));
            json.WriteString("source", source);
            json.WriteString("destination", destination ?? "broadcast");
            json.WriteString("message_type", type);
            json.WriteString("priority", "normal");
            json.WriteNumber("ttl", ttl);
            json.WriteStartObject("payload");
            payload(json);
            json.WriteEndObject();
            json.WriteStartObject("routing");
            json.WriteNumber("hops", 0);
            json.WriteNumber("max_hops", 10);
            json.WriteEndObject();
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Unix seconds with their fraction, to the millisecond.</summary>
    public static double Seconds(DateTimeOffset time) => time.ToUnixTimeMilliseconds() / 1000.0;

    private static Envelope Read(JsonElement json, FaultList faults)
    {
        var (hops, maxHops) = ((int?)null, (int?)null);
        if (json.TryGetProperty("routing", out var routing) && routing.ValueKind != JsonValueKind.Null)
        {
            if (routing.ValueKind == JsonValueKind.Object)
                (hops, maxHops) = (Count(routing, "hops", "routing.", faults), Count(routing, "max_hops", "routing.", faults));
            else
                faults.Add("routing", "must be an object");
        }

        return new Envelope
        {
            MessageId = Text(json, "message_id", faults),
            Source = Text(json, "source", faults),
            Timestamp = Number(json, "timestamp", faults),
            Ttl = Number(json, "ttl", faults),
            Hops = hops,
            MaxHops = maxHops,
        };
    }

    private static string? Text(JsonElement json, string field, FaultList faults)
    {
        if (!json.TryGetProperty(field, out var value) || value.ValueKind == JsonValueKind.Null)
            return null;
        if (value.ValueKind == JsonValueKind.String)
            return value.GetString();
        faults.Add(field, "must be text");
        return null;
    }

    private static double? Number(JsonElement json, string field, FaultList faults)
    {
        if (!json.TryGetProperty(field, out var value) || value.ValueKind == JsonValueKind.Null)
            return null;
        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && number >= 0)
            return number;
        faults.Add(field, "must be a number of seconds, at least 0");
        return null;
    }

    private static int? Count(JsonElement json, string field, string path, FaultList faults)
    {
        if (!json.TryGetProperty(field, out var value) || value.ValueKind == JsonValueKind.Null)
            return null;
        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) && number >= 0)
            return number;
        faults.Add(path + field, "must be a whole number, at least 0");
        return null;
    }
}

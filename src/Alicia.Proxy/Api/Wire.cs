using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Alicia.Proxy.Events;
using Alicia.Proxy.Registry;

namespace Alicia.Proxy.Api;

/// <summary>How the management API spells things: snake_case, seconds, RFC 3339 in UTC, lower-case words.</summary>
internal static class Wire
{
    public static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        // Field names in a map are the caller's own; they are not renamed.
        DictionaryKeyPolicy = null,
        DefaultIgnoreCondition = JsonIgnoreCondition.Never,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new UtcConverter() },
    };

    private static readonly string[] EventKinds = [.. Enum.GetValues<EventKind>().Select(kind => JsonNamingPolicy.SnakeCaseLower.ConvertName(kind.ToString()))];

    public static string Name(RegistrationSource source) => source switch
    {
        RegistrationSource.Api => "api",
        RegistrationSource.Mqtt => "mqtt",
        RegistrationSource.Config => "config",
        _ => throw new ArgumentOutOfRangeException(nameof(source), source, null),
    };

    public static string Name(InstanceState state) => state.WireName();

    /// <summary>Such as <c>instance_registered</c>.</summary>
    public static string Name(EventKind kind) => EventKinds[(int)kind];

    /// <summary>2026-11-23T16:08:11.123Z: one spelling of a time, so that clients may compare texts.</summary>
    private sealed class UtcConverter : JsonConverter<DateTimeOffset>
    {
        public override DateTimeOffset Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) => reader.GetDateTimeOffset();

        public override void Write(Utf8JsonWriter writer, DateTimeOffset value, JsonSerializerOptions options) =>
            writer.WriteStringValue(value.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", System.Globalization.CultureInfo.InvariantCulture));
    }
}

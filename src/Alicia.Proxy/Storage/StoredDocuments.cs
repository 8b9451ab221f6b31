using System.Buffers;
using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Storage;

/// <summary>
/// The JSON that a stored service's row holds: settings as a flat object by wire path (<c>"health_check.interval": 30</c>, null for an
/// explicit "none"), and routes as an array. Reading is strict: what this program did not write is a <see cref="FormatException"/>.
/// </summary>
internal static class StoredDocuments
{
    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    private static readonly Dictionary<string, SettingKey> KeysByPath =
        SettingKeys.All.ToDictionary(key => key.WirePath, StringComparer.Ordinal);

    public static string WriteSettings(SettingOverrides settings) => Write(writer => WriteSettings(writer, settings));

    public static void WriteSettings(Utf8JsonWriter writer, SettingOverrides settings)
    {
        writer.WriteStartObject();
        foreach (var key in settings.Keys)
        {
            settings.TryGet(key, out var value);
            writer.WritePropertyName(key.WirePath);
            key.Codec.WriteJson(writer, value);
        }

        writer.WriteEndObject();
    }

    public static SettingOverrides ReadSettings(string text) => Read(text, ReadSettings);

    public static SettingOverrides ReadSettings(JsonElement json)
    {
        var settings = SettingOverrides.Empty;
        foreach (var property in PropertiesOf(json))
        {
            if (!KeysByPath.TryGetValue(property.Name, out var key))
                throw Unknown(property);
            settings = settings.With(key, ReadSetting(key, property.Value));
        }

        return settings;
    }

    public static string WriteRoutes(ImmutableArray<DeclaredRoute> routes) => Write(writer =>
    {
        writer.WriteStartArray();
        foreach (var route in routes)
        {
            writer.WriteStartObject();
            writer.WriteStartArray("hosts");
            foreach (var host in route.Hosts)
                writer.WriteStringValue(host);
            writer.WriteEndArray();
            if (route.Path is not null)
                writer.WriteString("path", route.Path);
            if (route.StripPrefix is not null)
                writer.WriteString("strip_prefix", route.StripPrefix);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    });

    public static ImmutableArray<DeclaredRoute> ReadRoutes(string text) =>
        Read(text, json => ItemsOf(json).Select(ReadRoute).ToImmutableArray());

    public static string Write(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer))
            write(writer);
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    /// <exception cref="FormatException">The text is not JSON, or not the JSON that <paramref name="read"/> expects.</exception>
    public static T Read<T>(string text, Func<JsonElement, T> read)
    {
        try
        {
            using var document = JsonDocument.Parse(text, Strict);
            return read(document.RootElement);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // InvalidOperationException: an escape in a string or a name that is no text, such as half of a surrogate pair.
            throw new FormatException("it is not valid JSON", e);
        }
    }

    public static JsonElement.ObjectEnumerator PropertiesOf(JsonElement json) =>
        json.ValueKind == JsonValueKind.Object ? json.EnumerateObject() : throw new FormatException("an object is expected");

    public static string Text(JsonProperty property) =>
        property.Value.ValueKind == JsonValueKind.String ? property.Value.GetString()! : throw Broken(property, "text");

    public static int Number(JsonProperty property, int min, int max) =>
        property.Value.ValueKind == JsonValueKind.Number && property.Value.TryGetInt32(out var value) && value >= min && value <= max
            ? value
            : throw Broken(property, string.Create(CultureInfo.InvariantCulture, $"a whole number from {min} to {max}"));

    public static bool Flag(JsonProperty property) => property.Value.ValueKind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Broken(property, "true or false"),
    };

    public static FormatException Broken(JsonProperty property, string rule) => new($"\"{property.Name}\" is not {rule}");

    public static FormatException Unknown(JsonProperty property) =>
        new($"it has \"{property.Name}\", which this version does not know: a newer version wrote it, or it is damaged");

    private static object? ReadSetting(SettingKey key, JsonElement json)
    {
        // A key that can be "none" reads that word as null; for all others a null is damage.
        if (json.ValueKind == JsonValueKind.Null && key.Codec.TryParseText("none", out var none) && none is null)
            return null;
        if (json.ValueKind != JsonValueKind.Null && key.Codec.TryParseJson(json, out var value))
            return value;
        throw new FormatException($"\"{key.WirePath}\" is not {key.Codec.Rule}");
    }

    private static DeclaredRoute ReadRoute(JsonElement json)
    {
        ImmutableArray<string>? hosts = null;
        string? path = null;
        string? stripPrefix = null;
        foreach (var property in PropertiesOf(json))
        {
            switch (property.Name)
            {
                case "hosts":
                    hosts = ItemsOf(property.Value)
                        .Select(host => host.ValueKind == JsonValueKind.String ? host.GetString()! : throw Broken(property, "a list of hosts"))
                        .ToImmutableArray();
                    break;
                case "path":
                    path = Text(property);
                    break;
                case "strip_prefix":
                    stripPrefix = Text(property);
                    break;
                default:
                    throw Unknown(property);
            }
        }

        return new DeclaredRoute(hosts ?? throw new FormatException("a route has no \"hosts\""), path, stripPrefix);
    }

    private static JsonElement.ArrayEnumerator ItemsOf(JsonElement json) =>
        json.ValueKind == JsonValueKind.Array ? json.EnumerateArray() : throw new FormatException("an array is expected");
}

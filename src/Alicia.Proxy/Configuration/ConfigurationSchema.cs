using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Configuration;

/// <summary>
/// Writes the JSON schema of configuration files from the list of keys, so that an editor completes and checks what the reader accepts.
/// Nothing is required: a file may be one layer of several.
/// </summary>
internal static class ConfigurationSchema
{
    /// <summary>The text of <c>config/alicia.schema.json</c>, with a line feed at its end.</summary>
    public static string Write()
    {
        using var buffer = new MemoryStream();
        var options = new JsonWriterOptions { Indented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
        using (var writer = new Utf8JsonWriter(buffer, options))
        {
            writer.WriteStartObject();
            writer.WriteString("$schema", "https://json-schema.org/draft/2020-12/schema");
            writer.WriteString("title", "Alicia.Proxy configuration");
            writer.WriteString("description", "Durations are hh:mm:ss. Names of keys may be written in any case; this is the usual one.");
            WriteSection(writer, ConfigurationNode.Root);
            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.ToArray()) + "\n";
    }

    private static void WriteNode(Utf8JsonWriter writer, ConfigurationNode node)
    {
        writer.WriteStartObject();
        if (node.OpenPurpose is { } purpose)
        {
            writer.WriteString("description", purpose);
            writer.WriteString("type", "object");
        }
        else if (node.Key is { } key)
        {
            WriteKey(writer, key);
        }
        else if (node.IsList)
        {
            writer.WriteString("type", "array");
            writer.WritePropertyName("items");
            WriteNode(writer, node.Any!);
        }
        else
        {
            WriteSection(writer, node);
        }

        writer.WriteEndObject();
    }

    private static void WriteSection(Utf8JsonWriter writer, ConfigurationNode node)
    {
        writer.WriteString("type", "object");
        if (node.Children.Count > 0)
        {
            writer.WriteStartObject("properties");
            if (node == ConfigurationNode.Root)
            {
                writer.WriteStartObject("$schema");
                writer.WriteString("type", "string");
                writer.WriteEndObject();
            }

            foreach (var child in node.Children)
            {
                writer.WritePropertyName(child.Name);
                WriteNode(writer, child);
            }

            writer.WriteEndObject();
        }

        if (node.Any is not { } any)
        {
            writer.WriteBoolean("additionalProperties", false);
            return;
        }

        if (ConfigurationKeys.NameRule(any.Name) is { } rule)
        {
            writer.WriteStartObject("propertyNames");
            writer.WriteString("pattern", rule.Pattern.ToString());
            writer.WriteEndObject();
        }

        writer.WritePropertyName("additionalProperties");
        WriteNode(writer, any);
    }

    private static void WriteKey(Utf8JsonWriter writer, ConfigurationKey key)
    {
        writer.WriteString("description", key.NeedsRestart ? key.Purpose + " A change needs a restart." : key.Purpose);
        if (key.HasDefault)
            WriteDefault(writer, key);
        if (!key.Codec.IsList)
        {
            key.Codec.WriteSchema(writer);
            return;
        }

        writer.WriteStartArray("anyOf");
        writer.WriteStartObject();
        key.Codec.WriteSchema(writer);
        writer.WriteEndObject();
        writer.WriteStartObject();
        writer.WriteString("type", "string");
        writer.WriteEndObject();
        writer.WriteEndArray();
    }

    private static void WriteDefault(Utf8JsonWriter writer, ConfigurationKey key)
    {
        // The wire form of a duration is a number of seconds; a file has text.
        if (key.Codec is DurationCodec or OptionalDurationCodec)
        {
            writer.WriteString("default", key.Codec.ToText(key.DefaultValue));
            return;
        }

        // An empty list is "nothing set", which needs no words.
        if (key.Codec.IsList && key.Codec.ToText(key.DefaultValue).Length == 0)
            return;
        writer.WritePropertyName("default");
        key.Codec.WriteJson(writer, key.DefaultValue);
    }
}

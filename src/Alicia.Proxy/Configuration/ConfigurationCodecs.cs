using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Configuration;

/// <summary>Values that configuration spells as one text; the REST API does not have them.</summary>
internal abstract class ConfigurationCodec<T> : SettingCodec<T>
{
    public override bool TryParseJson(JsonElement json, out T value)
    {
        value = default!;
        return json.ValueKind == JsonValueKind.String && TryParseText(json.GetString()!, out value);
    }

    public override void WriteJson(Utf8JsonWriter writer, T value) => writer.WriteStringValue(ToText(value));

    public override void WriteSchema(Utf8JsonWriter writer) => writer.WriteString("type", "string");
}

/// <summary>Text that follows a pattern. Blank text is "not given".</summary>
internal sealed class PatternCodec(Regex pattern, string rule) : ConfigurationCodec<string?>
{
    public override string Rule => rule;

    public override bool TryParseText(string text, out string? value)
    {
        value = text.Length == 0 ? null : text;
        // $ also matches in front of a last line feed; a secret that was read from a file often ends in one.
        return value is null || (pattern.Match(value) is { Success: true } match && match.Length == value.Length);
    }

    public override string ToText(string? value) => value ?? "";

    public override void WriteSchema(Utf8JsonWriter writer)
    {
        base.WriteSchema(writer);
        writer.WriteString("pattern", pattern.ToString());
    }
}

/// <summary>One of the words that the members of an enumeration make in the given spelling.</summary>
internal sealed class EnumCodec<T>(Func<string, string> spelling) : ConfigurationCodec<T?>
    where T : struct, Enum
{
    private readonly string[] _words = [.. Enum.GetNames<T>().Select(spelling)];

    public override string Rule => "one of " + string.Join(", ", _words);

    public override bool TryParseText(string text, out T? value)
    {
        var index = Array.FindIndex(_words, word => word.Equals(text, StringComparison.OrdinalIgnoreCase));
        value = index < 0 ? null : Enum.GetValues<T>()[index];
        return index >= 0;
    }

    public override string ToText(T? value) => spelling(value!.Value.ToString());

    public override void WriteSchema(Utf8JsonWriter writer)
    {
        base.WriteSchema(writer);
        writer.WriteStartArray("enum");
        foreach (var word in _words)
            writer.WriteStringValue(word);
        writer.WriteEndArray();
    }
}

/// <summary>A switch, <c>true</c> and <c>false</c> or <c>on</c> and <c>off</c>; blank text leaves it to the default.</summary>
internal sealed class SwitchCodec : ConfigurationCodec<bool?>
{
    public override string Rule => "true (on) or false (off)";

    public override bool TryParseText(string text, out bool? value)
    {
        value = text.ToUpperInvariant() switch
        {
            "TRUE" or "ON" => true,
            "FALSE" or "OFF" => false,
            _ => null,
        };
        return value is not null || text.Length == 0;
    }

    public override void WriteJson(Utf8JsonWriter writer, bool? value) => writer.WriteBooleanValue(value!.Value);

    public override string ToText(bool? value) => value == true ? "true" : "false";

    public override void WriteSchema(Utf8JsonWriter writer)
    {
        writer.WriteStartArray("enum");
        writer.WriteBooleanValue(true);
        writer.WriteBooleanValue(false);
        writer.WriteStringValue("on");
        writer.WriteStringValue("off");
        writer.WriteEndArray();
    }
}

/// <summary>How much of something: <c>off</c>, <c>on</c>, or a share from 0 to 1; also <c>false</c> and <c>true</c>. Blank text is off.</summary>
internal sealed class ShareCodec : ConfigurationCodec<double>
{
    public override string Rule => "on (true), off (false), or a share from 0 to 1 such as 0.01";

    public override bool TryParseText(string text, out double value)
    {
        value = text.ToUpperInvariant() switch
        {
            "TRUE" or "ON" => 1,
            "FALSE" or "OFF" or "" => 0,
            _ => -1,
        };
        return value >= 0 || (double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out value) && value is >= 0 and <= 1);
    }

    public override string ToText(double value) => value switch
    {
        0 => "off",
        1 => "on",
        _ => value.ToString(CultureInfo.InvariantCulture),
    };

    public override void WriteSchema(Utf8JsonWriter writer)
    {
        writer.WriteStartArray("anyOf");
        writer.WriteStartObject();
        writer.WriteStartArray("enum");
        writer.WriteStringValue("on");
        writer.WriteStringValue("off");
        writer.WriteBooleanValue(true);
        writer.WriteBooleanValue(false);
        writer.WriteEndArray();
        writer.WriteEndObject();
        writer.WriteStartObject();
        writer.WriteString("type", "number");
        writer.WriteNumber("minimum", 0);
        writer.WriteNumber("maximum", 1);
        writer.WriteEndObject();
        writer.WriteStartObject();
        writer.WriteString("type", "string");
        writer.WriteString("pattern", @"^(0?\.[0-9]+|0|1)$");
        writer.WriteEndObject();
        writer.WriteEndArray();
    }
}

/// <summary>An <c>http</c> or <c>https</c> URL without user name or password.</summary>
internal sealed class UrlCodec : ConfigurationCodec<Uri?>
{
    public override string Rule => "an http:// or https:// URL without user name and password";

    public override bool TryParseText(string text, out Uri? value)
    {
        value = null;
        return text.Length == 0
            || (Uri.TryCreate(text, UriKind.Absolute, out value) && value.Scheme is "http" or "https" && value.UserInfo.Length == 0);
    }

    public override string ToText(Uri? value) => value?.ToString() ?? "";

    public override void WriteSchema(Utf8JsonWriter writer)
    {
        base.WriteSchema(writer);
        writer.WriteString("format", "uri");
    }
}

/// <summary><c>http://host:port</c>; as a template with <see cref="InstanceAddress.Placeholder"/> in the host.</summary>
internal sealed class InstanceAddressCodec(bool template) : ConfigurationCodec<InstanceAddress?>
{
    public override string Rule => template
        ? "http://host:port or https://host:port with {service_name} in the host, such as http://alicia_{service_name}:8000"
        : "http://host:port or https://host:port, without a path";

    public override bool TryParseText(string text, out InstanceAddress? value)
    {
        value = null;
        return (template && text.Length == 0) || InstanceAddress.TryParse(text, template, out value!);
    }

    public override string ToText(InstanceAddress? value) => value?.ToString() ?? "";
}

/// <summary>Lists: a JSON array, or text with commas or semicolons between the entries.</summary>
internal abstract class ListCodec<T>(int min = 0) : ConfigurationCodec<ImmutableArray<T>>
{
    public override bool IsList => true;

    public override bool TryParseText(string text, out ImmutableArray<T> value)
    {
        var items = ImmutableArray.CreateBuilder<T>();
        var valid = true;
        foreach (var part in text.Split([',', ';'], StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (TryParseItem(part, out var item))
                items.Add(item);
            else
                valid = false;
        }

        value = items.ToImmutable();
        return valid && value.Length >= min;
    }

    public override void WriteJson(Utf8JsonWriter writer, ImmutableArray<T> value)
    {
        writer.WriteStartArray();
        foreach (var item in value)
            writer.WriteStringValue(ItemToText(item));
        writer.WriteEndArray();
    }

    public override string ToText(ImmutableArray<T> value) => string.Join(", ", value.Select(ItemToText));

    public override void WriteSchema(Utf8JsonWriter writer)
    {
        writer.WriteString("type", "array");
        if (min > 0)
            writer.WriteNumber("minItems", min);
        writer.WriteStartObject("items");
        writer.WriteString("type", "string");
        WriteItemSchema(writer);
        writer.WriteEndObject();
    }

    protected abstract bool TryParseItem(string text, out T item);

    protected virtual string ItemToText(T item) => item!.ToString()!;

    /// <summary>Adds what an entry's schema has besides its type.</summary>
    protected virtual void WriteItemSchema(Utf8JsonWriter writer)
    {
    }
}

/// <summary>Listeners.</summary>
internal sealed class ListenCodec(params ListenScheme[] schemes) : ListCodec<ListenAddress>(min: 1)
{
    public override string Rule { get; } =
        $"{string.Join(" or ", schemes.Select(s => s.ToString().ToLowerInvariant() + "://"))} and an IP address, [IPv6 address], localhost or *, "
        + "then a port from 0 to 65535 (0 picks a free one, but not for localhost), without a path; proxy+ in front where the PROXY protocol is spoken; several with ; between them";

    protected override bool TryParseItem(string text, out ListenAddress item) => ListenAddress.TryParse(text, out item) && schemes.Contains(item.Scheme);

    protected override void WriteItemSchema(Utf8JsonWriter writer) => writer.WriteString("pattern",
        $@"^(proxy\+)?({string.Join('|', schemes.Select(s => s.ToString().ToLowerInvariant()))})://(\[[0-9A-Fa-f:.]+\]|[0-9.]+|localhost|\*):\d{{1,5}}$");
}

/// <summary>A status that sends callers elsewhere for good.</summary>
internal sealed class RedirectStatusCodec : ConfigurationCodec<int>
{
    public override string Rule => "301 or 308";

    public override bool TryParseText(string text, out int value)
    {
        value = text == "301" ? StatusCodes.Status301MovedPermanently : StatusCodes.Status308PermanentRedirect;
        return text is "301" or "308";
    }

    public override string ToText(int value) => value.ToString(CultureInfo.InvariantCulture);

    public override void WriteJson(Utf8JsonWriter writer, int value) => writer.WriteNumberValue(value);

    public override void WriteSchema(Utf8JsonWriter writer)
    {
        writer.WriteStartArray("enum");
        writer.WriteNumberValue(StatusCodes.Status301MovedPermanently);
        writer.WriteNumberValue(StatusCodes.Status308PermanentRedirect);
        writer.WriteEndArray();
    }
}

/// <summary>Words that follow a pattern.</summary>
internal sealed class WordsCodec(Regex pattern, string rule, int min = 0) : ListCodec<string>(min)
{
    public override string Rule => rule;

    protected override bool TryParseItem(string text, out string item)
    {
        item = text;
        return pattern.IsMatch(text);
    }

    protected override void WriteItemSchema(Utf8JsonWriter writer) => writer.WriteString("pattern", pattern.ToString());
}

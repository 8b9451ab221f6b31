using System.Globalization;
using System.Numerics;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Alicia.Proxy.Registry.Settings;

/// <summary>Reads, checks and writes one kind of setting value.</summary>
internal abstract class SettingCodec<T> : ISettingCodec
{
    /// <inheritdoc/>
    public abstract string Rule { get; }

    /// <inheritdoc/>
    public virtual bool IsList => false;

    /// <inheritdoc/>
    public virtual bool IsMap => false;

    public abstract bool TryParseText(string text, out T value);

    public abstract bool TryParseJson(JsonElement json, out T value);

    public abstract void WriteJson(Utf8JsonWriter writer, T value);

    public abstract string ToText(T value);

    public virtual void WriteShown(Utf8JsonWriter writer, T value) => WriteJson(writer, value);

    public virtual string ToShownText(T value) => ToText(value);

    /// <inheritdoc/>
    public abstract void WriteSchema(Utf8JsonWriter writer);

    bool ISettingCodec.TryParseText(string text, out object? value)
    {
        var parsed = TryParseText(text.Trim(), out var typed);
        value = typed;
        return parsed;
    }

    bool ISettingCodec.TryParseJson(JsonElement json, out object? value)
    {
        var parsed = TryParseJson(json, out var typed);
        value = typed;
        return parsed;
    }

    void ISettingCodec.WriteJson(Utf8JsonWriter writer, object? value)
    {
        if (value is null)
            writer.WriteNullValue();
        else
            WriteJson(writer, (T)value);
    }

    void ISettingCodec.WriteShown(Utf8JsonWriter writer, object? value)
    {
        if (value is null)
            writer.WriteNullValue();
        else
            WriteShown(writer, (T)value);
    }

    string ISettingCodec.ToText(object? value) => value is null ? "none" : ToText((T)value);

    string ISettingCodec.ToShownText(object? value) => value is null ? "none" : ToShownText((T)value);

    /// <summary>"none" and "off" switch an optional setting off where its default is on.</summary>
    protected static bool IsNone(string text) =>
        text.Equals("none", StringComparison.OrdinalIgnoreCase) || text.Equals("off", StringComparison.OrdinalIgnoreCase);
}

/// <summary>Numbers in a range.</summary>
/// <param name="min">Least.</param>
/// <param name="max">Greatest.</param>
/// <param name="kind">What they are called in rules.</param>
/// <param name="styles">How they are written in configuration.</param>
internal abstract class NumberCodec<T>(T min, T max, string kind, NumberStyles styles) : SettingCodec<T>
    where T : struct, INumber<T>
{
    public override string Rule { get; } = string.Create(CultureInfo.InvariantCulture, $"{kind} from {min} to {max}");

    public override bool TryParseText(string text, out T value) => T.TryParse(text, styles, CultureInfo.InvariantCulture, out value) && InRange(value);

    public override bool TryParseJson(JsonElement json, out T value)
    {
        value = default;
        return json.ValueKind == JsonValueKind.Number && TryGet(json, out value) && InRange(value);
    }

    public override string ToText(T value) => value.ToString(null, CultureInfo.InvariantCulture);

    protected abstract bool TryGet(JsonElement json, out T value);

    private bool InRange(T value) => value >= min && value <= max;
}

/// <summary>Whole numbers in a range.</summary>
internal sealed class IntegerCodec(int min, int max) : NumberCodec<int>(min, max, "a whole number", NumberStyles.AllowLeadingSign)
{
    private readonly (int Min, int Max) _range = (min, max);

    public override void WriteJson(Utf8JsonWriter writer, int value) => writer.WriteNumberValue(value);

    public override void WriteSchema(Utf8JsonWriter writer)
    {
        writer.WriteString("type", "integer");
        writer.WriteNumber("minimum", _range.Min);
        writer.WriteNumber("maximum", _range.Max);
    }

    protected override bool TryGet(JsonElement json, out int value) => json.TryGetInt32(out value);
}

/// <summary>Numbers in a range, with or without a fraction.</summary>
internal sealed class DecimalCodec(double min, double max) : NumberCodec<double>(min, max, "a number", NumberStyles.AllowDecimalPoint)
{
    private readonly (double Min, double Max) _range = (min, max);

    public override void WriteJson(Utf8JsonWriter writer, double value) => writer.WriteNumberValue(value);

    public override void WriteSchema(Utf8JsonWriter writer)
    {
        writer.WriteString("type", "number");
        writer.WriteNumber("minimum", _range.Min);
        writer.WriteNumber("maximum", _range.Max);
    }

    protected override bool TryGet(JsonElement json, out double value) => json.TryGetDouble(out value);
}

/// <summary>True or false.</summary>
internal sealed class BooleanCodec : SettingCodec<bool>
{
    public override string Rule => "true or false";

    public override bool TryParseText(string text, out bool value) => bool.TryParse(text, out value);

    public override bool TryParseJson(JsonElement json, out bool value)
    {
        value = json.ValueKind == JsonValueKind.True;
        return json.ValueKind is JsonValueKind.True or JsonValueKind.False;
    }

    public override void WriteJson(Utf8JsonWriter writer, bool value) => writer.WriteBooleanValue(value);

    public override string ToText(bool value) => value ? "true" : "false";

    public override void WriteSchema(Utf8JsonWriter writer) => writer.WriteString("type", "boolean");
}

/// <summary>One of a fixed set of lower-case words.</summary>
internal sealed class ChoiceCodec(params string[] choices) : SettingCodec<string>
{
    public IReadOnlyList<string> Choices { get; } = choices;

    public override string Rule { get; } = "one of " + string.Join(", ", choices);

    public override bool TryParseText(string text, out string value)
    {
        value = text;
        return Array.IndexOf(choices, text) >= 0;
    }

    public override bool TryParseJson(JsonElement json, out string value)
    {
        value = "";
        return json.ValueKind == JsonValueKind.String && TryParseText(json.GetString()!, out value);
    }

    public override void WriteJson(Utf8JsonWriter writer, string value) => writer.WriteStringValue(value);

    public override string ToText(string value) => value;

    public override void WriteSchema(Utf8JsonWriter writer)
    {
        writer.WriteString("type", "string");
        writer.WriteStartArray("enum");
        foreach (var choice in choices)
            writer.WriteStringValue(choice);
        writer.WriteEndArray();
    }
}

/// <summary>Text that matches a pattern; optional when <paramref name="optional"/>, and then "none" means no value.</summary>
internal sealed class TextCodec(Regex pattern, int maxLength, string rule, bool optional = false) : SettingCodec<string?>
{
    public override string Rule => rule;

    public override bool TryParseText(string text, out string? value)
    {
        value = text;
        if (optional && IsNone(text))
        {
            value = null;
            return true;
        }

        return text.Length <= maxLength && pattern.IsMatch(text);
    }

    public override bool TryParseJson(JsonElement json, out string? value)
    {
        value = null;
        return json.ValueKind == JsonValueKind.String && TryParseText(json.GetString()!, out value);
    }

    public override void WriteJson(Utf8JsonWriter writer, string? value) => writer.WriteStringValue(value);

    public override string ToText(string? value) => value ?? "none";

    public override void WriteSchema(Utf8JsonWriter writer)
    {
        writer.WriteString("type", "string");
        writer.WriteNumber("maxLength", maxLength);
    }
}

/// <summary>A list of HTTP status codes.</summary>
internal sealed class StatusListCodec : SettingCodec<IReadOnlyList<int>>
{
    public override string Rule => "a list of at most 32 status codes from 100 to 599";

    public override bool IsList => true;

    public override bool TryParseText(string text, out IReadOnlyList<int> value)
    {
        var codes = new List<int>();
        value = codes;
        foreach (var part in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            if (!int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var code) || !IsStatus(code))
                return false;
            codes.Add(code);
        }

        return codes.Count is > 0 and <= 32;
    }

    public override bool TryParseJson(JsonElement json, out IReadOnlyList<int> value)
    {
        var codes = new List<int>();
        value = codes;
        if (json.ValueKind != JsonValueKind.Array)
            return false;
        foreach (var item in json.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt32(out var code) || !IsStatus(code))
                return false;
            codes.Add(code);
        }

        return codes.Count is > 0 and <= 32;
    }

    public override void WriteJson(Utf8JsonWriter writer, IReadOnlyList<int> value)
    {
        writer.WriteStartArray();
        foreach (var code in value)
            writer.WriteNumberValue(code);
        writer.WriteEndArray();
    }

    public override string ToText(IReadOnlyList<int> value) => string.Join(',', value);

    public override void WriteSchema(Utf8JsonWriter writer)
    {
        writer.WriteString("type", "array");
        writer.WriteNumber("minItems", 1);
        writer.WriteNumber("maxItems", 32);
        writer.WriteStartObject("items");
        writer.WriteString("type", "integer");
        writer.WriteNumber("minimum", 100);
        writer.WriteNumber("maximum", 599);
        writer.WriteEndObject();
    }

    private static bool IsStatus(int code) => code is >= 100 and <= 599;
}

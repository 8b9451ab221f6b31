using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Alicia.Proxy.Registry.Settings;

/// <summary>
/// What a service changes about the fields of its requests, or of its answers: values that are set in place of what came, values that are added, names that are taken away. Compiled once
/// from the settings; a service without rules has none.
/// </summary>
internal sealed class FieldRules
{
    private readonly FrozenSet<string> _dropped;

    private FieldRules(ImmutableSortedDictionary<string, string> set, ImmutableSortedDictionary<string, string> add, IEnumerable<string> remove)
    {
        (Written, Added) = ([.. set], [.. add]);
        _dropped = remove.Concat(set.Keys).ToFrozenSet(StringComparer.OrdinalIgnoreCase);
    }

    /// <summary>Fields in place of those of the same name.</summary>
    public ImmutableArray<KeyValuePair<string, string>> Written { get; }

    /// <summary>Fields beside those of the same name.</summary>
    public ImmutableArray<KeyValuePair<string, string>> Added { get; }

    /// <returns>Null when there is nothing to do.</returns>
    public static FieldRules? Of(ImmutableSortedDictionary<string, string>? set, ImmutableSortedDictionary<string, string>? add, IReadOnlyList<string>? remove) =>
        set is null && add is null && remove is null ? null : new FieldRules(set ?? FieldNames.NoValues, add ?? FieldNames.NoValues, remove ?? []);

    /// <summary>True for a field that must not be passed on as it came.</summary>
    public bool Drops(string name) => _dropped.Contains(name);
}

/// <summary>Which fields a rule may be about, and what they may say. Nothing that frames a message or that the proxy itself answers for.</summary>
internal static partial class FieldNames
{
    /// <summary>Rules of one kind in one direction.</summary>
    public const int MaxRules = 32;

    public const int MaxNameLength = 128;

    public const int MaxValueLength = 4096;

    /// <summary>What stands for a value where values are shown.</summary>
    public const string Hidden = "***";

    public static readonly ImmutableSortedDictionary<string, string> NoValues = ImmutableSortedDictionary.Create<string, string>(StringComparer.OrdinalIgnoreCase);

    private static readonly FrozenSet<string> Reserved = FrozenSet.Create(StringComparer.OrdinalIgnoreCase,
        "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "HTTP2-Settings",
        "Content-Length", "Host", "Expect", "Via", "X-Request-Id", "Proxy-Status", "traceparent", "tracestate");

    /// <summary>True for a name that rules may be about.</summary>
    public static bool IsFree(string name) => name.Length <= MaxNameLength && TokenPattern().IsMatch(name) && !Reserved.Contains(name)
        && !name.StartsWith("X-Forwarded-", StringComparison.OrdinalIgnoreCase) && !name.StartsWith("Sec-WebSocket-", StringComparison.OrdinalIgnoreCase);

    /// <summary>True for one line of text that no receiver can take for more than one value.</summary>
    public static bool IsValue(string value) => value.Length <= MaxValueLength && value != Hidden && ValuePattern().IsMatch(value);

    [GeneratedRegex(@"\A[!#$%&'*+.^_`|~0-9A-Za-z-]+\z", RegexOptions.CultureInvariant)]
    private static partial Regex TokenPattern();

    [GeneratedRegex(@"\A([\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?)?\z", RegexOptions.CultureInvariant)]
    private static partial Regex ValuePattern();
}

/// <summary>Names and values of fields: an object in JSON and in configuration files. Values may be secrets and are shown to nobody.</summary>
internal sealed class FieldValuesCodec : SettingCodec<ImmutableSortedDictionary<string, string>?>
{
    public override string Rule { get; } =
        $"1 to {FieldNames.MaxRules} fields that neither frame a message nor are the proxy's own (such as Host, Content-Length, Connection, X-Forwarded-*, Via), each with one line of visible ASCII "
        + $"of at most {FieldNames.MaxValueLength} characters; '{FieldNames.Hidden}' only stands for a value that is not shown";

    public override bool IsMap => true;

    /// <summary>Configuration's sections and variables come as JSON text.</summary>
    public override bool TryParseText(string text, out ImmutableSortedDictionary<string, string>? value)
    {
        value = null;
        if (IsNone(text))
            return true;
        try
        {
            using var json = JsonDocument.Parse(text, new JsonDocumentOptions { AllowDuplicateProperties = false });
            return TryParseJson(json.RootElement, out value);
        }
        catch (JsonException)
        {
            return false;
        }
    }

    public override bool TryParseJson(JsonElement json, out ImmutableSortedDictionary<string, string>? value)
    {
        value = null;
        if (json.ValueKind != JsonValueKind.Object)
            return false;
        var fields = FieldNames.NoValues.ToBuilder();
        foreach (var field in json.EnumerateObject())
        {
            if (!FieldNames.IsFree(field.Name) || field.Value.ValueKind != JsonValueKind.String || !FieldNames.IsValue(field.Value.GetString()!) || !fields.TryAdd(field.Name, field.Value.GetString()!))
                return false;
        }

        value = fields.ToImmutable();
        return fields.Count is > 0 and <= FieldNames.MaxRules;
    }

    public override void WriteJson(Utf8JsonWriter writer, ImmutableSortedDictionary<string, string>? value) => Write(writer, value, hidden: false);

    public override void WriteShown(Utf8JsonWriter writer, ImmutableSortedDictionary<string, string>? value) => Write(writer, value, hidden: true);

    public override string ToText(ImmutableSortedDictionary<string, string>? value) => Text(value, hidden: false);

    public override string ToShownText(ImmutableSortedDictionary<string, string>? value) => Text(value, hidden: true);

    public override void WriteSchema(Utf8JsonWriter writer)
    {
        writer.WriteString("type", "object");
        writer.WriteNumber("maxProperties", FieldNames.MaxRules);
        writer.WriteStartObject("additionalProperties");
        writer.WriteString("type", "string");
        writer.WriteNumber("maxLength", FieldNames.MaxValueLength);
        writer.WriteEndObject();
    }

    private static string Text(ImmutableSortedDictionary<string, string>? value, bool hidden)
    {
        if (value is null)
            return "none";
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
            Write(writer, value, hidden);
        return Encoding.UTF8.GetString(buffer.ToArray());
    }

    private static void Write(Utf8JsonWriter writer, ImmutableSortedDictionary<string, string>? value, bool hidden)
    {
        if (value is null)
        {
            writer.WriteNullValue();
            return;
        }

        writer.WriteStartObject();
        foreach (var (name, text) in value)
            writer.WriteString(name, hidden ? FieldNames.Hidden : text);
        writer.WriteEndObject();
    }
}

/// <summary>Names of fields.</summary>
internal sealed class FieldNamesCodec : SettingCodec<IReadOnlyList<string>?>
{
    public override string Rule { get; } = $"a list of 1 to {FieldNames.MaxRules} fields that neither frame a message nor are the proxy's own (such as Host, Content-Length, Connection, X-Forwarded-*, Via)";

    public override bool IsList => true;

    public override bool TryParseText(string text, out IReadOnlyList<string>? value)
    {
        value = null;
        return IsNone(text) || Check(text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries), out value);
    }

    public override bool TryParseJson(JsonElement json, out IReadOnlyList<string>? value)
    {
        value = null;
        return json.ValueKind == JsonValueKind.Array && json.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String)
            && Check([.. json.EnumerateArray().Select(item => item.GetString()!)], out value);
    }

    public override void WriteJson(Utf8JsonWriter writer, IReadOnlyList<string>? value)
    {
        writer.WriteStartArray();
        foreach (var name in value ?? [])
            writer.WriteStringValue(name);
        writer.WriteEndArray();
    }

    // A comma behind it makes a list of a name that alone would mean that there are none.
    public override string ToText(IReadOnlyList<string>? value) => value switch
    {
        null => "none",
        [var only] when IsNone(only) => only + ",",
        _ => string.Join(',', value),
    };

    public override void WriteSchema(Utf8JsonWriter writer)
    {
        writer.WriteString("type", "array");
        writer.WriteNumber("maxItems", FieldNames.MaxRules);
        writer.WriteStartObject("items");
        writer.WriteString("type", "string");
        writer.WriteEndObject();
    }

    private static bool Check(string[] names, out IReadOnlyList<string>? value)
    {
        value = names;
        return names.Length is > 0 and <= FieldNames.MaxRules && names.All(FieldNames.IsFree);
    }
}

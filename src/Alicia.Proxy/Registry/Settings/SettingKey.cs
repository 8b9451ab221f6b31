using System.Text.Json;

namespace Alicia.Proxy.Registry.Settings;

/// <summary>
/// One per-service setting: its name in configuration (<c>HealthCheck:Interval</c>) and on the wire
/// (<c>health_check.interval</c>), its default, and the codec that reads, checks and writes its value. Configuration, the REST
/// API, the store and the JSON schema all work from the same list, so a setting is declared once.
/// </summary>
internal abstract class SettingKey
{
    protected SettingKey(int index, string configPath, string purpose)
    {
        Index = index;
        ConfigPath = configPath;
        Purpose = purpose;
        ConfigSegments = configPath.Split(':');
        WireSegments = ConfigSegments.Select(ToSnakeCase).ToArray();
        WirePath = string.Join('.', WireSegments);
    }

    /// <summary>Position in <see cref="SettingKeys.All"/>, and so in the array of resolved values.</summary>
    public int Index { get; }

    /// <summary>Path below <c>Defaults:</c> or <c>Services:{name}:</c>, such as <c>HealthCheck:Interval</c>.</summary>
    public string ConfigPath { get; }

    /// <summary>The same path split at its colons.</summary>
    public IReadOnlyList<string> ConfigSegments { get; }

    /// <summary>Path in the JSON <c>settings</c> object, such as <c>health_check.interval</c>.</summary>
    public string WirePath { get; }

    /// <summary>The same path split at its dots.</summary>
    public IReadOnlyList<string> WireSegments { get; }

    /// <summary>One sentence for the schema and the reference page.</summary>
    public string Purpose { get; }

    /// <summary>The value that applies when nobody sets the key; null means "none".</summary>
    public abstract object? DefaultValue { get; }

    /// <summary>Reads, checks and writes the values of this key.</summary>
    public abstract ISettingCodec Codec { get; }

    private static string ToSnakeCase(string pascal) =>
        string.Concat(pascal.Select((c, i) => char.IsUpper(c) && i > 0 ? "_" + char.ToLowerInvariant(c) : char.ToLowerInvariant(c).ToString()));
}

/// <summary>A <see cref="SettingKey"/> whose value has the type <typeparamref name="T"/>.</summary>
internal sealed class SettingKey<T>(int index, string configPath, T defaultValue, SettingCodec<T> codec, string purpose)
    : SettingKey(index, configPath, purpose)
{
    /// <summary>The value that applies when nobody sets the key.</summary>
    public T Default { get; } = defaultValue;

    /// <inheritdoc/>
    public override object? DefaultValue => Default;

    /// <inheritdoc/>
    public override ISettingCodec Codec { get; } = codec;
}

/// <summary>The untyped face of a codec, for code that walks over all keys.</summary>
internal interface ISettingCodec
{
    /// <summary>The rule in words, for error messages: "a whole number from 1 to 100000".</summary>
    string Rule { get; }

    /// <summary>Reads a configuration value. Returns false when the text breaks <see cref="Rule"/>.</summary>
    bool TryParseText(string text, out object? value);

    /// <summary>Reads a JSON value (never JSON null). Returns false when it breaks <see cref="Rule"/>.</summary>
    bool TryParseJson(JsonElement json, out object? value);

    /// <summary>Writes a value in its wire form.</summary>
    void WriteJson(Utf8JsonWriter writer, object? value);

    /// <summary>Writes a value as configuration files have it: durations as <c>hh:mm:ss</c>. Null is "none".</summary>
    string ToText(object? value);

    /// <summary>True when configuration may give the value as a JSON array as well as comma-separated text.</summary>
    bool IsList { get; }

    /// <summary>True when configuration gives the value as a section of names and values, which arrives as the text of a JSON object.</summary>
    bool IsMap { get; }

    /// <summary>Like <see cref="WriteJson"/>, with what may be secret left out.</summary>
    void WriteShown(Utf8JsonWriter writer, object? value);

    /// <summary>Like <see cref="ToText"/>, with what may be secret left out.</summary>
    string ToShownText(object? value);

    /// <summary>Writes the keywords of a JSON schema for the value as it stands in a configuration file (type, limits, pattern).</summary>
    void WriteSchema(Utf8JsonWriter writer);
}

using System.Globalization;
using System.Text.Json;

namespace Alicia.Proxy.Registry.Settings;

/// <summary>
/// The two spellings of a duration: <c>hh:mm:ss</c> (or <c>d.hh:mm:ss.fff</c>) in configuration, a number of seconds on the wire.
/// </summary>
internal static class Durations
{
    /// <summary>
    /// Reads a configuration duration. A bare number is refused, and so is an hour beyond 23 without days before it: .NET would read "30" as thirty days, and
    /// "24:00:00" as twenty-four.
    /// </summary>
    public static bool TryParse(string text, out TimeSpan value)
    {
        value = default;
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        return colon >= 0 && TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out value) && (value.Days == 0 || text.AsSpan(0, colon).Contains('.'));
    }

    /// <summary>Writes a duration as configuration has it.</summary>
    public static string ToText(TimeSpan value) => value.ToString("c", CultureInfo.InvariantCulture);

    /// <summary>"from 00:00:01 to 1.00:00:00 (hh:mm:ss; on the wire in seconds)".</summary>
    public static string RangeRule(TimeSpan min, TimeSpan max) =>
        $"a duration from {ToText(min)} to {ToText(max)} (hh:mm:ss in configuration, seconds in JSON)";

    /// <summary>Reads a number of seconds.</summary>
    public static bool TryParseJson(JsonElement json, out TimeSpan value)
    {
        value = default;
        // Nothing that the proxy times lasts longer than a year; the bound keeps TimeSpan from overflowing.
        if (json.ValueKind != JsonValueKind.Number || !json.TryGetDouble(out var seconds) || seconds < 0 || seconds > 366 * 86400d)
            return false;
        // Rounded, because TimeSpan.FromSeconds cuts: a value that was written would come back a tick shorter.
        value = TimeSpan.FromTicks((long)Math.Round(seconds * TimeSpan.TicksPerSecond));
        return true;
    }

    /// <summary>Writes a number of seconds, without a fraction where there is none.</summary>
    public static void WriteJson(Utf8JsonWriter writer, TimeSpan value)
    {
        if (value.Ticks % TimeSpan.TicksPerSecond == 0)
            writer.WriteNumberValue(value.Ticks / TimeSpan.TicksPerSecond);
        else
            writer.WriteNumberValue(value.TotalSeconds);
    }

    public static void WriteSchema(Utf8JsonWriter writer, bool optional)
    {
        writer.WriteString("type", "string");
        writer.WriteString("pattern", @"^(\d+\.)?\d{1,2}:\d{2}(:\d{2}(\.\d{1,7})?)?$" + (optional ? "|^(none|off)$" : ""));
    }
}

/// <summary>A duration that is always there.</summary>
internal sealed class DurationCodec(TimeSpan min, TimeSpan max) : SettingCodec<TimeSpan>
{
    public override string Rule { get; } = Durations.RangeRule(min, max);

    public override bool TryParseText(string text, out TimeSpan value) => Durations.TryParse(text, out value) && InRange(value);

    public override bool TryParseJson(JsonElement json, out TimeSpan value) => Durations.TryParseJson(json, out value) && InRange(value);

    public override void WriteJson(Utf8JsonWriter writer, TimeSpan value) => Durations.WriteJson(writer, value);

    public override string ToText(TimeSpan value) => Durations.ToText(value);

    public override void WriteSchema(Utf8JsonWriter writer) => Durations.WriteSchema(writer, optional: false);

    private bool InRange(TimeSpan value) => value >= min && value <= max;
}

/// <summary>A duration that may be switched off with "none" or "off".</summary>
internal sealed class OptionalDurationCodec(TimeSpan min, TimeSpan max) : SettingCodec<TimeSpan?>
{
    public override string Rule { get; } = Durations.RangeRule(min, max) + ", or none";

    public override bool TryParseText(string text, out TimeSpan? value)
    {
        value = null;
        if (IsNone(text))
            return true;
        if (!Durations.TryParse(text, out var duration) || duration < min || duration > max)
            return false;
        value = duration;
        return true;
    }

    public override bool TryParseJson(JsonElement json, out TimeSpan? value)
    {
        value = null;
        if (json.ValueKind == JsonValueKind.String)
            return IsNone(json.GetString()!);
        if (!Durations.TryParseJson(json, out var duration) || duration < min || duration > max)
            return false;
        value = duration;
        return true;
    }

    public override void WriteJson(Utf8JsonWriter writer, TimeSpan? value) => Durations.WriteJson(writer, value!.Value);

    public override string ToText(TimeSpan? value) => value is { } v ? Durations.ToText(v) : "none";

    public override void WriteSchema(Utf8JsonWriter writer) => Durations.WriteSchema(writer, optional: true);
}

/// <summary>Status codes and ranges of them, such as <c>200-399</c> or <c>200,204,301-308</c>.</summary>
internal sealed class StatusRangesCodec : SettingCodec<string>
{
    public override string Rule => "status codes and ranges from 100 to 599, such as 200-399 or 200,204";

    public override bool TryParseText(string text, out string value)
    {
        value = text;
        var parts = text.Split(',', StringSplitOptions.TrimEntries);
        return parts.Length <= 32 && parts.All(IsRange);
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
        writer.WriteString("pattern", @"^[1-5]\d\d(-[1-5]\d\d)?(,\s*[1-5]\d\d(-[1-5]\d\d)?)*$");
    }

    private static bool IsRange(string part)
    {
        var dash = part.IndexOf('-', StringComparison.Ordinal);
        var first = dash < 0 ? part : part[..dash];
        var last = dash < 0 ? part : part[(dash + 1)..];
        return IsStatus(first, out var from) && IsStatus(last, out var to) && from <= to;
    }

    private static bool IsStatus(string text, out int code) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out code) && code is >= 100 and <= 599;
}

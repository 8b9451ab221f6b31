using System.Globalization;
using System.Text.Json;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Configuration;

/// <summary>The keys below <c>Limits:</c>: how much callers of the data plane may bring, how slow and how many they may be.</summary>
internal static class LimitKeys
{
    /// <summary>Stands for <c>auto</c>: whoever opens the listeners knows how many files may be open.</summary>
    public static readonly long? ByOpenFiles = 0;

    private static readonly List<ConfigurationKey> Declared = [];

    public static readonly ConfigurationKey<int> TargetBytes = Add("TargetBytes", 32 * 1024, new IntegerCodec(256, 64 * 1024), "Length of a request's target; beyond it 414.");

    public static readonly ConfigurationKey<int> FieldBytes = Add("FieldBytes", 64 * 1024, new IntegerCodec(1024, 256 * 1024), "Fields of a request together; beyond it 431.");

    public static readonly ConfigurationKey<int> FieldCount = Add("FieldCount", 500, new IntegerCodec(10, 2000), "Number of a request's fields; beyond it 431.");

    public static readonly ConfigurationKey<long?> BodyBytes = Add("BodyBytes", (long?)null, new OptionalCountCodec(1L << 50), "Length of a request's body; beyond it 413.");

    public static readonly ConfigurationKey<TimeSpan> HeadTimeout = Add("HeadTimeout", TimeSpan.FromSeconds(10), Duration(TimeSpan.FromHours(1)),
        "How long the head of a request may take to come, and the first byte after the opening of a connection; beyond it 408.");

    public static readonly ConfigurationKey<TimeSpan> IdleTimeout = Add("IdleTimeout", TimeSpan.FromSeconds(130), Duration(TimeSpan.FromDays(1)),
        "How long a caller's connection may be idle between requests.");

    public static readonly ConfigurationKey<long?> RequestBodyRate = Add("RequestBodyRate", (long?)null, new OptionalCountCodec(1L << 30),
        "Bytes a second that a request's body must come with, after five seconds; slower ones get 408.");

    public static readonly ConfigurationKey<long?> ResponseBodyRate = Add("ResponseBodyRate", (long?)null, new OptionalCountCodec(1L << 30),
        "Bytes a second that a caller must take its answer with, after five seconds; connections of slower ones are closed.");

    public static readonly ConfigurationKey<long?> Connections = Add("Connections", ByOpenFiles, new OptionalCountCodec(1_000_000, "auto"),
        "Callers' connections in all; further ones are closed. 'auto': as many as there are file descriptors for, on either side.");

    public static readonly ConfigurationKey<long?> ConnectionsPerAddress = Add("ConnectionsPerAddress", (long?)null, new OptionalCountCodec(1_000_000),
        "Connections of one address (of IPv6, of one /64 network); further ones are closed.");

    public static readonly ConfigurationKey<int> Http2Streams = Add("Http2Streams", 256, new IntegerCodec(1, 10_000), "Requests of one HTTP/2 connection at once.");

    public static IReadOnlyList<ConfigurationKey> All => Declared;

    private static DurationCodec Duration(TimeSpan max) => new(TimeSpan.FromMilliseconds(100), max);

    private static ConfigurationKey<T> Add<T>(string name, T defaultValue, SettingCodec<T> codec, string purpose)
    {
        var key = new ConfigurationKey<T>("Limits:" + name, defaultValue, codec, purpose);
        Declared.Add(key);
        return key;
    }
}

/// <summary>How much or how many of something at most, or <c>none</c> for any. Blank text is none.</summary>
/// <param name="max">The largest number that can be meant.</param>
/// <param name="zero">A word that stands for 0, which nobody can mean otherwise; null when there is none.</param>
internal sealed class OptionalCountCodec(long max, string? zero = null) : ConfigurationCodec<long?>
{
    public override string Rule { get; } = string.Create(CultureInfo.InvariantCulture, $"a whole number from 1 to {max}, {(zero is null ? "" : $"{zero} ")}or none");

    public override bool TryParseText(string text, out long? value)
    {
        value = null;
        if (text.Length == 0 || IsNone(text))
            return true;
        if (text.Equals(zero, StringComparison.OrdinalIgnoreCase))
        {
            value = 0;
            return true;
        }

        if (!long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number < 1 || number > max)
            return false;
        value = number;
        return true;
    }

    public override string ToText(long? value) => value == 0 && zero is not null ? zero : value?.ToString(CultureInfo.InvariantCulture) ?? "none";

    public override void WriteSchema(Utf8JsonWriter writer)
    {
        writer.WriteStartArray("anyOf");
        writer.WriteStartObject();
        writer.WriteString("type", "integer");
        writer.WriteNumber("minimum", 1);
        writer.WriteNumber("maximum", max);
        writer.WriteEndObject();
        writer.WriteStartObject();
        writer.WriteString("type", "string");
        writer.WriteString("pattern", $"^([1-9][0-9]*|none|off{(zero is null ? "" : $"|{zero}")})$");
        writer.WriteEndObject();
        writer.WriteEndArray();
    }
}

using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Configuration;

/// <summary>
/// One configuration key: where it stands, what it means, its default, and the codec that reads it. A segment in braces stands for a name
/// that the user picks (<c>{service}</c>) or a position in a list (<c>{index}</c>).
/// </summary>
internal class ConfigurationKey(string path, object? defaultValue, ISettingCodec codec, string purpose)
{
    /// <summary>Such as <c>Services:{service}:Instances:{index}:Host</c>.</summary>
    public string Path { get; } = path;

    /// <summary>The value that applies when nobody sets the key; null means none.</summary>
    public object? DefaultValue { get; } = defaultValue;

    public ISettingCodec Codec { get; } = codec;

    /// <summary>One or two sentences for the schema.</summary>
    public string Purpose { get; } = purpose;

    /// <summary>False when leaving the key out is no value of its own.</summary>
    public bool HasDefault { get; init; } = defaultValue is not null;

    /// <summary>True when a running proxy cannot take a new value.</summary>
    public bool NeedsRestart { get; init; }

    /// <summary>True when no message may show the value.</summary>
    public bool Secret { get; init; }

    /// <summary>Reads a value. Returns false when it breaks the codec's rule.</summary>
    public virtual bool TryParse(string text, out object? value) => Codec.TryParseText(text, out value);

    /// <summary>The path with the names filled in.</summary>
    public string At(params ReadOnlySpan<string> names)
    {
        if (names.IsEmpty)
            return Path;
        var segments = Path.Split(':');
        var next = 0;
        for (var i = 0; i < segments.Length; i++)
        {
            if (segments[i][0] == '{')
                segments[i] = names[next++];
        }

        return string.Join(':', segments);
    }
}

/// <summary>A <see cref="ConfigurationKey"/> whose value has the type <typeparamref name="T"/>.</summary>
internal sealed class ConfigurationKey<T>(string path, T defaultValue, SettingCodec<T> codec, string purpose)
    : ConfigurationKey(path, defaultValue, codec, purpose)
{
    public T Default { get; } = defaultValue;

    /// <summary>Passwords may begin or end with a space.</summary>
    public override bool TryParse(string text, out object? value)
    {
        var parsed = codec.TryParseText(Secret ? text : text.Trim(), out var typed);
        value = typed;
        return parsed;
    }
}

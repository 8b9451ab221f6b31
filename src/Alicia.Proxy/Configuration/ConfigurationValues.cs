using System.Globalization;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.Configuration;

/// <summary>
/// Every value that a configuration gives, read by the codec of its key, and every fault that showed on the way: unknown keys, values
/// that break their rule, values where a section belongs. Rules between keys are not looked at here.
/// </summary>
internal sealed class ConfigurationValues
{
    private const int ShownLength = 100;

    private readonly IConfiguration _configuration;
    private readonly Dictionary<string, object?> _values = new(StringComparer.OrdinalIgnoreCase);
    private readonly HashSet<string> _given = new(StringComparer.OrdinalIgnoreCase);
    private readonly Dictionary<string, List<string>> _names = new(StringComparer.OrdinalIgnoreCase);
    private readonly List<ConfigurationFault> _faults = [];
    private readonly List<(string Path, ConfigurationKey Key, string Text)> _texts = [];

    private ConfigurationValues(IConfiguration configuration) => _configuration = configuration;

    public IReadOnlyList<ConfigurationFault> Faults => _faults;

    /// <summary>Every value that was read, as text in its canonical spelling.</summary>
    public IReadOnlyList<(string Path, ConfigurationKey Key, string Text)> Texts => _texts;

    public static ConfigurationValues Of(IConfiguration configuration)
    {
        var values = new ConfigurationValues(configuration);
        foreach (var section in configuration.GetChildren())
        {
            if (ConfigurationNode.Root.TryGet(section.Key, out var node))
                values.Walk(section, node, node.Name);
            else if (section.Key != "$schema")
                values.Unknown(section.Key, section.Key, ConfigurationNode.Root);
        }

        return values;
    }

    /// <summary>The value at a key, or its default when there is none or it is at fault.</summary>
    public T Get<T>(ConfigurationKey<T> key, params ReadOnlySpan<string> names) => TryGet(key, out var value, names) ? value : key.Default;

    /// <summary>False when the key is not given or at fault.</summary>
    public bool TryGet<T>(ConfigurationKey<T> key, out T value, params ReadOnlySpan<string> names)
    {
        var found = _values.TryGetValue(key.At(names), out var boxed);
        value = found ? (T)boxed! : key.Default;
        return found;
    }

    /// <summary>True when the key or section is given, be it at fault.</summary>
    public bool IsGiven(string path) => _given.Contains(path);

    /// <summary>The names that the user picked below a section, those that break their rule left out.</summary>
    public IReadOnlyList<string> Names(string path) => _names.TryGetValue(path, out var names) ? names : [];

    /// <summary>The per-service settings that are given below a section.</summary>
    public SettingOverrides Overrides(string path, IEnumerable<SettingKey> keys)
    {
        var overrides = SettingOverrides.Empty;
        foreach (var key in keys)
        {
            if (_values.TryGetValue($"{path}:{key.ConfigPath}", out var value))
                overrides = overrides.With(key, value);
        }

        return overrides;
    }

    private void Walk(IConfigurationSection section, ConfigurationNode node, string path)
    {
        if (node.OpenPurpose is not null)
            return;
        if (node.Key is { } key)
        {
            ReadValue(section, key, path);
            return;
        }

        _given.Add(path);
        if (!string.IsNullOrWhiteSpace(section.Value))
            _faults.Add(new ConfigurationFault(path, node.IsList ? "is a list of sections, not a single value" : "is a section, not a single value"));
        foreach (var child in section.GetChildren())
        {
            if (node.TryGet(child.Key, out var known))
                Walk(child, known, $"{path}:{known.Name}");
            else if (node.Any is { } any)
                WalkName(child, any, path);
            else
                Unknown($"{path}:{child.Key}", child.Key, node);
        }
    }

    private void WalkName(IConfigurationSection section, ConfigurationNode node, string parent)
    {
        var path = $"{parent}:{section.Key}";
        // $ also matches in front of a last line feed, so the length counts too.
        if (ConfigurationKeys.NameRule(node.Name) is { } rule
            && (section.Key.Length == 0 || rule.Pattern.Match(section.Key).Length != section.Key.Length))
        {
            _faults.Add(new ConfigurationFault(path, $"{Shown(section.Key)} must be {rule.Rule}"));
            return;
        }

        if (!_names.TryGetValue(parent, out var names))
            _names.Add(parent, names = []);
        names.Add(section.Key);
        Walk(section, node, path);
    }

    private void ReadValue(IConfigurationSection section, ConfigurationKey key, string path)
    {
        var children = section.GetChildren().ToList();
        string? text;
        if (key.Codec.IsList && children.Count > 0 && !TextIsLater(section.Path))
        {
            var odd = children.FirstOrDefault(child =>
                child.Value is null || !int.TryParse(child.Key, NumberStyles.None, CultureInfo.InvariantCulture, out _));
            if (odd is not null)
                _faults.Add(new ConfigurationFault($"{path}:{odd.Key}", $"{path} takes a list of values, not a section"));
            text = string.Join(',', children.Where(child => child.Value is not null).Select(child => child.Value));
        }
        else if (key.Codec.IsMap && children.Count > 0 && !TextIsLater(section.Path))
        {
            // A later source has its names beside those of an earlier one, as everywhere in .NET.
            text = new System.Text.Json.Nodes.JsonObject(children.Select(c => KeyValuePair.Create(c.Key, (System.Text.Json.Nodes.JsonNode?)c.Value))).ToJsonString();
        }
        else
        {
            text = section.Value;
            if (!key.Codec.IsList && !key.Codec.IsMap && children.Count > 0)
                _faults.Add(new ConfigurationFault($"{path}:{children[0].Key}", $"{path} takes a single value, not a section or a list"));
        }

        if (text is null)
            return;
        _given.Add(path);
        // The codecs that the REST API shares know commas only.
        if (key.TryParse(key.Codec.IsList ? text.Replace(';', ',') : text, out var value))
        {
            _values[path] = value;
            _texts.Add((path, key, key.Codec.ToText(value)));
        }
        else
        {
            _faults.Add(new ConfigurationFault(path,
                $"must be {key.Codec.Rule}; given: {(key.Secret ? "(not shown)" : Shown(text))}{Hint(key, text)}"));
        }
    }

    /// <summary>
    /// An environment variable holds a list as text, a file as an array; whichever comes later wins, instead of the one that .NET finds first.
    /// </summary>
    private bool TextIsLater(string path)
    {
        if (_configuration is not IConfigurationRoot root)
            return false;
        foreach (var provider in root.Providers.Reverse())
        {
            if (provider.TryGet(path, out var text) && text is not null)
                return true;
            if (provider.GetChildKeys([], path).Any())
                return false;
        }

        return false;
    }

    private void Unknown(string path, string name, ConfigurationNode parent)
    {
        var nearest = parent.Children.Select(child => (child.Name, Distance: EditDistance.Between(child.Name, name)))
            .Where(candidate => candidate.Distance <= 2)
            .OrderBy(candidate => candidate.Distance)
            .Select(candidate => candidate.Name)
            .FirstOrDefault();
        _faults.Add(new ConfigurationFault(path, nearest is null ? "is not a known key" : $"is not a known key; did you mean {nearest}?"));
    }

    /// <summary>A bare number is read as days elsewhere and as seconds by people, so it is neither here.</summary>
    private static string Hint(ConfigurationKey key, string text) =>
        key.Codec is DurationCodec or OptionalDurationCodec && double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var seconds)
            && seconds is >= 0 and < 86400
            ? $"; {text.Trim()} seconds are written {Durations.ToText(TimeSpan.FromSeconds(seconds))}"
            : "";

    /// <summary>A URL may hold a password that nobody expected there.</summary>
    private static string Shown(string text) =>
        text.Contains('@') ? "(not shown)" : text.Length <= ShownLength ? $"'{text}'" : $"'{text.AsSpan(0, ShownLength)}…'";
}

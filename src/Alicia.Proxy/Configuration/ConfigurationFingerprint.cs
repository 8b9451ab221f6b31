using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;

namespace Alicia.Proxy.Configuration;

/// <summary>
/// What each key came to, in its canonical spelling (secrets as a hash), to tell after a reload which keys changed and which of them
/// wait for a restart. Keys with a built-in default are there even when nobody set them: writing a default out is no change.
/// </summary>
internal sealed class ConfigurationFingerprint
{
    private readonly ImmutableSortedDictionary<string, (string Text, bool NeedsRestart)> _entries;

    private ConfigurationFingerprint(ImmutableSortedDictionary<string, (string Text, bool NeedsRestart)> entries) => _entries = entries;

    public static ConfigurationFingerprint Of(ConfigurationValues values)
    {
        var entries = ImmutableSortedDictionary.CreateBuilder<string, (string Text, bool NeedsRestart)>(StringComparer.OrdinalIgnoreCase);
        foreach (var key in ConfigurationKeys.All)
        {
            if (key.DefaultValue is { } value && !key.Path.Contains('{'))
                entries[key.Path] = (key.Codec.ToText(value), key.NeedsRestart);
        }

        foreach (var (path, key, text) in values.Texts)
        {
            if (key.Secret)
                entries[path] = (Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(text))), key.NeedsRestart);
            else
                entries[path] = (text, key.NeedsRestart);
        }

        // A service or a route list counts even when nothing is below it.
        foreach (var name in values.Names("Services"))
        {
            entries["Services:" + name] = ("", false);
            if (values.IsGiven($"Services:{name}:Routes"))
                entries[$"Services:{name}:Routes"] = ("", false);
        }

        return new ConfigurationFingerprint(entries.ToImmutable());
    }

    /// <summary>Keys whose value differs, in order: those that a running proxy takes, and those that wait for a restart.</summary>
    public (ImmutableArray<string> Live, ImmutableArray<string> NeedRestart) ChangesTo(ConfigurationFingerprint next)
    {
        var changed = _entries.Keys.Union(next._entries.Keys, StringComparer.OrdinalIgnoreCase)
            .Where(path => !_entries.TryGetValue(path, out var a) || !next._entries.TryGetValue(path, out var b) || a.Text != b.Text)
            .Order(StringComparer.OrdinalIgnoreCase)
            .ToList();
        return ([.. changed.Where(path => !NeedsRestart(path, next))], [.. changed.Where(path => NeedsRestart(path, next))]);
    }

    /// <summary>The entries of <paramref name="next"/>, but this one's where a change waits for a restart.</summary>
    public ConfigurationFingerprint With(ConfigurationFingerprint next)
    {
        var entries = next._entries.RemoveRange(next._entries.Where(entry => entry.Value.NeedsRestart).Select(entry => entry.Key));
        return new ConfigurationFingerprint(entries.SetItems(_entries.Where(entry => entry.Value.NeedsRestart)));
    }

    private bool NeedsRestart(string path, ConfigurationFingerprint next) =>
        (_entries.TryGetValue(path, out var mine) || next._entries.TryGetValue(path, out mine)) && mine.NeedsRestart;
}

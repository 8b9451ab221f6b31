using System.Collections.Immutable;
using System.Runtime.CompilerServices;

namespace Alicia.Proxy.Registry.Settings;

/// <summary>
/// The settings that somebody gave, and only those: the overrides of one source (the REST API, a configuration section, a registration).
/// A key that is absent falls back to the next layer.
/// </summary>
internal sealed class SettingOverrides : IEquatable<SettingOverrides>
{
    public static readonly SettingOverrides Empty = new(ImmutableSortedDictionary<int, object?>.Empty);

    private readonly ImmutableSortedDictionary<int, object?> _values;

    private SettingOverrides(ImmutableSortedDictionary<int, object?> values) => _values = values;

    public bool IsEmpty => _values.IsEmpty;

    /// <summary>The keys that are set, in declaration order.</summary>
    public IEnumerable<SettingKey> Keys => _values.Keys.Select(index => SettingKeys.All[index]);

    public bool Contains(SettingKey key) => _values.ContainsKey(key.Index);

    public bool TryGet(SettingKey key, out object? value) => _values.TryGetValue(key.Index, out value);

    /// <summary>Sets a key to a value that its codec has parsed; null is the explicit "none" of an optional key.</summary>
    public SettingOverrides With(SettingKey key, object? value) => new(_values.SetItem(key.Index, value));

    /// <summary>Takes a key away, so that the next layer's value applies again.</summary>
    public SettingOverrides Without(SettingKey key) => new(_values.Remove(key.Index));

    /// <summary>Equal when the same keys have the same values, so that a repeated registration is seen to change nothing.</summary>
    public bool Equals(SettingOverrides? other) => other is not null && _values.Count == other._values.Count && Keys.All(key =>
        TryGet(key, out var mine) && other.TryGet(key, out var theirs) && key.Codec.ToText(mine) == key.Codec.ToText(theirs));

    public override bool Equals(object? obj) => Equals(obj as SettingOverrides);

    public override int GetHashCode() => _values.Keys.Aggregate(17, HashCode.Combine);
}

/// <summary>
/// Every setting of one service, resolved: built-in default, then <c>Defaults:</c>, then the REST API, then <c>Services:{name}:</c>. Immutable.
/// </summary>
internal sealed class ServiceSettings
{
    /// <summary>The built-in defaults alone.</summary>
    public static readonly ServiceSettings BuiltIn = Resolve();

    /// <summary>By the defaults that they were resolved from: what services have that ask for nothing of their own.</summary>
    private static readonly ConditionalWeakTable<SettingOverrides, ServiceSettings> _common = [];

    private readonly object?[] _values;
    private readonly bool[] _failureStatuses = new bool[600];
    private readonly bool[] _retryStatuses = new bool[600];

    private ServiceSettings(object?[] values)
    {
        _values = values;
        foreach (var status in Get(SettingKeys.CircuitFailureStatuses))
            _failureStatuses[status] = true;
        foreach (var status in Get(SettingKeys.RetryStatuses))
            _retryStatuses[status] = true;
        RequestFields = FieldRules.Of(Get(SettingKeys.RequestFieldsSet), Get(SettingKeys.RequestFieldsAdd), Get(SettingKeys.RequestFieldsRemove));
        ResponseFields = FieldRules.Of(Get(SettingKeys.ResponseFieldsSet), Get(SettingKeys.ResponseFieldsAdd), Get(SettingKeys.ResponseFieldsRemove));
    }

    /// <summary>
    /// Lays the layers over the built-in defaults; a later layer wins. A probe timeout or fast interval that an earlier layer gave is
    /// cut to a shorter interval of a later one; in the same or a later layer it is a fault instead (<see cref="CrossFaults"/>).
    /// </summary>
    public static ServiceSettings Resolve(params ReadOnlySpan<SettingOverrides> layers)
    {
        // A thousand services that all have the defaults share one object, which is then at hand whichever is asked.
        if (layers.Length < 2)
            return Lay(layers);
        foreach (var layer in layers[1..])
        {
            if (!layer.IsEmpty)
                return Lay(layers);
        }

        return _common.GetValue(layers[0], static defaults => Lay([defaults]));
    }

    private static ServiceSettings Lay(ReadOnlySpan<SettingOverrides> layers)
    {
        var values = new object?[SettingKeys.All.Count];
        foreach (var key in SettingKeys.All)
            (values[key.Index], _) = ResolveOne(key, layers);

        foreach (var key in (ReadOnlySpan<SettingKey>)[SettingKeys.HealthCheckTimeout, SettingKeys.HealthCheckFast])
        {
            var (interval, intervalLayer) = ResolveOne(SettingKeys.HealthCheckInterval, layers);
            var (value, layer) = ResolveOne(key, layers);
            if (layer < intervalLayer && (TimeSpan)value! > (TimeSpan)interval!)
                values[key.Index] = interval;
        }

        return new ServiceSettings(values);
    }

    private static (object? Value, int Layer) ResolveOne(SettingKey key, ReadOnlySpan<SettingOverrides> layers)
    {
        for (var layer = layers.Length - 1; layer >= 0; layer--)
        {
            if (layers[layer].TryGet(key, out var value))
                return (value, layer);
        }

        return (key.DefaultValue, -1);
    }

    /// <summary>What changes about the fields of requests; null when nothing does.</summary>
    public FieldRules? RequestFields { get; }

    /// <summary>What changes about the fields of answers; null when nothing does.</summary>
    public FieldRules? ResponseFields { get; }

    public T Get<T>(SettingKey<T> key) => (T)_values[key.Index]!;

    /// <summary>True when a request that an instance answers with this status may be tried on another.</summary>
    public bool RetryStatus(int status) => (uint)status < (uint)_retryStatuses.Length && _retryStatuses[status];

    /// <summary>True when an instance that answers with this status counts as failed.</summary>
    public bool FailureStatus(int status) => (uint)status < (uint)_failureStatuses.Length && _failureStatuses[status];

    public object? Get(SettingKey key) => _values[key.Index];

    /// <summary>
    /// Rules that span several keys. Yields the key at fault and the broken rule, in words that name both sides.
    /// </summary>
    public IEnumerable<(SettingKey Key, string Fault)> CrossFaults()
    {
        var interval = Get(SettingKeys.HealthCheckInterval);
        if (Get(SettingKeys.HealthCheckTimeout) > interval)
            yield return (SettingKeys.HealthCheckTimeout, $"must be at most the interval ({Durations.ToText(interval)})");
        if (Get(SettingKeys.HealthCheckFast) > interval)
            yield return (SettingKeys.HealthCheckFast, $"must be at most the interval ({Durations.ToText(interval)})");
        if (Get(SettingKeys.HashBy) is "field" or "cookie" && Get(SettingKeys.HashName) is null)
            yield return (SettingKeys.HashName, $"must name the {Get(SettingKeys.HashBy)} that Hash:By asks for");
        if (Get(SettingKeys.AffinitySameSite) == "none" && Get(SettingKeys.AffinitySecure) != "always")
            yield return (SettingKeys.AffinitySecure, "must be always where Affinity:SameSite is none: browsers drop such a cookie otherwise");
        if (Get(SettingKeys.RateLimitBy) == "field" && Get(SettingKeys.RateLimitField) is null)
            yield return (SettingKeys.RateLimitBy, $"'field' needs {SettingKeys.RateLimitField.WirePath} (RateLimit:Field) as well");
    }
}

namespace Alicia.Proxy.Registry.Validation;

/// <summary>Collects every broken rule of one input by field, so that a caller mends all of them in one go.</summary>
internal sealed class FaultList
{
    private readonly SortedDictionary<string, List<string>> _faults = new(StringComparer.Ordinal);

    public bool Any => _faults.Count > 0;

    /// <summary>Notes that <paramref name="field"/> breaks a rule.</summary>
    public void Add(string field, string message)
    {
        if (!_faults.TryGetValue(field, out var messages))
            _faults[field] = messages = [];
        messages.Add(message);
    }

    /// <summary>Notes a broken rule unless the field has a fault already: a field of the wrong type is not missing as well.</summary>
    public void AddIfNone(string field, string message)
    {
        if (!_faults.ContainsKey(field))
            Add(field, message);
    }

    /// <summary>Field to messages, as problem documents have it.</summary>
    public IReadOnlyDictionary<string, string[]> ToErrors() => _faults.ToDictionary(f => f.Key, f => f.Value.ToArray(), StringComparer.Ordinal);

    /// <summary>Every fault as a pair, in field order.</summary>
    public IEnumerable<(string Field, string Message)> All => _faults.SelectMany(f => f.Value.Select(m => (f.Key, m)));
}

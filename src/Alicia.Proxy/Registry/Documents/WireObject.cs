using System.Globalization;
using System.Text.Json;
using Alicia.Proxy.Registry.Changes;
using Alicia.Proxy.Registry.Validation;

namespace Alicia.Proxy.Registry.Documents;

/// <summary>
/// Reads one JSON object field by field, noting every field of the wrong type and, at the end, every field that nobody asked for. JSON null counts as left
/// out, except where a merge patch gives it a meaning.
/// </summary>
internal sealed class WireObject
{
    private readonly JsonElement _json;
    private readonly string _path;
    private readonly FaultList _faults;
    private readonly HashSet<string> _known = new(StringComparer.Ordinal);

    /// <param name="json">A JSON object.</param>
    /// <param name="path">Path in front of field names in faults, such as <c>health_check.</c>, or empty.</param>
    /// <param name="faults">Where faults go.</param>
    public WireObject(JsonElement json, string path, FaultList faults) => (_json, _path, _faults) = (json, path, faults);

    public FaultList Faults => _faults;

    public string? Text(string field) => Read(field, JsonValueKind.String, "must be text") is { } value ? TextOf(field, value) : null;

    public int? Integer(string field)
    {
        if (Read(field, JsonValueKind.Number, "must be a whole number") is not { } value)
            return null;
        if (value.TryGetInt32(out var number))
            return number;
        _faults.Add(_path + field, "must be a whole number");
        return null;
    }

    public bool? Flag(string field)
    {
        if (!TryTake(field, out var value) || value.ValueKind == JsonValueKind.Null)
            return null;
        if (value.ValueKind is JsonValueKind.True or JsonValueKind.False)
            return value.GetBoolean();
        _faults.Add(_path + field, "must be true or false");
        return null;
    }

    /// <summary>All pairs of an object of whole numbers.</summary>
    public IReadOnlyDictionary<string, int>? Integers(string field)
    {
        if (Object(field) is not { } numbers)
            return null;
        var result = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var pair in numbers._json.EnumerateObject())
        {
            if (numbers.Integer(pair.Name) is { } number)
                result[pair.Name] = number;
            else
                _faults.AddIfNone(numbers._path + pair.Name, "must be a whole number");
        }

        return result;
    }

    /// <summary>A nested object; its faults carry its name.</summary>
    public WireObject? Object(string field) =>
        Read(field, JsonValueKind.Object, "must be an object") is { } value ? new WireObject(value, $"{_path}{field}.", _faults) : null;

    /// <summary>The raw value of a field, JSON null included. False when it was left out.</summary>
    public bool TryTake(string field, out JsonElement value)
    {
        _known.Add(field);
        return _json.TryGetProperty(field, out value);
    }

    /// <summary>A list of objects, each with its index in its path.</summary>
    public IReadOnlyList<WireObject>? Objects(string field)
    {
        if (Read(field, JsonValueKind.Array, "must be a list") is not { } list)
            return null;
        var objects = new List<WireObject>();
        foreach (var item in list.EnumerateArray())
        {
            var path = string.Create(CultureInfo.InvariantCulture, $"{_path}{field}[{objects.Count}]");
            if (item.ValueKind == JsonValueKind.Object)
            {
                objects.Add(new WireObject(item, path + ".", _faults));
                continue;
            }

            _faults.Add(path, "must be an object");
            objects.Add(new WireObject(EmptyObject, path + ".", _faults));
        }

        return objects;
    }

    /// <summary>A list of texts.</summary>
    public IReadOnlyList<string>? Texts(string field)
    {
        if (Read(field, JsonValueKind.Array, "must be a list of texts") is not { } list)
            return null;
        var texts = new List<string>();
        foreach (var item in list.EnumerateArray())
        {
            if (item.ValueKind == JsonValueKind.String && TextOf(field, item) is { } text)
                texts.Add(text);
            else if (item.ValueKind != JsonValueKind.String)
                _faults.Add(_path + field, "must be a list of texts");
        }

        return texts;
    }

    /// <summary>All pairs of an object of texts. A null value is a fault unless <paramref name="nullRemoves"/>.</summary>
    public IReadOnlyDictionary<string, string?>? Pairs(string field, bool nullRemoves)
    {
        if (Read(field, JsonValueKind.Object, "must be an object of texts") is not { } pairs)
            return null;
        var result = new Dictionary<string, string?>(StringComparer.Ordinal);
        foreach (var pair in pairs.EnumerateObject())
        {
            if (pair.Value.ValueKind == JsonValueKind.String)
                result[pair.Name] = TextOf($"{field}.{pair.Name}", pair.Value);
            else if (pair.Value.ValueKind == JsonValueKind.Null && nullRemoves)
                result[pair.Name] = null;
            else
                _faults.Add($"{_path}{field}.{pair.Name}", "must be text");
        }

        return result;
    }

    /// <summary>A member of a merge patch: left out, null, or a value.</summary>
    public Patch<T> Patch<T>(string field, Func<string, T> read) =>
        TryTake(field, out var value) ? new Patch<T>(true, value.ValueKind == JsonValueKind.Null ? default : read(field)) : default;

    /// <summary>Notes every field that was not asked for. Call it last.</summary>
    public void RejectUnknown()
    {
        foreach (var property in _json.EnumerateObject())
        {
            if (!_known.Contains(property.Name))
                _faults.Add(_path + property.Name, "is not a known field");
        }
    }

    private static readonly JsonElement EmptyObject = JsonDocument.Parse("{}").RootElement;

    private JsonElement? Read(string field, JsonValueKind kind, string fault)
    {
        if (!TryTake(field, out var value) || value.ValueKind == JsonValueKind.Null)
            return null;
        if (value.ValueKind == kind)
            return value;
        _faults.Add(_path + field, fault);
        return null;
    }

    private string? TextOf(string field, JsonElement value)
    {
        try
        {
            return value.GetString();
        }
        catch (InvalidOperationException)
        {
            // Half a surrogate pair ("\ud800") is JSON but no text.
            _faults.Add(_path + field, "must be valid Unicode text");
            return null;
        }
    }
}

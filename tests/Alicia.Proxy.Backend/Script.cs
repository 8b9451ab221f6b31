using System.Globalization;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Primitives;

namespace Alicia.Proxy.Backend;

/// <summary>A request asks for a behaviour that does not exist that way; answered 400 with the message.</summary>
internal sealed class ScriptException(string message) : Exception(message);

/// <summary>
/// What a request wants done: the first path segment names the behaviour, the rest of the path and the query are its parameters. A header
/// <c>X-Script: /delay?ms=50</c> takes the place of both, for tests in which the target itself matters.
/// </summary>
internal sealed class Script
{
    /// <summary>Parameters that count or measure are bounded, so that a slip in a test cannot fill the machine.</summary>
    private const long Ceiling = 1L << 40;

    private readonly Dictionary<string, StringValues> _parameters;

    private Script(string path, Dictionary<string, StringValues> parameters)
    {
        var segments = path.Split('/', 3);
        Behaviour = segments.Length > 1 ? segments[1] : "";
        Rest = segments.Length > 2 ? segments[2] : "";
        _parameters = parameters;
    }

    /// <summary>First path segment, decoded; may be empty.</summary>
    public string Behaviour { get; }

    /// <summary>Path after the first segment, without the slash between.</summary>
    public string Rest { get; }

    public static Script Of(HttpRequest request)
    {
        if (request.Headers["X-Script"] is not [{ } header, ..])
            return new Script(request.Path.Value ?? "", QueryHelpers.ParseQuery(request.QueryString.Value));
        var mark = header.IndexOf('?', StringComparison.Ordinal);
        return mark < 0
            ? new Script(header, [])
            : new Script(header[..mark], QueryHelpers.ParseQuery(header[mark..]));
    }

    public bool Has(string name) => _parameters.ContainsKey(name);

    /// <exception cref="ScriptException">Not a whole number from 0 to 2^40.</exception>
    public long Number(string name, long fallback)
    {
        if (!_parameters.TryGetValue(name, out var text))
            return fallback;
        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= Ceiling
            ? number
            : throw new ScriptException($"'{name}' is a whole number from 0 to {Ceiling}");
    }

    /// <summary>Repeatable parameters of the form <c>name=Field:value</c>.</summary>
    /// <exception cref="ScriptException">One has no colon.</exception>
    public IEnumerable<(string Field, string Value)> Fields(string name)
    {
        if (!_parameters.TryGetValue(name, out var texts))
            yield break;
        foreach (var text in texts)
        {
            var colon = text!.IndexOf(':', StringComparison.Ordinal);
            if (colon < 1)
                throw new ScriptException($"'{name}' is Field:value");
            yield return (text[..colon], text[(colon + 1)..].Trim());
        }
    }

    /// <exception cref="ScriptException">Not a status that can end a request.</exception>
    public static int Status(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var status) && status is >= 200 and <= 599
            ? status
            : throw new ScriptException("a status is 200 to 599");
}

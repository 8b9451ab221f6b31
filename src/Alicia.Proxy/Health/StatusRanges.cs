using System.Globalization;

namespace Alicia.Proxy.Health;

/// <summary>The statuses that mean alive, from a text that the settings have checked, such as <c>200-399</c> or <c>200,204,301-308</c>. Equal by text.</summary>
internal sealed class StatusRanges : IEquatable<StatusRanges>
{
    private readonly string _text;
    private readonly (int First, int Last)[] _ranges;

    public StatusRanges(string text)
    {
        _text = text;
        _ranges = [.. text.Split(',', StringSplitOptions.TrimEntries).Select(part =>
        {
            var dash = part.IndexOf('-', StringComparison.Ordinal);
            return dash < 0 ? (Status(part), Status(part)) : (Status(part[..dash]), Status(part[(dash + 1)..]));
        })];
    }

    public bool Contains(int status)
    {
        foreach (var (first, last) in _ranges)
        {
            if (status >= first && status <= last)
                return true;
        }

        return false;
    }

    public bool Equals(StatusRanges? other) => other is not null && _text == other._text;

    public override bool Equals(object? obj) => Equals(obj as StatusRanges);

    public override int GetHashCode() => _text.GetHashCode(StringComparison.Ordinal);

    public override string ToString() => _text;

    private static int Status(string text) => int.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture);
}

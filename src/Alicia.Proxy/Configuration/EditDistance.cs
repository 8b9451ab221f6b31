namespace Alicia.Proxy.Configuration;

/// <summary>How far apart two names are, to guess what a misspelt key was meant to be.</summary>
internal static class EditDistance
{
    /// <summary>Least number of letters to add, take away or change; upper and lower case are alike.</summary>
    public static int Between(string a, string b)
    {
        var previous = Enumerable.Range(0, b.Length + 1).ToArray();
        foreach (var letter in a)
        {
            var current = new int[b.Length + 1];
            current[0] = previous[0] + 1;
            for (var i = 1; i <= b.Length; i++)
            {
                var change = char.ToUpperInvariant(letter) == char.ToUpperInvariant(b[i - 1]) ? 0 : 1;
                current[i] = Math.Min(Math.Min(current[i - 1], previous[i]) + 1, previous[i - 1] + change);
            }

            previous = current;
        }

        return previous[b.Length];
    }
}

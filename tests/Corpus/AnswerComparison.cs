using System.Text;

namespace Alicia.Proxy.Corpus;

/// <summary>Holds the proxy's parser against the reference, one generated answer after the other.</summary>
internal sealed class AnswerComparison(int seed)
{
    private readonly AnswerGenerator _answers = new(seed);
    private readonly Random _random = new(seed + 1);

    /// <summary>Compares the next one.</summary>
    /// <returns>What it is.</returns>
    /// <exception cref="InvalidOperationException">They read it differently; the message has the answer.</exception>
    public AnswerVerdict Next()
    {
        var isHead = _random.Next(10) == 0;
        var bytes = _answers.Next(isHead, oddity: _random.Next(3) == 0 ? 0 : _random.Next(12));
        var most = _random.Next(4) switch { 0 => 1, 1 => 7, 2 => 100, _ => int.MaxValue };
        var reference = ReferenceAnswer.Read(bytes, isHead);
        var parsed = ParsedAnswer.Read(bytes, isHead, () => most == int.MaxValue ? most : _random.Next(1, most + 1));
        if (Difference(reference, parsed) is { } difference)
            throw new InvalidOperationException($"{difference}, of{(isHead ? " HEAD" : "")}: {Convert.ToHexString(bytes)} = {Encoding.Latin1.GetString(bytes)}");
        return reference.Verdict;
    }

    /// <summary>Says in what two readings differ; null when they do not.</summary>
    public static string? Difference(ReferenceAnswer reference, ReferenceAnswer parsed)
    {
        if (reference.Verdict != parsed.Verdict)
            return $"{reference.Verdict} by the reference, {parsed.Verdict} by the parser";
        // Of what is malformed nothing is used.
        if (reference.Verdict == AnswerVerdict.Malformed)
            return null;
        if (reference.Status != parsed.Status)
            return $"status {reference.Status} or {parsed.Status}";
        if (!reference.Fields.SequenceEqual(parsed.Fields, StringComparer.OrdinalIgnoreCase))
            return $"fields '{string.Join(", ", reference.Fields)}' or '{string.Join(", ", parsed.Fields)}'";
        if (reference.Body != parsed.Body)
            return $"a body of {reference.Body.Length} or {parsed.Body.Length} bytes";
        return reference.Verdict == AnswerVerdict.Complete && reference.Used != parsed.Used ? $"{reference.Used} or {parsed.Used} bytes used" : null;
    }
}

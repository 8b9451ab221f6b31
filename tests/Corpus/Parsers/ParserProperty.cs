using System.Text;

namespace Alicia.Proxy.Corpus.Parsers;

/// <summary>Something that holds of one of the proxy's parsers for every input there is, and a way to make inputs that try it.</summary>
/// <param name="parser">The parser.</param>
/// <param name="says">What holds.</param>
internal abstract class ParserProperty(string parser, string says)
{
    public string Parser => parser;

    public string Says => says;

    /// <summary>How many inputs the tests try; the verb <c>fuzz</c> tries as many as it is asked to.</summary>
    public virtual int Inputs => 100_000;

    /// <summary>All of them, new each time: some keep buffers.</summary>
    public static IReadOnlyList<ParserProperty> All =>
    [
        new StrictResponsesProperty(), new SentRequestsProperty(), new GuardedInputProperty(), new Http2RequestProperty(),
        new DigitsProperty(), new ChunkLineProperty(), new HostProperty(), new TrailerNamesProperty(),
        new RequestTargetProperty(), new DeclaredRouteProperty(), new RedactionProperty(),
        new CookieProperty(), new ForwardedForProperty(), new ConnectionFieldProperty(), new FieldRuleProperty(),
        new BusMessageProperty(), new ApiDocumentProperty(), new ApiParameterProperty(), new SettingProperty(), new AuditTextProperty(),
        new InstanceHostProperty(), new ConfiguredAddressProperty(), new StatusRangesProperty(),
        new WebSocketFrameProperty(), new GrpcMessageProperty(), new ProxyHeaderProperty(),
    ];

    /// <summary>Makes one input and tries it.</summary>
    /// <exception cref="InvalidOperationException">It does not hold; the message has the input. Any other exception is one of the parser.</exception>
    public abstract void Check(Random random);

    /// <summary>Tries many.</summary>
    /// <param name="seed">The same seed makes the same inputs.</param>
    /// <param name="inputs">How many.</param>
    /// <param name="cancellation">Ends it early.</param>
    /// <returns>What does not hold, or was thrown, for at most ten inputs.</returns>
    public IReadOnlyList<string> Run(int seed, long inputs, CancellationToken cancellation = default)
    {
        var failures = new List<string>();
        for (long i = 0; i < inputs && failures.Count < 10 && !cancellation.IsCancellationRequested; i++)
        {
            // Each input has a seed of its own, so that one can be tried alone.
            var own = HashCode(seed, i);
            try
            {
                Check(new Random(own));
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                failures.Add($"{parser}, input {i} of seed {seed} ({own}): {e.GetType().Name}: {e.Message}");
            }
        }

        return failures;
    }

    protected static void Require(bool holds, string what, string input)
    {
        if (!holds)
            throw new InvalidOperationException($"{what}: {Shown(input)}");
    }

    protected static string Shown(string input)
    {
        var text = new StringBuilder();
        foreach (var c in input)
            text.Append(c is '\r' ? "\\r" : c is '\n' ? "\\n" : c is < ' ' or > '~' ? $"\\u{(int)c:x4}" : c);
        return text.ToString();
    }

    private static int HashCode(int seed, long number) => unchecked((int)(((ulong)number * 0x9E3779B97F4A7C15UL) >> 29) ^ (seed * 486187739));
}

/// <summary>Makes texts out of parts that mean something to a parser, and a few that do not.</summary>
internal static class Generated
{
    public static T Of<T>(this Random random, params ReadOnlySpan<T> from) => from[random.Next(from.Length)];

    /// <summary>Some of the parts, one behind the other.</summary>
    public static string Text(this Random random, string[] parts, int most)
    {
        var text = new StringBuilder();
        for (var i = random.Next(most + 1); i > 0; i--)
            text.Append(parts[random.Next(parts.Length)]);
        return text.ToString();
    }

    /// <summary>The text with a few characters changed, doubled, inserted or lost, half of the time.</summary>
    public static string Mutated(this Random random, string text, string with = " ,;:./%\"\\\t\r\n\0#0aZ-_\u00e9")
    {
        for (var changes = Math.Max(0, random.Next(6) - 3); changes > 0 && text.Length > 0; changes--)
        {
            var at = random.Next(text.Length);
            text = random.Next(5) switch
            {
                0 => text.Remove(at, 1),
                1 => text.Insert(at, with[random.Next(with.Length)].ToString()),
                2 => text[..at] + (char)random.Next(1, 256) + text[(at + 1)..],
                3 => text.Insert(at, text[at..Math.Min(text.Length, at + 1 + random.Next(6))]),
                _ => text[..at],
            };
        }

        return text;
    }

    /// <summary>Where something of this length is cut: ends of pieces, the last of which is the length.</summary>
    public static int[] Pieces(this Random random, int length)
    {
        var step = random.Next(4) switch { 0 => 1, 1 => 5, 2 => 40, _ => int.MaxValue };
        var ends = new List<int>();
        for (var at = 0; at < length;)
        {
            at = step == int.MaxValue ? length : Math.Min(length, at + random.Next(1, step + 1));
            ends.Add(at);
        }

        return [.. ends];
    }
}

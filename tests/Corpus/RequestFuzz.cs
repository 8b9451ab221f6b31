using System.Text;

namespace Alicia.Proxy.Corpus;

/// <summary>Holds the proxy's reading of generated inputs against <see cref="ReferenceRequests"/>, and against itself when the input comes in pieces.</summary>
internal static class RequestFuzz
{
    /// <param name="Inputs">How many were read.</param>
    /// <param name="Refused">In how many something was found wrong.</param>
    /// <param name="WholeRequests">Requests that were read to their end.</param>
    /// <param name="Failures">Inputs that were read in two ways, with what each said; at most ten.</param>
    internal sealed record Tally(long Inputs, long Refused, long WholeRequests, IReadOnlyList<string> Failures);

    public static Tally Run(int seed, long count, CancellationToken cancellation = default)
    {
        var mutations = new RequestMutations(seed);
        var (inputs, refused, requests, failures) = (0L, 0L, 0L, new List<string>());
        for (; inputs < count && failures.Count < 10 && !cancellation.IsCancellationRequested; inputs++)
        {
            var input = mutations.Next();
            var whole = StrictReading.Read(input, []);
            var pieces = StrictReading.Read(input, mutations.Cuts(input.Length));
            var reference = ReferenceRequests.Read(input);
            refused += whole.Fault is null ? 0 : 1;
            requests += reference.Bodies.Count;
            if ((whole.Fault is not null) != reference.IsWrong || whole.Ends.LastOrDefault() != reference.End)
                failures.Add($"{Show(input)}: {Show(whole)}, but by the reference {reference.Bodies.Count} requests to {reference.End}, {(reference.IsWrong ? "then wrong" : "nothing wrong")}");
            else if ((whole.Fault is null) != (pieces.Fault is null) || whole.Ends.LastOrDefault() != pieces.Ends.LastOrDefault())
                failures.Add($"{Show(input)}: {Show(whole)}, but in pieces {Show(pieces)}");
        }

        return new(inputs, refused, requests, failures);
    }

    private static string Show(StrictReading.Reading reading) => $"requests to {reading.Ends.LastOrDefault()}, {reading.Fault?.Detail ?? "nothing wrong"}";

    private static string Show(string input)
    {
        var text = new StringBuilder();
        foreach (var c in input)
            text.Append(c is '\r' ? "\\r" : c is '\n' ? "\\n" : c is < ' ' or > '~' ? $"\\x{(int)c:x2}" : c);
        return text.ToString();
    }
}

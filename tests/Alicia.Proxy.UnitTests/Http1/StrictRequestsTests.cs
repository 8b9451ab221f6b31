using Alicia.Proxy.Corpus;

namespace Alicia.Proxy.UnitTests.Http1;

public sealed class StrictRequestsTests
{
    public static TheoryData<string> Names => [.. RequestCorpus.All.Select(c => c.Name)];

    [Fact]
    public void The_corpus_has_what_it_promises()
    {
        RequestCorpus.All.Select(c => c.Name).Should().OnlyHaveUniqueItems();
        RequestCorpus.All.Count(c => c.Status != 0).Should().BeGreaterThan(400);
        RequestCorpus.All.Count(c => c.Status == 0).Should().BeGreaterThan(25);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_case_is_judged_alike_wherever_it_is_cut(string name)
    {
        var (input, expected) = Case(name);

        var whole = StrictReading.Read(input, []);

        (whole.Fault?.Status ?? 0).Should().Be(expected.Status, whole.Fault?.Detail ?? "nothing was found wrong");
        // Long ones are long in one part, where every cut is like the next.
        var step = Math.Max(1, input.Length / 700);
        for (var cut = 1; cut < input.Length; cut += step)
            Same(StrictReading.Read(input, [cut]), whole, $"cut at {cut}");
        if (input.Length < 2000)
            Same(StrictReading.Read(input, [.. Enumerable.Range(1, input.Length - 1)]), whole, "cut into bytes");
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_second_reading_of_the_rules_agrees(string name)
    {
        var (input, expected) = Case(name);
        if (expected.Status is 414 or 431 || input.Length > 2000 || name.Contains("extension beyond", StringComparison.Ordinal) || name.Contains("extension without", StringComparison.Ordinal))
            return;

        var reading = ReferenceRequests.Read(input);

        reading.IsWrong.Should().Be(expected.Status != 0);
        if (expected.Bodies.Length > 0)
            reading.Bodies.Should().Equal(expected.Bodies.Select(b => b.Replace("{host}", "s1.alicia.local", StringComparison.Ordinal)));
    }

    /// <summary>
    /// Inputs made from a seed. <c>ALICIA_FUZZ_INPUTS</c> sets how many; the benchmark verb <c>fuzz</c> runs many more and writes a report.
    /// </summary>
    [Fact]
    public void Generated_inputs_read_as_the_second_reading_says_however_they_are_cut()
    {
        var count = int.TryParse(Environment.GetEnvironmentVariable("ALICIA_FUZZ_INPUTS"), out var wished) ? wished : 60_000;
        var tally = RequestFuzz.Run(seed: 20_261_125, count);

        tally.Failures.Should().BeEmpty();
        tally.Refused.Should().BeGreaterThan(count / 5, "the inputs reach both verdicts");
        tally.WholeRequests.Should().BeGreaterThan(count / 5);
    }

    [Fact]
    public void Trailers_have_the_limits_of_fields() =>
        StrictReading.Read($"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: {new string('x', 66_000)}\r\n\r\n", []).Fault!.Status.Should().Be(431);

    private static void Same(StrictReading.Reading one, StrictReading.Reading other, string because)
    {
        // Which of two faults is met first may depend on what was there to see; that there is one may not, nor where the request begins.
        (one.Fault is null).Should().Be(other.Fault is null, because);
        if (one.Ends.LastOrDefault() != other.Ends.LastOrDefault())
            one.Ends.LastOrDefault().Should().Be(other.Ends.LastOrDefault(), because);
        one.Fault?.Status.Should().Be(other.Fault!.Status, because);
        one.EndsBetweenRequests.Should().Be(other.EndsBetweenRequests, because);
    }

    private static (string Input, RequestCase Case) Case(string name)
    {
        var found = RequestCorpus.All.Single(c => c.Name == name);
        return (found.Bytes.Replace("{host}", "s1.alicia.local", StringComparison.Ordinal), found);
    }
}

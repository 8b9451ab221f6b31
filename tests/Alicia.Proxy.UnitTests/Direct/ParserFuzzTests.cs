using System.Text;
using Alicia.Proxy.Corpus;

namespace Alicia.Proxy.UnitTests.Direct;

/// <summary>
/// The proxy's parser of answers against another reading of the RFC, on generated answers in random pieces. The verb <c>fuzz</c> of the benchmarks does the same with as many as there is time for.
/// </summary>
public sealed class ParserFuzzTests
{
    private const int Seed = 20_26;
    private const int Inputs = 60_000;

    [Fact]
    public void The_parser_reads_generated_answers_as_the_reference_does_however_they_are_cut()
    {
        var verdicts = new int[3];
        var comparison = new AnswerComparison(Seed);
        for (var i = 0; i < Inputs; i++)
            verdicts[(int)comparison.Next()]++;

        verdicts.Should().OnlyContain(n => n > Inputs / 50, "the corpus has good, bad and unfinished answers: {0}", string.Join(", ", verdicts));
    }

    [Fact]
    public void A_difference_would_be_found()
    {
        var bytes = Encoding.Latin1.GetBytes("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        var read = ReferenceAnswer.Read(bytes, isHead: false);

        AnswerComparison.Difference(read, read with { Body = "no" }).Should().NotBeNull();
        AnswerComparison.Difference(read, read with { Used = 3 }).Should().NotBeNull();
        AnswerComparison.Difference(read, read with { Fields = ["Content-Length: 3"] }).Should().NotBeNull();
        AnswerComparison.Difference(read, ParsedAnswer.Read(bytes, false, () => 1)).Should().BeNull();
    }
}

using Alicia.Proxy.Corpus.Parsers;

namespace Alicia.Proxy.UnitTests.Parsers;

/// <summary>
/// Every parser that the proxy has written itself, tried with generated inputs: 100,000 each, and less of what is slow. The verb <c>fuzz</c> of the benchmarks does the same with as many as there is time for.
/// Requests, answers of the direct forwarder and circuits have tests of their own.
/// </summary>
public sealed class ParserPropertyTests
{
    private const int Seed = 20_261_125;

    public static TheoryData<string> Parsers => [.. ParserProperty.All.Select(p => p.Parser)];

    [Theory]
    [MemberData(nameof(Parsers))]
    public void It_holds_of_every_generated_input(string parser)
    {
        var property = ParserProperty.All.Single(p => p.Parser == parser);

        property.Run(Seed, property.Inputs).Should().BeEmpty(property.Says);
    }

    [Fact]
    public void What_does_not_hold_would_be_told_with_its_input()
    {
        var failures = new NothingIsLong().Run(Seed, 1000);

        failures.Should().HaveCount(10, "more of the same would not be read").And.OnlyContain(f => f.Contains("long: \\u0001", StringComparison.Ordinal));
    }

    private sealed class NothingIsLong() : ParserProperty("none", "nothing is long")
    {
        public override void Check(Random random)
        {
            var text = random.Text(["\u0001"], 9);
            Require(text.Length < 5, "long", text);
        }
    }
}

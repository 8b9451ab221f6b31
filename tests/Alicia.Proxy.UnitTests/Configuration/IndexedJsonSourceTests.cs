using System.Text;
using Alicia.Proxy.Configuration;
using Microsoft.Extensions.Configuration;

namespace Alicia.Proxy.UnitTests.Configuration;

/// <summary>A file says what .NET's own reader would have it say, whatever its keys are called.</summary>
public sealed class IndexedJsonSourceTests
{
    [Theory]
    [InlineData("{}")]
    [InlineData("""{ "A": 1, "b": { "C": [ 1, [ 2, 3 ], { "d": null } ], "10": 1, "9": 2 }, "B2": {}, "e": [] }""")]
    [InlineData("""{ "Services": { "": { "Host": "x", "": 1 }, "a": { "": "y" } }, "": { "": { "z": 1 } } }""")]
    [InlineData("""{ "\u0000": { "x": 1 }, "y": { "\u0000": 2 } }""")]
    [InlineData("""{ "A:b:C": 1, "A": { "b": { "D": 2 } }, ":": 3, "a:": { "x": 4 } }""")]
    public void It_has_the_sections_of_dotnets_own(string json)
    {
        var own = new ConfigurationBuilder().Add(new IndexedJsonSource { Stream = Stream(json) }).AddInMemoryCollection([new("b:C:0", "later"), new("z", "1")]).Build();
        var dotnets = new ConfigurationBuilder().AddJsonStream(Stream(json)).AddInMemoryCollection([new("b:C:0", "later"), new("z", "1")]).Build();

        Walk(own).Should().Equal(Walk(dotnets));
    }

    [Fact]
    public void Of_many_sections_each_has_its_own_keys()
    {
        var json = $"{{ {string.Join(',', Enumerable.Range(0, 2000).Select(i => $"\"s{i}\": {{ \"k\": {i} }}"))} }}";
        var root = new ConfigurationBuilder().Add(new IndexedJsonSource { Stream = Stream(json) }).Build();

        root.GetChildren().Should().HaveCount(2000).And.OnlyContain(section => section.GetChildren().Single().Value == section.Key.Substring(1));
    }

    private static IEnumerable<(string Path, string? Value)> Walk(IConfiguration configuration, int depth = 0) =>
        depth > 5 ? [] : configuration.GetChildren().SelectMany(s => (IEnumerable<(string, string?)>)[(s.Path, s.Value), .. Walk(s, depth + 1)]);

    private static MemoryStream Stream(string json) => new(Encoding.UTF8.GetBytes(json));
}

using Alicia.Proxy.Sockets;

namespace Alicia.Proxy.UnitTests.Sockets;

/// <summary>Features are kept by their type, as in any other collection of them.</summary>
public sealed class FewFeaturesTests
{
    private readonly FewFeatures _features = new();

    [Fact]
    public void What_was_set_is_got_replaced_and_taken_out()
    {
        _features.Get<string>().Should().BeNull();
        _features.Set("a");
        _features.Set(new List<int> { 1 });
        _features.Get<string>().Should().Be("a");
        var revision = _features.Revision;

        _features[typeof(string)] = "b";

        _features.Get<string>().Should().Be("b");
        _features.Revision.Should().BeGreaterThan(revision);
        _features.Should().HaveCount(2);

        _features.Set<string>(null);
        _features.Set<string>(null);

        _features[typeof(string)].Should().BeNull();
        _features.Get<List<int>>().Should().Equal(1);
        _features.Select(f => f.Key).Should().Equal(typeof(List<int>));
    }

    [Fact]
    public void There_may_be_more_than_few()
    {
        var types = typeof(object).Assembly.GetTypes().Take(50).ToArray();
        foreach (var type in types)
            _features[type] = type.Name;

        _features.Should().HaveCount(50);
        types.Should().AllSatisfy(t => _features[t].Should().Be(t.Name));
    }
}

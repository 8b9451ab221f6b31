using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Changes;
using static Alicia.Proxy.UnitTests.Registry.Drafts;

namespace Alicia.Proxy.UnitTests.Registry;

public sealed class PatchInstanceTests
{
    private readonly Drafts _registry = new();

    public PatchInstanceTests() => _registry.Do(Register("tts", Request() with
    {
        MaxConnections = 10,
        Metadata = new Dictionary<string, string> { ["zone"] = "kitchen", ["rack"] = "1" },
    }));

    [Fact]
    public void Only_what_is_given_changes()
    {
        var before = _registry.Instance("tts", "a");
        _registry.Do(Patch("tts", "a", weight: Given<int?>(5))).Instance.Should().Be(before with { OperatorWeight = 5 });
        _registry.Do(Patch("tts", "a", state: Given("draining"))).Instance.Should().Be(before with { OperatorWeight = 5, OperatorDrain = true });
    }

    [Fact]
    public void A_null_cap_gives_the_services_back()
    {
        _registry.Service("tts").MaxConnectionsOf(_registry.Instance("tts", "a")).Should().Be(10);
        _registry.Do(Patch("tts", "a", cap: Given<int?>(null)));
        _registry.Service("tts").MaxConnectionsOf(_registry.Instance("tts", "a")).Should().Be(100);
    }

    [Fact]
    public void Metadata_merges_pair_by_pair_and_a_null_removes_one_or_all()
    {
        var merged = _registry.Do(Patch("tts", "a", metadata: Given<IReadOnlyDictionary<string, string?>>(
            new Dictionary<string, string?> { ["rack"] = null, ["zone"] = "attic", ["row"] = "7", ["never"] = null })));
        merged.Instance.Metadata.Should().Equal(new Dictionary<string, string> { ["row"] = "7", ["zone"] = "attic" });

        _registry.Do(Patch("tts", "a", metadata: Given<IReadOnlyDictionary<string, string?>>(null))).Instance.Metadata.Should().BeEmpty();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1001)]
    public void Every_fault_is_reported_and_nothing_changes(int weight)
    {
        var before = _registry.Instance("tts", "a");
        var many = Enumerable.Range(0, 31).ToDictionary(i => $"k{i}", i => (string?)"v");
        var rejection = _registry.Refused(
            Patch("tts", "a", Given<int?>(weight), Given<int?>(100_001), Given<IReadOnlyDictionary<string, string?>>(many), Given("gone")), RejectionKind.Invalid);

        rejection.Errors!.Keys.Should().BeEquivalentTo("weight", "max_connections", "metadata", "state");
        _registry.Instance("tts", "a").Should().Be(before);
    }

    [Fact]
    public void A_null_state_is_no_state() =>
        _registry.Refused(Patch("tts", "a", state: Given<string>(null)), RejectionKind.Invalid).Errors!.Keys.Should().Equal("state");

    [Fact]
    public void Unknown_and_leaving_instances_are_refused()
    {
        _registry.Refused(Patch("stt", "a"), RejectionKind.NotFound).Detail.Should().Contain("'stt'");
        _registry.Refused(Patch("tts", "b"), RejectionKind.NotFound).Detail.Should().Contain("'b'");
        _registry.Do(new RemoveInstance("tts", "a"));
        _registry.Refused(Patch("tts", "a", state: Given("active")), RejectionKind.Conflict).Detail.Should().Contain("leaving");
    }

    [Fact]
    public void An_operator_may_drain_what_configuration_declares_but_not_change_it()
    {
        _registry.Do(Configure(Static("stt", Request())));
        var stored = _registry.Draft.Changes.Count;

        _registry.Refused(Patch("stt", "a", weight: Given<int?>(2)), RejectionKind.Conflict).Detail.Should().Contain("Services:stt:Instances").And.Contain("Weight");
        _registry.Refused(Patch("stt", "a", cap: Given<int?>(2)), RejectionKind.Conflict).Detail.Should().Contain("MaxConnections");
        _registry.Do(Patch("stt", "a", state: Given("draining"))).Instance.State.Should().Be(InstanceState.Draining);
        _registry.Draft.Changes.Should().HaveCount(stored, "configuration's instances are never stored");
    }
}

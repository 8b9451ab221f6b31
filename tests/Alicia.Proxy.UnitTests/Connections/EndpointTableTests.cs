using System.Globalization;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Registry;

namespace Alicia.Proxy.UnitTests.Connections;

public class EndpointTableTests
{
    private readonly EndpointTable _table = new();

    [Fact]
    public void A_slot_is_found_by_its_name_and_a_slot_that_left_gives_way_to_another_of_its_instance()
    {
        var endpoint = Add(42, "name.test");
        endpoint.Use([System.Net.IPAddress.Parse("10.0.0.1"), System.Net.IPAddress.Parse("10.0.0.2")]);
        var (one, two) = (endpoint.Slots[0], endpoint.Slots[1]);

        _table.TryFind(two.Name, out var found).Should().BeTrue();
        found.Should().BeSameAs(two);

        endpoint.Use([one.Address]);
        _table.TryFind(two.Name, out found).Should().BeTrue();
        found.Should().BeSameAs(one);
    }

    [Theory]
    [InlineData("")]
    [InlineData("42")]
    [InlineData("-0.upstream")]
    [InlineData("x-0.upstream")]
    [InlineData("43-0.upstream")]
    public void A_name_of_nothing_finds_nothing(string name)
    {
        Add(42, "10.0.0.1");

        _table.TryFind(name, out var found).Should().BeFalse();
        found.Should().BeNull();
    }

    [Fact]
    public void A_change_of_TLS_gives_new_connections_to_requests_from_then_on_and_to_nobody_else()
    {
        var endpoint = _table.GetOrAdd(new Instance { Epoch = 7, ServiceName = "s", InstanceId = "i", Host = "10.0.0.1", Port = 443, Scheme = "https", RegisteredAt = DateTimeOffset.UnixEpoch, Source = RegistrationSource.Api }, TimeSpan.FromSeconds(1));
        var clear = Add(8, "10.0.0.2");
        var (first, before) = (endpoint.NextSlot()!, clear.NextSlot()!);
        (endpoint.TlsProfile, endpoint.TlsName).Should().Be((null, "10.0.0.1"));

        endpoint.UseTls("inner", "tts.test");
        clear.UseTls("inner", null);
        var second = endpoint.NextSlot()!;
        (second.Name, second.Address).Should().NotBe((first.Name, first.Address)).And.Match<(string, System.Net.IPAddress Address)>(s => s.Address.Equals(first.Address));
        (endpoint.TlsProfile, endpoint.TlsName).Should().Be(("inner", "tts.test"));
        clear.NextSlot().Should().BeSameAs(before);

        endpoint.UseTls("inner", "tts.test");
        _table.RenewConnections("other");
        endpoint.NextSlot().Should().BeSameAs(second);
        _table.RenewConnections("inner");
        endpoint.NextSlot().Should().NotBeSameAs(second);
        clear.NextSlot().Should().BeSameAs(before);
    }

    [Fact]
    public void An_endpoint_that_was_just_forgotten_is_found_by_who_picked_it_before()
    {
        var slot = Add(1, "10.0.0.1").NextSlot()!;

        _table.Forget(1);

        _table.TryFind(slot.Name, out var found).Should().BeTrue();
        found.Should().BeSameAs(slot);
        _table.Count.Should().Be(0);
    }

    [Fact]
    public void Of_many_forgotten_endpoints_only_the_last_are_kept()
    {
        const int Many = 10_000;
        for (var epoch = 1; epoch <= Many; epoch++)
        {
            Add(epoch, "10.0.0.1");
            _table.Forget(epoch);
        }

        var kept = Enumerable.Range(1, Many).Where(e => _table.TryFind(string.Create(CultureInfo.InvariantCulture, $"{e}-0.upstream"), out _)).ToArray();

        kept.Should().Equal(Enumerable.Range(Many - 255, 256));
    }

    private UpstreamEndpoint Add(long epoch, string host) => _table.GetOrAdd(
        new Instance
        {
            Epoch = epoch,
            ServiceName = "s",
            InstanceId = "i",
            Host = host,
            Port = 80,
            Scheme = "http",
            RegisteredAt = DateTimeOffset.UnixEpoch,
            Source = RegistrationSource.Api,
        },
        TimeSpan.FromSeconds(5));
}

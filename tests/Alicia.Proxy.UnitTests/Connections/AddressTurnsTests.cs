using System.Net;
using Alicia.Proxy.Connections;
using Microsoft.Extensions.Time.Testing;

namespace Alicia.Proxy.UnitTests.Connections;

public class AddressTurnsTests
{
    private static readonly IPAddress One = IPAddress.Parse("10.0.0.1");
    private static readonly IPAddress Two = IPAddress.Parse("10.0.0.2");
    private static readonly IPAddress Three = IPAddress.Parse("10.0.0.3");

    private readonly FakeTimeProvider _time = new();
    private readonly UpstreamEndpoint _endpoint = new(7, "a", "http", "name.test", 80);

    [Fact]
    public void A_name_has_no_address_before_it_was_looked_up() => _endpoint.NextSlot().Should().BeNull();

    [Fact]
    public void Each_address_takes_its_turn()
    {
        _endpoint.Use([One, Two, Three, Two]);

        Turns(9).Should().Equal(new Dictionary<IPAddress, int> { [One] = 3, [Two] = 3, [Three] = 3 });
    }

    [Fact]
    public void An_address_that_stays_keeps_its_connections_and_one_that_comes_back_gets_new_ones()
    {
        _endpoint.Use([One, Two]);
        var (one, two) = (Slot(One), Slot(Two));

        _endpoint.Use([One, Three]);
        Slot(One).Should().BeSameAs(one);
        _endpoint.Use([Two, One]);

        Slot(Two).Should().NotBeSameAs(two);
        Slot(Two).Name.Should().NotBe(two.Name);
        _endpoint.Slots.ToArray().Select(s => s.Name).Should().OnlyHaveUniqueItems();
    }

    [Fact]
    public void An_avoided_address_leaves_its_turns_to_the_others_evenly_until_its_time_is_over()
    {
        _endpoint.Use([One, Two, Three]);

        _endpoint.Avoid(Slot(Two), TimeSpan.FromSeconds(10), _time);
        Turns(8).Should().Equal(new Dictionary<IPAddress, int> { [One] = 4, [Three] = 4 });

        // Avoided again: from then on.
        _time.Advance(TimeSpan.FromSeconds(9));
        _endpoint.Avoid(Slot(Two), TimeSpan.FromSeconds(10), _time);
        _time.Advance(TimeSpan.FromSeconds(9));
        Turns(8).Should().NotContainKey(Two);

        _time.Advance(TimeSpan.FromSeconds(1));
        Turns(9)[Two].Should().Be(3);
    }

    [Fact]
    public void A_look_up_does_not_bring_an_avoided_address_back()
    {
        _endpoint.Use([One, Two]);
        _endpoint.Avoid(Slot(Two), TimeSpan.FromSeconds(10), _time);

        _endpoint.Use([Two, One, Three]);

        Turns(8).Should().Equal(new Dictionary<IPAddress, int> { [One] = 4, [Three] = 4 });
    }

    [Fact]
    public void When_all_are_avoided_all_take_their_turns()
    {
        _endpoint.Use([One, Two]);

        _endpoint.Avoid(Slot(One), TimeSpan.FromSeconds(10), _time);
        _endpoint.Avoid(Slot(Two), TimeSpan.FromSeconds(10), _time);

        Turns(4).Should().Equal(new Dictionary<IPAddress, int> { [One] = 2, [Two] = 2 });
    }

    [Fact]
    public void Only_http2_over_TLS_goes_by_an_https_authority()
    {
        var tls = new UpstreamEndpoint(8, "b", "https", "10.0.0.9", 443);
        var slot = tls.NextSlot()!;

        tls.Protocol = Alicia.Proxy.Registry.UpstreamProtocol.Http1;
        slot.Prefix.Should().Be("http://8-0.upstream:443");
        tls.Protocol = Alicia.Proxy.Registry.UpstreamProtocol.Http2;
        slot.Prefix.Should().Be("https://8-0.upstream:443");
    }

    private AddressSlot Slot(IPAddress address) => _endpoint.Slots.ToArray().Single(s => s.Address.Equals(address));

    private Dictionary<IPAddress, int> Turns(int count) =>
        Enumerable.Range(0, count).Select(_ => _endpoint.NextSlot()!.Address).GroupBy(a => a).OrderBy(g => g.Key.ToString()).ToDictionary(g => g.Key, g => g.Count());
}

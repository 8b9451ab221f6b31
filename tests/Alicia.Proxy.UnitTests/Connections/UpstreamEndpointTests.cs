using System.Net;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Storage;
using Alicia.Proxy.UnitTests.Storage;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace Alicia.Proxy.UnitTests.Connections;

public sealed class UpstreamEndpointTests
{
    [Theory]
    [InlineData("http", "10.0.0.5", 8003, "10.0.0.5:8003", "http://10.0.0.5:8003/")]
    [InlineData("http", "10.0.0.5", 80, "10.0.0.5", "http://10.0.0.5:80/")]
    [InlineData("https", "tts", 443, "tts", "https://tts:443/")]
    [InlineData("https", "tts", 80, "tts:80", "https://tts:80/")]
    [InlineData("http", "fd00::1", 8003, "[fd00::1]:8003", "http://[fd00::1]:8003/")]
    public void The_Host_field_and_the_URL_of_an_instance(string scheme, string host, int port, string hostAndPort, string url)
    {
        var endpoint = new UpstreamEndpoint(1, "a", scheme, host, port);
        (endpoint.HostAndPort, endpoint.Url).Should().Be((hostAndPort, url));
    }

    [Fact]
    public void A_literal_has_its_address_at_once_and_a_name_none_until_it_is_resolved()
    {
        new UpstreamEndpoint(1, "a", "http", "10.0.0.5", 80).NextSlot()!.Address.Should().Be(IPAddress.Parse("10.0.0.5"));
        new UpstreamEndpoint(1, "a", "http", "tts", 80).NextSlot().Should().BeNull();
    }

    [Fact]
    public void Addresses_take_turns_and_one_that_stays_keeps_its_slot_and_so_its_connections()
    {
        var endpoint = new UpstreamEndpoint(1, "a", "http", "tts", 80);
        var (one, two, three) = (IPAddress.Parse("10.0.0.1"), IPAddress.Parse("10.0.0.2"), IPAddress.Parse("10.0.0.3"));
        endpoint.Use([one, two, one]);
        var slots = endpoint.Slots.ToArray();
        slots.Should().HaveCount(2);
        Enumerable.Range(0, 10).Select(_ => endpoint.NextSlot()!).GroupBy(s => s).Select(g => g.Count()).Should().Equal(5, 5);

        endpoint.Use([three, two]);

        endpoint.Slots.ToArray().Should().Contain(slots[1]).And.NotContain(slots[0]);
        endpoint.Slots.ToArray().Concat(slots).Select(s => s.Name).Distinct().Should().HaveCount(3, "an authority is never used for another address");
    }

    [Fact]
    public void An_address_is_found_by_its_made_up_authority_and_another_one_when_it_is_gone()
    {
        var table = new EndpointTable();
        var endpoint = table.GetOrAdd(StoredSamples.Plain("tts", "a", epoch: 42), TimeSpan.FromSeconds(3));
        var slot = endpoint.NextSlot()!;

        slot.Prefix.Should().Be($"http://{slot.Name}:8080");
        slot.Name.Should().StartWith("42-");
        endpoint.ConnectTimeout.Should().Be(TimeSpan.FromSeconds(3));
        table.TryFind(slot.Name, out var found).Should().BeTrue();
        found.Should().BeSameAs(slot);
        table.TryFind("42-99.upstream", out var other).Should().BeTrue();
        other.Should().BeSameAs(slot);
        foreach (var unknown in new[] { "43-0.upstream", "", "-", "x-0.upstream", "upstream" })
            table.TryFind(unknown, out _).Should().BeFalse();
    }

    [Fact]
    public void Two_epochs_never_share_an_authority() =>
        new UpstreamEndpoint(1, "a", "http", "10.0.0.5", 80).NextSlot()!.Prefix.Should().NotBe(new UpstreamEndpoint(2, "a", "http", "10.0.0.5", 80).NextSlot()!.Prefix);

    [Fact]
    public async Task A_name_is_due_for_a_look_up_when_its_age_is_over_and_a_literal_never()
    {
        var time = new FakeTimeProvider();
        await using var registry = new ServiceRegistry(new MemoryRegistryStore(), time, NullLogger<ServiceRegistry>.Instance);
        var resolver = new NameResolver(registry, time, NullLogger<NameResolver>.Instance);
        var name = new UpstreamEndpoint(1, "a", "http", "tts", 80) { ResolvedAt = time.GetTimestamp() };
        var literal = new UpstreamEndpoint(1, "a", "http", "10.0.0.5", 80);

        resolver.IsDue(name).Should().BeFalse();
        time.Advance(NameResolver.MaxAge + TimeSpan.FromSeconds(1));
        (resolver.IsDue(name), resolver.IsDue(literal)).Should().Be((true, false));
    }

    [Fact]
    public void Only_one_look_up_runs_at_a_time()
    {
        var endpoint = new UpstreamEndpoint(1, "a", "http", "tts", 80);
        (endpoint.TryBeginLookUp(), endpoint.TryBeginLookUp()).Should().Be((true, false));
        endpoint.EndLookUp();
        endpoint.TryBeginLookUp().Should().BeTrue();
    }
}

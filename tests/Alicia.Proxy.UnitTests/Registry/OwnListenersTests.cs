using System.Net;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Validation;
using Microsoft.Extensions.Time.Testing;

namespace Alicia.Proxy.UnitTests.Registry;

/// <summary>Which addresses are the proxy's own listeners, and that none can be registered.</summary>
public sealed class OwnListenersTests
{
    private readonly FakeTimeProvider _time = new();
    private List<IPAddress> _machine = [IPAddress.Parse("10.0.0.7"), IPAddress.Parse("fd00::7"), IPAddress.Parse("fe80::1%3")];

    [Theory]
    [InlineData("127.0.0.1:8080", "127.0.0.1", 8080, true)]
    [InlineData("127.0.0.1:8080", "::ffff:127.0.0.1", 8080, true)]
    [InlineData("127.0.0.1:8080", "127.0.0.1", 8081, false)]
    [InlineData("127.0.0.1:8080", "127.0.0.2", 8080, false)]
    [InlineData("10.0.0.7:8080", "10.0.0.7", 8080, true)]
    [InlineData("10.0.0.7:8080", "127.0.0.1", 8080, false)]
    [InlineData("[::ffff:10.0.0.7]:8080", "10.0.0.7", 8080, true)]
    [InlineData("0.0.0.0:8080", "10.0.0.7", 8080, true)]
    [InlineData("0.0.0.0:8080", "127.3.2.1", 8080, true)]
    [InlineData("0.0.0.0:8080", "10.0.0.8", 8080, false)]
    [InlineData("0.0.0.0:8080", "fd00::7", 8080, false)]
    [InlineData("[::]:8080", "10.0.0.7", 8080, true)]
    [InlineData("[::]:8080", "::ffff:10.0.0.7", 8080, true)]
    [InlineData("[::]:8080", "fd00::7", 8080, true)]
    [InlineData("[::]:8080", "::1", 8080, true)]
    [InlineData("[::]:8080", "fe80::1", 8080, true)]
    [InlineData("[::]:8080", "10.0.0.7", 8081, false)]
    [InlineData("127.0.0.1:0", "127.0.0.1", 0, false)]
    public void An_address_is_our_own_when_a_connection_to_it_would_reach_a_listener(string bound, string address, int port, bool own) =>
        Listening(bound).Has(IPAddress.Parse(address), port).Should().Be(own);

    [Fact]
    public void Addresses_that_the_machine_gets_later_are_seen()
    {
        var own = Listening("[::]:8080");
        own.Has(IPAddress.Parse("10.0.0.9"), 8080).Should().BeFalse();
        _machine = [.. _machine, IPAddress.Parse("10.0.0.9")];

        _time.Advance(TimeSpan.FromSeconds(6));

        own.Has(IPAddress.Parse("10.0.0.9"), 8080).Should().BeTrue();
    }

    [Fact]
    public void The_system_is_asked_where_nobody_says_what_the_machine_has()
    {
        var own = new OwnListeners(_time);
        own.Set([IPEndPoint.Parse("[::]:8080")]);
        (own.Has(IPAddress.Loopback, 8080), own.Has(IPAddress.Parse("192.0.2.1"), 8080)).Should().Be((true, false));
    }

    [Theory]
    [InlineData("127.0.0.1", 8023, "port")]
    [InlineData("[::ffff:127.0.0.1]", 8023, "port")]
    [InlineData("169.254.169.254", 80, "host")]
    [InlineData("127.0.0.1", 8024, null)]
    public void A_registration_of_our_own_listener_is_refused(string host, int port, string? field)
    {
        var faults = new FaultList();

        InstanceRules.Validate(new RegistrationRequest { Host = host, Port = port }, new RegistryRules { Own = Listening("127.0.0.1:8023") }, faults);

        faults.All.Select(f => f.Field).Should().Equal(field is null ? [] : [field]);
    }

    private OwnListeners Listening(string endpoint)
    {
        var own = new OwnListeners(_time, () => _machine);
        own.Set([IPEndPoint.Parse(endpoint)]);
        return own;
    }
}

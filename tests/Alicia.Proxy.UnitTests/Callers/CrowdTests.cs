using System.Net;
using Alicia.Proxy.Callers;
using Microsoft.AspNetCore.Connections;

namespace Alicia.Proxy.UnitTests.Callers;

/// <summary>Which connections are let in, and what is counted of the others.</summary>
public sealed class CrowdTests
{
    private readonly CallerLimits _limits = new();
    private readonly Crowd _crowd;
    private readonly TaskCompletionSource _ends = new();

    public CrowdTests() => _crowd = new Crowd(_limits);

    [Fact]
    public async Task Without_limits_everybody_is_let_in()
    {
        var open = Connect(100);

        (_crowd.Count.Open, _crowd.Refused, _crowd.RefusedOfAddress).Should().Be((100, 0, 0));
        open.Should().OnlyContain(connection => !connection.IsCompleted);
        _ends.SetResult();
        await Task.WhenAll(open);
        (_crowd.Count.Open, _crowd.Count.Opened).Should().Be((0, 100));
    }

    [Fact]
    public async Task Beyond_the_limit_of_all_connections_end_at_once_and_are_counted_among_the_opened()
    {
        _limits.Current = _limits.Current with { Connections = 3 };

        var open = Connect(5);

        open.Count(connection => connection.IsCompleted).Should().Be(2);
        (_crowd.Count.Open, _crowd.Count.Opened, _crowd.Refused).Should().Be((3, 5, 2));
        _ends.SetResult();
        await Task.WhenAll(open);
        _crowd.Count.Open.Should().Be(0);
    }

    [Fact]
    public async Task Beyond_the_limit_of_one_address_others_are_still_let_in()
    {
        _limits.Current = _limits.Current with { ConnectionsPerAddress = 2 };

        Task[] open = [.. Connect(3), .. Connect(2, "192.0.2.2")];

        (open.Count(connection => connection.IsCompleted), _crowd.RefusedOfAddress, _crowd.Count.Open).Should().Be((1, 1, 4));
        _ends.SetResult();
        await Task.WhenAll(open);
        Connect(2).Should().OnlyContain(connection => connection.IsCompletedSuccessfully);
        _crowd.RefusedOfAddress.Should().Be(1, "the places are free again");
    }

    private Task[] Connect(int count, string address = "192.0.2.1")
    {
        var enter = _crowd.CountAll(_crowd.CountAddress(_ => _ends.Task));
        return [.. Enumerable.Range(0, count).Select(i => enter(new DefaultConnectionContext { RemoteEndPoint = new IPEndPoint(IPAddress.Parse(address), 1000 + i) }))];
    }
}

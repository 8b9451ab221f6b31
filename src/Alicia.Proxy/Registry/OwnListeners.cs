using System.Net;
using System.Net.NetworkInformation;

namespace Alicia.Proxy.Registry;

/// <summary>
/// Where this proxy itself listens, data plane and management alike. None of these is ever an instance: whoever could register the management listener would speak to it
/// from this machine, and a request for the data plane would come back for ever.
/// </summary>
internal sealed class OwnListeners
{
    /// <summary>How long the machine's own addresses are remembered. They are asked for only where an instance has the port of a listener on every address.</summary>
    private static readonly TimeSpan Memory = TimeSpan.FromSeconds(5);

    private readonly TimeProvider _time;
    private readonly Func<IEnumerable<IPAddress>> _machine;
    private IPEndPoint[] _endpoints = [];
    private Machine? _known;

    /// <param name="time">Ages what is known of the machine's addresses.</param>
    /// <param name="machine">The addresses of this machine's interfaces; null asks the system.</param>
    public OwnListeners(TimeProvider time, Func<IEnumerable<IPAddress>>? machine = null) => (_time, _machine) = (time, machine ?? AddressesOfTheMachine);

    /// <summary>Takes over where the listeners are bound. An unspecified address stands for every address of the machine, <c>[::]</c> for those of IPv4 too.</summary>
    public void Set(IEnumerable<IPEndPoint> endpoints) => Volatile.Write(ref _endpoints, [.. endpoints]);

    /// <summary>True when a connection to this address and port would reach this proxy.</summary>
    public bool Has(IPAddress address, int port)
    {
        foreach (var own in Volatile.Read(ref _endpoints))
        {
            if (own.Port != port || port == 0)
                continue;
            var bound = Plain(own.Address);
            var everywhere = bound.Equals(IPAddress.IPv6Any) || (bound.Equals(IPAddress.Any) && Plain(address).AddressFamily == bound.AddressFamily);
            if (everywhere ? IsOfThisMachine(Plain(address)) : bound.Equals(Plain(address)))
                return true;
        }

        return false;
    }

    private bool IsOfThisMachine(IPAddress address)
    {
        // All of 127.0.0.0/8 is this machine, though only one of them stands at an interface.
        if (IPAddress.IsLoopback(address))
            return true;
        var known = Volatile.Read(ref _known);
        if (known is null || _time.GetElapsedTime(known.AskedAt) > Memory)
            Volatile.Write(ref _known, known = new Machine(_time.GetTimestamp(), [.. _machine().Select(Plain)]));
        return known.Addresses.Contains(address);
    }

    /// <summary>Without the zone of an interface, and IPv4 in IPv6 as IPv4: as addresses of instances are.</summary>
    private static IPAddress Plain(IPAddress address) => address switch
    {
        { IsIPv4MappedToIPv6: true } => address.MapToIPv4(),
        { AddressFamily: System.Net.Sockets.AddressFamily.InterNetworkV6, ScopeId: not 0 } => new IPAddress(address.GetAddressBytes()),
        _ => address,
    };

    private static IEnumerable<IPAddress> AddressesOfTheMachine() =>
        NetworkInterface.GetAllNetworkInterfaces().SelectMany(i => i.GetIPProperties().UnicastAddresses).Select(a => a.Address);

    private sealed record Machine(long AskedAt, HashSet<IPAddress> Addresses);
}

using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Alicia.Proxy.Live;
using Microsoft.AspNetCore.Connections;

namespace Alicia.Proxy.Callers;

/// <summary>
/// Counts callers' connections and closes those that are too many, in all or of one address. They are closed without a word: whoever opens connections by the thousand is not to be answered by the
/// thousand, and what is spoken on them is not known yet.
/// </summary>
internal sealed class Crowd(CallerLimits limits)
{
    /// <summary>In IPv6 whoever has one address has 2^64 of them.</summary>
    private const int NetworkBytes = 8;

    private readonly ConcurrentDictionary<IPAddress, int> _perAddress = new();
    private long _refused;
    private long _refusedOfAddress;

    /// <summary>Connections that were let in.</summary>
    public ConnectionCount Count { get; } = new();

    /// <summary>Connections that were closed because there were too many in all.</summary>
    public long Refused => Volatile.Read(ref _refused);

    /// <summary>Connections that were closed because their address had too many.</summary>
    public long RefusedOfAddress => Volatile.Read(ref _refusedOfAddress);

    /// <summary>Connection middleware: all connections together. First of all.</summary>
    public ConnectionDelegate CountAll(ConnectionDelegate next) => async connection =>
    {
        Count.Enter();
        try
        {
            if (Count.Open > limits.Current.Connections)
                Interlocked.Increment(ref _refused);
            else
                await next(connection);
        }
        finally
        {
            Count.Leave();
        }
    };

    /// <summary>Connection middleware: those of each address. Behind whatever knows whose the connection is.</summary>
    public ConnectionDelegate CountAddress(ConnectionDelegate next) => connection =>
        limits.Current.ConnectionsPerAddress is { } most && connection.RemoteEndPoint is IPEndPoint caller ? CountAddressAsync(connection, next, CallerOf(caller.Address), most) : next(connection);

    private async Task CountAddressAsync(ConnectionContext connection, ConnectionDelegate next, IPAddress caller, long most)
    {
        var count = _perAddress.AddOrUpdate(caller, 1, static (_, n) => n + 1);
        try
        {
            if (count > most)
                Interlocked.Increment(ref _refusedOfAddress);
            else
                await next(connection);
        }
        finally
        {
            Leave(caller);
        }
    }

    private void Leave(IPAddress caller)
    {
        // An entry that is at zero goes, unless somebody raises it in between.
        while (_perAddress.TryGetValue(caller, out var count))
        {
            if (count > 1 ? _perAddress.TryUpdate(caller, count - 1, count) : _perAddress.TryRemove(new(caller, count)))
                return;
        }
    }

    private static IPAddress CallerOf(IPAddress address)
    {
        if (address.IsIPv4MappedToIPv6)
            return address.MapToIPv4();
        if (address.AddressFamily != AddressFamily.InterNetworkV6 || IPAddress.IsLoopback(address))
            return address;
        var bytes = address.GetAddressBytes();
        bytes.AsSpan(NetworkBytes).Clear();
        return new IPAddress(bytes);
    }
}

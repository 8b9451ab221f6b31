using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using Alicia.Proxy.Connections;

namespace Alicia.Proxy.Direct;

/// <summary>
/// Connections that wait for their next request, by address. The one put away last is taken first, so that the others grow old and are closed.
/// </summary>
internal sealed class ConnectionPools : IDisposable
{
    /// <summary>
    /// How long a connection waits. Uvicorn and Node close theirs after five seconds; a request that meets a closing connection is an error for nothing, a fresh connection on the local
    /// network is a fraction of a millisecond.
    /// </summary>
    public static readonly TimeSpan IdleTimeout = TimeSpan.FromSeconds(4);

    private static readonly TimeSpan SweepInterval = TimeSpan.FromSeconds(1);

    private readonly UpstreamConnector _connector;
    private readonly TimeProvider _time;
    private readonly ConcurrentDictionary<AddressSlot, IdleConnections> _pools = new();
    private readonly ITimer _sweep;
    private volatile bool _disposed;

    public ConnectionPools(UpstreamConnector connector, EndpointTable endpoints, TimeProvider time)
    {
        (_connector, _time) = (connector, time);
        endpoints.Forgotten = Forget;
        _sweep = time.CreateTimer(static pools => ((ConnectionPools)pools!).Sweep(), this, SweepInterval, SweepInterval);
    }

    /// <summary>Connections that wait.</summary>
    public int Idle => _pools.Sum(p => p.Value.Count);

    /// <summary>Takes a connection that is still good as far as anybody can know without sending.</summary>
    public bool TryTake(AddressSlot slot, [NotNullWhen(true)] out UpstreamConnection? connection)
    {
        connection = null;
        if (Volatile.Read(ref slot.Idle) is not IdleConnections pool)
            return false;
        while (pool.TryPop(out connection))
        {
            if (_time.GetElapsedTime(connection.KeptAt) < IdleTimeout && connection.IsQuietNow())
                return true;
            connection.Dispose();
        }

        return false;
    }

    /// <summary>Opens a connection.</summary>
    /// <exception cref="UpstreamConnectException">None could be opened.</exception>
    public async Task<UpstreamConnection> OpenAsync(AddressSlot slot, CancellationToken cancellation)
    {
        var socket = await _connector.ConnectPlainAsync(slot, cancellation);
        return new UpstreamConnection(slot, socket, _connector.Connections, _time);
    }

    /// <summary>Keeps a connection whose exchange has ended well.</summary>
    public void Keep(UpstreamConnection connection)
    {
        connection.KeptAt = _time.GetTimestamp();
        if (!connection.TryKeep() || !TryPush(connection))
            connection.Dispose();
        // Looked at behind the keeping: whoever comes in the middle of the end has been seen by it, or sees it.
        else if (_disposed)
            Close(connection.Slot);
    }

    public void Dispose()
    {
        _sweep.Dispose();
        _disposed = true;
        foreach (var slot in _pools.Keys)
            Close(slot);
    }

    private bool TryPush(UpstreamConnection connection)
    {
        var slot = connection.Slot;
        while (true)
        {
            if (Volatile.Read(ref slot.Idle) is not IdleConnections pool)
                Volatile.Write(ref slot.Idle, pool = _pools.GetOrAdd(slot, static _ => new IdleConnections()));
            if (pool.TryPush(connection))
                return true;
            if (!pool.IsClosed)
                return false;
            // It was swept away while it was empty; whoever closed it may not have come to taking it out.
            TakeOut(slot, pool);
        }
    }

    private void Sweep()
    {
        foreach (var (slot, pool) in _pools)
        {
            while (pool.TryPopOldest(c => !c.IsQuiet || _time.GetElapsedTime(c.KeptAt) >= IdleTimeout, out var old))
                old.Dispose();
            if (pool.TryCloseUnused())
                TakeOut(slot, pool);
        }
    }

    /// <summary>Takes a closed pool out, and not the one that may have come in its place.</summary>
    private void TakeOut(AddressSlot slot, IdleConnections pool)
    {
        Interlocked.CompareExchange(ref slot.Idle, null, pool);
        _pools.TryRemove(KeyValuePair.Create(slot, pool));
    }

    private void Forget(UpstreamEndpoint endpoint)
    {
        foreach (var slot in _pools.Keys)
        {
            if (ReferenceEquals(slot.Endpoint, endpoint))
                Close(slot);
        }
    }

    private void Close(AddressSlot slot)
    {
        if (!_pools.TryGetValue(slot, out var pool))
            return;
        pool.Close();
        TakeOut(slot, pool);
        while (pool.TryPop(out var connection))
            connection.Dispose();
    }
}

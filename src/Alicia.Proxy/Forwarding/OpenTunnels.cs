using System.Collections.Concurrent;
using Alicia.Proxy.Live;

namespace Alicia.Proxy.Forwarding;

/// <summary>Every upgraded connection, to be ended when its instance has drained for long enough or the proxy stops: such connections last for days if nobody ends them.</summary>
internal sealed partial class OpenTunnels(TimeProvider time, ILogger<OpenTunnels> logger)
{
    private readonly ConcurrentDictionary<OpenTunnel, bool> _open = new();
    private volatile bool _stopping;

    /// <summary>Connections that are open now.</summary>
    public int Count => _open.Count;

    /// <summary>Adds a connection that has just been upgraded; disposing it takes it out. To an instance whose time is over it is ended at once.</summary>
    /// <param name="instance">Where it goes.</param>
    /// <param name="webSocket">The caller's side, or null when the protocol is another.</param>
    public OpenTunnel Open(InstanceLive instance, WebSocketCallerStream? webSocket)
    {
        var tunnel = new OpenTunnel(instance.Epoch, webSocket, time, t => _open.TryRemove(t, out _));
        _open.TryAdd(tunnel, true);
        // Of this and EndAll, one sees the other: both write first and then look.
        Interlocked.MemoryBarrier();
        if (_stopping || instance.IsOverdue)
            tunnel.End();
        return tunnel;
    }

    /// <summary>Ends those to one instance. Its <see cref="InstanceLive.IsOverdue"/> is set before.</summary>
    public void EndAll(long epoch)
    {
        Interlocked.MemoryBarrier();
        var count = 0;
        foreach (var (tunnel, _) in _open)
        {
            if (tunnel.Epoch != epoch)
                continue;
            tunnel.End();
            count++;
        }

        if (count > 0)
            LogEnding(logger, count, epoch);
    }

    /// <summary>Ends all, and those that are opened from now on.</summary>
    public void EndAll()
    {
        _stopping = true;
        Interlocked.MemoryBarrier();
        var count = 0;
        foreach (var (tunnel, _) in _open)
        {
            tunnel.End();
            count++;
        }

        if (count > 0)
            LogStopping(logger, count);
    }

    [LoggerMessage(LogLevel.Information, "Ending {Count} upgraded connections to the instance with epoch {Epoch}: it has had its time to drain")]
    private static partial void LogEnding(ILogger logger, int count, long epoch);

    [LoggerMessage(LogLevel.Information, "Ending {Count} upgraded connections: the proxy stops")]
    private static partial void LogStopping(ILogger logger, int count);
}

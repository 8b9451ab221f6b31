using System.Buffers;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace Alicia.Proxy.Sockets;

/// <summary>Takes callers' connections in.</summary>
internal sealed class SocketListener(Socket socket, MemoryPool<byte> pool, ILogger logger) : IConnectionListener
{
    /// <summary>How long it takes nothing in after the system had no room for another connection.</summary>
    private static readonly TimeSpan NoRoom = TimeSpan.FromMilliseconds(50);

    public EndPoint EndPoint { get; } = socket.LocalEndPoint!;

    /// <returns>Null once it was closed.</returns>
    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        while (true)
        {
            Socket? accepted = null;
            try
            {
                accepted = await socket.AcceptAsync(cancellationToken);
                accepted.NoDelay = true;
                return new SocketConnection(accepted, pool, logger);
            }
            catch (ObjectDisposedException) when (accepted is null)
            {
                return null;
            }
            catch (SocketException e) when (accepted is null && e.SocketErrorCode == SocketError.OperationAborted)
            {
                return null;
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // It has gone again while it waited, or there is no room for it.
                accepted?.Dispose();
                if (e is SocketException { SocketErrorCode: SocketError.TooManyOpenSockets or SocketError.NoBufferSpaceAvailable })
                    await Task.Delay(NoRoom, cancellationToken);
            }
            catch
            {
                accepted?.Dispose();
                throw;
            }
        }
    }

    public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        socket.Dispose();
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync()
    {
        socket.Dispose();
        return ValueTask.CompletedTask;
    }
}

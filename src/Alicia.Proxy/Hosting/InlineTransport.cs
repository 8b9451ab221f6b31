using System.Buffers;
using System.Net;
using System.Net.Sockets;
using Alicia.Proxy.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Options;

namespace Alicia.Proxy.Hosting;

/// <summary>
/// Opens listeners whose callers are handled on the thread that saw their bytes, from the first byte in to the last byte out, without the pool in between. A lonely request costs a third less CPU
/// that way, and one of very many not more (reports/knobs.md).
/// </summary>
/// <remarks>
/// It is for a path that never blocks, and that gives the thread back: other connections wait for it. So management, which waits for a disk, and TLS and HTTP/2, where small pieces are better
/// gathered than handled one by one, stay with the server's usual transport; and whatever has more to do than its share goes on in the pool (<see cref="Connections.FairShare"/>).
/// </remarks>
internal sealed class InlineTransport(Listeners listeners, IOptions<SocketTransportOptions> options, IMemoryPoolFactory<byte> pools, ILogger<InlineTransport> logger) : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    private readonly MemoryPool<byte> _pool = pools.Create();

    /// <summary>An address to bind a listener of this kind to, also where the system picks the port. The server hands on the very object that it was given.</summary>
    public static IPEndPoint Mark(IPAddress address, int port) => new MarkedEndPoint(address, port);

    public bool CanBind(EndPoint endpoint) => endpoint is MarkedEndPoint || (endpoint is IPEndPoint ip && listeners.IsInline(ip));

    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        SocketLoop.Start();
        Socket? socket = null;
        try
        {
            socket = options.Value.CreateBoundListenSocket(endpoint);
            socket.Listen(options.Value.Backlog);
            return new(new SocketListener(socket, _pool, logger));
        }
        catch (SocketException e)
        {
            socket?.Dispose();
            throw e.SocketErrorCode == SocketError.AddressAlreadyInUse ? new AddressInUseException(e.Message, e) : e;
        }
    }

    private sealed class MarkedEndPoint(IPAddress address, int port) : IPEndPoint(address, port);
}

using System.Net;
using Alicia.Proxy.Connections;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Options;

namespace Alicia.Proxy.Hosting;

/// <summary>
/// The sockets of listeners whose callers are handled on the thread that saw their bytes, from the first byte in to the last byte out, without the pool in between. A lonely request costs a third less CPU
/// that way, and one of very many not more (reports/knobs.md).
/// </summary>
/// <remarks>
/// It is for a path that never blocks, and that gives the thread back: other connections wait for it. So management, which waits for a disk, and TLS and HTTP/2, where small pieces are better
/// gathered than handled one by one, stay with the server's usual transport; and whatever has more to do than its share goes on in the pool (<see cref="FairShare"/>).
/// </remarks>
internal sealed class InlineTransport(Listeners listeners, IOptionsFactory<SocketTransportOptions> options, ILoggerFactory loggers) : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    private readonly SocketTransportFactory _sockets = new(Options.Create(Inline(options)), loggers);

    /// <summary>An address to bind a listener of this kind to, also where the system picks the port. The server hands on the very object that it was given.</summary>
    public static IPEndPoint Mark(IPAddress address, int port) => new MarkedEndPoint(address, port);

    public bool CanBind(EndPoint endpoint) => endpoint is MarkedEndPoint || (endpoint is IPEndPoint ip && listeners.IsInline(ip));

    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) => _sockets.BindAsync(endpoint, cancellationToken);

    /// <summary>What the server's own transport has, with the memory that it is given, but for the one thing.</summary>
    private static SocketTransportOptions Inline(IOptionsFactory<SocketTransportOptions> options)
    {
        var inline = options.Create(Options.DefaultName);
        inline.UnsafePreferInlineScheduling = true;
        return inline;
    }

    private sealed class MarkedEndPoint(IPAddress address, int port) : IPEndPoint(address, port);
}

using System.Net;
using System.Net.Sockets;
using Alicia.Proxy.Connections;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Options;

namespace Alicia.Proxy.Hosting;

/// <summary>
/// The sockets of listeners whose first callers are handled on the thread that saw their bytes, from the first byte in to the last byte out, without the pool in between: with few connections a request
/// costs a third less CPU that way. With many it costs as much or more, because the pool does the same thing for several of them in a row; so callers beyond the first few go through the pool
/// (tests/Alicia.Proxy.Benchmarks/reports/knobs.md).
/// </summary>
/// <remarks>
/// It is for a path that never blocks, and that gives the thread back: other connections wait for it. So management, which waits for a disk, and TLS and HTTP/2, where small pieces are better
/// gathered than handled one by one, stay with the server's usual transport; and whatever has more to do than its share goes on in the pool (<see cref="FairShare"/>).
/// </remarks>
internal sealed partial class InlineTransport(Listeners listeners, IOptions<SocketTransportOptions> options, ILoggerFactory loggers) : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    /// <summary>Connections of a listener that are handled inline at once, for each core. Measured on one: a clear gain up to 16 busy connections, none from 32 on.</summary>
    private const int InlinePerCore = 32;

    /// <summary>An address to bind a listener of this kind to, also where the system picks the port. The server hands on the very object that it was given.</summary>
    public static IPEndPoint Mark(IPAddress address, int port) => new MarkedEndPoint(address, port);

    public bool CanBind(EndPoint endpoint) => endpoint is MarkedEndPoint || (endpoint is IPEndPoint ip && listeners.IsInline(ip));

    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        Socket? socket = null;
        try
        {
            socket = options.Value.CreateBoundListenSocket(endpoint);
            socket.Listen(options.Value.Backlog);
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            socket?.Dispose();
            throw new AddressInUseException(e.Message, e);
        }

        return new(new Listener(socket, Factory(isInline: true), Factory(isInline: false), loggers.CreateLogger<InlineTransport>()));
    }

    private SocketConnectionContextFactory Factory(bool isInline) => new(
        new SocketConnectionFactoryOptions
        {
            UnsafePreferInlineScheduling = isInline,
            IOQueueCount = options.Value.IOQueueCount,
            MaxReadBufferSize = options.Value.MaxReadBufferSize,
            MaxWriteBufferSize = options.Value.MaxWriteBufferSize,
            WaitForDataBeforeAllocatingBuffer = options.Value.WaitForDataBeforeAllocatingBuffer,
        },
        // As the server's own transport calls itself.
        loggers.CreateLogger("Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets"));

    private sealed class MarkedEndPoint(IPAddress address, int port) : IPEndPoint(address, port);

    private sealed partial class Listener(Socket socket, SocketConnectionContextFactory inline, SocketConnectionContextFactory queued, ILogger logger) : IConnectionListener
    {
        /// <summary>Descriptors come back when callers leave; until then there is no use in asking at once again.</summary>
        private static readonly TimeSpan Exhausted = TimeSpan.FromMilliseconds(100);

        private static readonly int MostInline = InlinePerCore * Environment.ProcessorCount;

        private int _inline;
        private bool _exhausted;
        private volatile bool _closed;

        public EndPoint EndPoint { get; } = socket.LocalEndPoint!;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            while (true)
            {
                try
                {
                    var caller = await socket.AcceptAsync(cancellationToken);
                    caller.NoDelay = true;
                    _exhausted = false;
                    return Take(caller);
                }
                catch (Exception e) when (e is ObjectDisposedException || _closed)
                {
                    return null;
                }
                catch (SocketException e) when (e.SocketErrorCode is SocketError.TooManyOpenSockets or SocketError.NoBufferSpaceAvailable)
                {
                    if (!_exhausted)
                        LogExhausted(logger, e.Message);
                    _exhausted = true;
                    await Task.Delay(Exhausted, cancellationToken);
                }
                catch (SocketException)
                {
                    // The caller had left before it was its turn.
                }
            }
        }

        public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
        {
            _closed = true;
            socket.Dispose();
            return ValueTask.CompletedTask;
        }

        /// <summary>By now the connections have ended, whose memory the factories own.</summary>
        public async ValueTask DisposeAsync()
        {
            await UnbindAsync();
            inline.Dispose();
            queued.Dispose();
        }

        private ConnectionContext Take(Socket caller)
        {
            if (Interlocked.Increment(ref _inline) > MostInline)
            {
                Interlocked.Decrement(ref _inline);
                return queued.Create(caller);
            }

            var connection = inline.Create(caller);
            connection.ConnectionClosed.UnsafeRegister(static listener => Interlocked.Decrement(ref ((Listener)listener!)._inline), this);
            return connection;
        }

        [LoggerMessage(LogLevel.Warning, "Callers wait: no connection can be accepted ({Reason})")]
        private static partial void LogExhausted(ILogger logger, string reason);
    }
}

using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace Alicia.Proxy.Sockets;

/// <summary>A caller's connection as the server wants it, over a <see cref="ReadySocket"/>.</summary>
internal sealed partial class SocketConnection : ConnectionContext, ISocketOwner, IDuplexPipe, IThreadPoolWorkItem,
    IConnectionIdFeature, IConnectionTransportFeature, IConnectionItemsFeature, IConnectionLifetimeFeature, IConnectionEndPointFeature, IMemoryPoolFeature
{
    /// <summary>Such that names of an earlier process do not come again.</summary>
    private static long _lastId = DateTime.UtcNow.Ticks;

    private readonly ReadySocket _socket;
    private readonly SocketInput _input;
    private readonly SocketOutput _output;
    private readonly CancellationTokenSource _closed = new();
    private readonly ILogger _logger;
    private Exception? _reason;
    private int _isClosed;

    /// <param name="socket">The open connection; from now on this object's.</param>
    /// <param name="pool">The server's memory.</param>
    /// <param name="logger">Of the listener.</param>
    public SocketConnection(Socket socket, MemoryPool<byte> pool, ILogger logger)
    {
        _logger = logger;
        MemoryPool = pool;
        LocalEndPoint = socket.LocalEndPoint;
        RemoteEndPoint = socket.RemoteEndPoint;
        ConnectionClosed = _closed.Token;
        Transport = this;
        _socket = new ReadySocket(socket);
        _input = new SocketInput(_socket, pool, this);
        _output = new SocketOutput(_socket, pool, this);
        _socket.PeerEnded = _input.ReadAhead;
        Features.Set<IConnectionIdFeature>(this);
        Features.Set<IConnectionTransportFeature>(this);
        Features.Set<IConnectionItemsFeature>(this);
        Features.Set<IConnectionLifetimeFeature>(this);
        Features.Set<IConnectionEndPointFeature>(this);
        Features.Set<IMemoryPoolFeature>(this);
    }

    public override string ConnectionId
    {
        get => field ??= Interlocked.Increment(ref _lastId).ToString("X", CultureInfo.InvariantCulture);
        set;
    }

    public override IFeatureCollection Features { get; } = new FewFeatures();

    public override IDictionary<object, object?> Items { get => field ??= new ConnectionItems(); set; }

    public override IDuplexPipe Transport { get; set; }

    public override CancellationToken ConnectionClosed { get; set; }

    public override EndPoint? LocalEndPoint { get; set; }

    public override EndPoint? RemoteEndPoint { get; set; }

    public MemoryPool<byte> MemoryPool { get; }

    PipeReader IDuplexPipe.Input => _input;

    PipeWriter IDuplexPipe.Output => _output;

    Exception? ISocketOwner.Reason => Volatile.Read(ref _reason);

    /// <param name="abortReason">Why, which the peer sees as a reset; with null, by which the server says that the peer has left, the connection is closed in order.</param>
    public override void Abort(ConnectionAbortedException? abortReason) =>
        End(abortReason ?? new ConnectionAbortedException("The connection has ended."), isOrderly: abortReason is null);

    public override async ValueTask DisposeAsync()
    {
        _input.Complete();
        _output.Complete();
        await _output.FinishAsync();
        _input.Discard();
        _socket.Dispose();
        if (Interlocked.Exchange(ref _isClosed, 1) == 0)
            ((IThreadPoolWorkItem)this).Execute();
    }

    void IThreadPoolWorkItem.Execute()
    {
        try
        {
            _closed.Cancel();
        }
        catch (AggregateException e)
        {
            LogFailed(_logger, ConnectionId, e);
        }
    }

    void ISocketOwner.InputEnded() => TellClosed();

    void ISocketOwner.OutputFailed(SocketError error) => End(new ConnectionResetException(new SocketException((int)error).Message), isOrderly: false);

    [LoggerMessage(Level = LogLevel.Error, Message = "Somebody who was told of the end of connection {ConnectionId} failed.")]
    private static partial void LogFailed(ILogger logger, string connectionId, Exception exception);

    private void End(Exception reason, bool isOrderly)
    {
        // Known before anybody can see that the socket is closed.
        if (Interlocked.CompareExchange(ref _reason, reason, null) is not null)
            return;
        if (isOrderly)
            _socket.Dispose();
        else
            _socket.Reset();
        TellClosed();
    }

    /// <summary>Tells whoever wants to know. What they do about it is not for the thread that looks after the sockets.</summary>
    private void TellClosed()
    {
        if (Interlocked.Exchange(ref _isClosed, 1) == 0)
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }
}

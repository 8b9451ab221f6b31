using System.Net;
using System.Net.Sockets;

namespace Alicia.Proxy.Sockets;

/// <summary>
/// A connected socket that knows when there is something to be had of it, and asks the system only then. The runtime's own tries before it waits, every time: a call for nothing with each
/// answer that is waited for.
/// </summary>
/// <remarks>
/// What came last is known to be all when it was less than there was room for (epoll(7)): then there is nothing until the system says so again. That does not hold once the peer has ended, or has sent
/// something urgent; from then on every try is made. One reads and one writes at a time; anyone may close. The system is asked to tell once the socket was
/// looked at for the first time, and not before: what a connection comes with is read without an event. Where there is no epoll, the runtime is asked to wait, for nothing but the first byte.
/// </remarks>
internal sealed partial class ReadySocket : IDisposable
{
    private readonly SocketLoop? _loop;
    private readonly Readiness _readable = new(isReady: true);
    private Readiness? _writable;
    private volatile bool _ended;
    private bool _isWatched;
    private bool _isWatchedForWriting;
    private Next _next;
    private int _closed;

    /// <param name="socket">The socket; from now on this object's.</param>
    /// <param name="usesLoop">Whether the system is asked by <see cref="SocketLoop"/>.</param>
    public ReadySocket(Socket socket, bool usesLoop)
    {
        Socket = socket;
        socket.Blocking = false;
        _loop = usesLoop ? SocketLoop.Next() : null;
    }

    public ReadySocket(Socket socket)
        : this(socket, SocketLoop.IsSupported)
    {
    }

    /// <summary>Who is to go on after an event.</summary>
    [Flags]
    private enum Next
    {
        None = 0,
        Reader = 1,
        Writer = 2,
        Owner = 4,
    }

    public Socket Socket { get; }

    /// <summary>By which the loop finds this; 0 before the loop knows it.</summary>
    public ulong Key { get; set; }

    /// <summary>Called once the peer has said that nothing more comes, or the connection has failed; what came before may still be there. On the loop's thread, behind whoever reads.</summary>
    public Action? PeerEnded { get; set; }

    /// <summary>True when there may be something to be read, or the end.</summary>
    public bool MayBeRead => _readable.IsReady;

    /// <summary>True once it was closed here.</summary>
    public bool IsClosed => Volatile.Read(ref _closed) != 0;

    /// <summary>Opens the connection. Before anything else.</summary>
    /// <param name="target">Where to.</param>
    /// <param name="cancellation">Ends the attempt.</param>
    /// <exception cref="SocketException">It could not be opened.</exception>
    public async Task ConnectAsync(EndPoint target, CancellationToken cancellation)
    {
        if (_loop is null)
        {
            await Socket.ConnectAsync(target, cancellation);
            return;
        }

        cancellation.ThrowIfCancellationRequested();
        if (SystemCalls.BeginConnect(Socket.SafeHandle, target))
            return;
        _readable.Forget();
        _writable = new Readiness(isReady: false);
        if (!TryWatch(writing: true))
            throw new SocketException((int)SocketError.NoBufferSpaceAvailable);
        await using (cancellation.UnsafeRegister(static socket => ((ReadySocket)socket!).Dispose(), this))
            await _writable.WaitAsync();
        cancellation.ThrowIfCancellationRequested();
        if (Socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error) is int error and not 0)
            throw new SocketException(error);
    }

    /// <summary>Takes what is there.</summary>
    /// <param name="room">Where to; not empty.</param>
    /// <param name="error"><see cref="SocketError.WouldBlock"/> when there is nothing yet.</param>
    /// <returns>How many bytes; 0 without an error is the end.</returns>
    public int Receive(Span<byte> room, out SocketError error)
    {
        if (!_readable.IsReady)
        {
            error = SocketError.WouldBlock;
            return 0;
        }

        _readable.Forget();
        var count = 0;
        try
        {
            count = Socket.Receive(room, SocketFlags.None, out error);
        }
        catch (ObjectDisposedException)
        {
            error = SocketError.OperationAborted;
        }

        var isOver = error == SocketError.Success ? count == 0 : error != SocketError.WouldBlock;
        if (!isOver && !_isWatched && !TryWatch(writing: false))
        {
            // It could not be waited for.
            (error, isOver, count) = (SocketError.OperationAborted, true, 0);
        }

        if (isOver || count == room.Length || _ended)
            _readable.Remember();
        else if (_loop is null)
            SystemWait();
        return count;
    }

    /// <summary>Waits until <see cref="Receive"/> is worth while; also ends when the socket is closed.</summary>
    public ValueTask ReadableAsync() => _readable.WaitAsync();

    /// <summary>Gives the system as much as it takes.</summary>
    /// <param name="bytes">What to send.</param>
    /// <param name="error">Why it took nothing: <see cref="SocketError.WouldBlock"/> when it has no room.</param>
    /// <returns>How much it took.</returns>
    public int Send(ReadOnlySpan<byte> bytes, out SocketError error)
    {
        try
        {
            return Socket.Send(bytes, SocketFlags.None, out error);
        }
        catch (ObjectDisposedException)
        {
            error = SocketError.OperationAborted;
            return 0;
        }
    }

    /// <summary><see cref="Send(ReadOnlySpan{byte}, out SocketError)"/> of several pieces at once.</summary>
    public int Send(IList<ArraySegment<byte>> pieces, out SocketError error)
    {
        try
        {
            return Socket.Send(pieces, SocketFlags.None, out error);
        }
        catch (ObjectDisposedException)
        {
            error = SocketError.OperationAborted;
            return 0;
        }
    }

    /// <summary>Sends all of it, however long that takes.</summary>
    /// <returns>What went wrong; <see cref="SocketError.Success"/> for nothing.</returns>
    public async ValueTask<SocketError> SendAllAsync(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            // First what happens counts, then the system is tried: what it says after that is not missed.
            _writable?.Forget();
            var sent = Send(bytes.Span, out var error);
            bytes = bytes[sent..];
            if (error is not (SocketError.Success or SocketError.WouldBlock))
                return error;
            if (bytes.Length == 0)
                break;
            if (_loop is null)
                return await SystemSendAsync(bytes);
            _writable ??= new Readiness(isReady: false);
            // Told of it for the first time, the system says at once what is so, also if it has come to be since the try.
            if (!_isWatchedForWriting && !TryWatch(writing: true))
                return SocketError.OperationAborted;
            if (IsClosed)
                return SocketError.OperationAborted;
            await _writable.WaitAsync();
        }

        return SocketError.Success;
    }

    /// <summary>Closes it in order: the peer reads the end.</summary>
    public void Dispose() => Close(reset: false);

    /// <summary>Closes it so that the peer sees that something went wrong.</summary>
    public void Reset() => Close(reset: true);

    /// <summary>Takes note of an event. The loop's.</summary>
    /// <returns>True when <see cref="GoOn"/> is to follow.</returns>
    public bool Note(uint what)
    {
        const uint Unusual = ~(SystemCalls.Readable | SystemCalls.Writable);
        _next = Next.None;
        if ((what & Unusual) != 0)
        {
            _ended = true;
            if ((what & Unusual & ~SystemCalls.Urgent) != 0)
                _next = Next.Owner;
        }

        if ((what & (Unusual | SystemCalls.Readable)) != 0 && _readable.Note())
            _next |= Next.Reader;
        if ((what & (Unusual | SystemCalls.Writable)) != 0 && Volatile.Read(ref _writable)?.Note() == true)
            _next |= Next.Writer;
        return _next != Next.None;
    }

    /// <summary>Has those go on who wait for what <see cref="Note"/> took note of. The loop's.</summary>
    public void GoOn()
    {
        var next = _next;
        if ((next & Next.Reader) != 0)
            _readable.GoOn();
        if ((next & Next.Writer) != 0)
            _writable!.GoOn();
        if ((next & Next.Owner) != 0)
            PeerEnded?.Invoke();
    }

    private bool TryWatch(bool writing)
    {
        if (_loop is null)
            return true;
        lock (_readable)
        {
            if (IsClosed)
                return false;
            try
            {
                if (Key == 0)
                    _loop.Add(this);
                _loop.Watch(this, writing || _isWatchedForWriting, again: _isWatched);
                _isWatched = true;
                _isWatchedForWriting |= writing;
                return true;
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                return false;
            }
        }
    }

    private void Close(bool reset)
    {
        if (Interlocked.Exchange(ref _closed, 1) != 0)
            return;
        if (_loop is not null)
        {
            lock (_readable)
                _loop.Remove(this);
        }

        if (reset)
            Socket.Close(timeout: 0);
        else if (_loop is null)
            SystemClose();
        else
            Socket.Dispose();

        // Not here: whoever closes may hold a lock that those who wait need.
        _readable.End();
        Volatile.Read(ref _writable)?.End();
    }
}

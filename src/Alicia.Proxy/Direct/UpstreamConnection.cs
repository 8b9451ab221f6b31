using System.IO.Pipelines;
using System.Net.Sockets;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Live;
using Alicia.Proxy.Sockets;

namespace Alicia.Proxy.Direct;

/// <summary>What came of the first sending on a connection.</summary>
internal enum FirstSend
{
    /// <summary>All of it went out.</summary>
    Sent,

    /// <summary>The connection was closed and took not one byte: whatever the request is, nobody has seen it.</summary>
    NothingSent,

    /// <summary>A part went out, and then the connection failed.</summary>
    Failed,
}

/// <summary>
/// One connection to an instance, for one exchange at a time. While it is kept, it listens: bytes or an end that nobody asked for are there to be seen before the next request
/// is sent, without asking the system.
/// </summary>
internal sealed partial class UpstreamConnection : IDisposable
{
    /// <summary>What receiving says when there is nothing yet.</summary>
    public const int Nothing = -2;

    private readonly ReadySocket _socket;
    private readonly ConnectionCount _count;
    private readonly Lock _abortLock = new();
    private readonly SilenceClock _silence;
    private byte[] _buffer = [];
    private bool _aborted;
    private int _disposed;
    private PipeWriter? _downstream;
    private CancellationTokenSource? _upload;
    private FairShare _share;

    /// <param name="slot">Where it goes.</param>
    /// <param name="socket">The open connection; from now on this object's.</param>
    /// <param name="count">Where it counts as long as it is open.</param>
    /// <param name="time">The clock of silences.</param>
    public UpstreamConnection(AddressSlot slot, ReadySocket socket, ConnectionCount count, TimeProvider time)
    {
        (Slot, _socket, _count) = (slot, socket, count);
        count.Enter();
        _silence = new SilenceClock(time, Abort);
    }

    public AddressSlot Slot { get; }

    /// <summary>The head of the last answer, or its trailers. Its fields are there until something is waited for.</summary>
    public ResponseHead Head { get; } = new();

    /// <summary>For answers in chunks.</summary>
    public ChunkedBody Chunks => field ??= new ChunkedBody();

    /// <summary>When it was last put away, as a <see cref="TimeProvider"/> timestamp.</summary>
    public long KeptAt { get; set; }

    /// <summary>True when the exchange was given up.</summary>
    public bool IsAborted => Volatile.Read(ref _aborted);

    /// <summary>True when an exchange was ended by its silence.</summary>
    public bool WentSilent => _silence.IsOver;

    /// <summary>False when bytes or the end came while nobody had asked for anything.</summary>
    public bool IsQuiet => !_socket.MayBeRead;

    /// <summary>
    /// <see cref="IsQuiet"/>, with the system asked as well: of what has come since events were looked for last, a fraction of a millisecond ago on a busy machine, nothing is known otherwise. Costs a system call, a fifteenth
    /// of a request (reports/knobs.md). What it saves, when an instance that stops or reloads in good order closes what waits, are requests that may not be sent twice, and a row of failures that would open its circuit.
    /// </summary>
    public bool IsQuietNow()
    {
        try
        {
            return IsQuiet && !_socket.Socket.Poll(0, SelectMode.SelectRead);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return false;
        }
    }

    /// <summary>What has come and was not used yet.</summary>
    public Span<byte> Received => _buffer.AsSpan(Start, End - Start);

    /// <summary>What <see cref="Received"/> stands in, from <see cref="Start"/> on; empty while there is nothing.</summary>
    public byte[] Buffer => _buffer;

    public int Start { get; private set; }

    private int End { get; set; }

    /// <summary>Begins an exchange.</summary>
    /// <param name="silence">How long nothing may move in it.</param>
    public void Begin(TimeSpan silence)
    {
        (Start, End) = (0, 0);
        _silence.Begin(silence);
    }

    /// <summary>Something has moved.</summary>
    public void Progress() => _silence.Progress();

    /// <summary>As <see cref="FairShare.IsUsedUp"/>, of the exchange under way.</summary>
    public bool IsShareUsedUp(bool waited) => _share.IsUsedUp(waited);

    /// <summary>From now on an abort also ends the waiting for the caller to take its answer.</summary>
    public void DeliverTo(PipeWriter downstream)
    {
        lock (_abortLock)
        {
            _downstream = downstream;
            if (_aborted)
                downstream.CancelPendingFlush();
        }
    }

    /// <summary>From now on an abort also ends the reading of the request's body.</summary>
    public void UploadFrom(CancellationTokenSource upload)
    {
        bool aborted;
        lock (_abortLock)
        {
            _upload = upload;
            aborted = _aborted;
        }

        if (aborted)
            upload.Cancel();
    }

    /// <summary>Ends the exchange; after this an abort touches nothing of the caller's any more.</summary>
    /// <returns>True when the connection is as good as before.</returns>
    public bool Conclude()
    {
        GiveBack();
        lock (_abortLock)
        {
            (_downstream, _upload) = (null, null);
            return _silence.End() && !_aborted;
        }
    }

    /// <summary>Keeps the connection, and listens on it.</summary>
    /// <returns>False when it is of no more use.</returns>
    public bool TryKeep()
    {
        if (End > Start)
            return false;
        // Where there may be something, it is looked for; from then on the system tells.
        Span<byte> any = stackalloc byte[1];
        return Receive(any) == Nothing;
    }

    /// <summary>Sends the first bytes of a request.</summary>
    public ValueTask<FirstSend> SendFirstAsync(ReadOnlyMemory<byte> bytes)
    {
        var sent = _socket.Send(bytes.Span, out var error);
        if (error == SocketError.Success && sent == bytes.Length)
            return ValueTask.FromResult(FirstSend.Sent);
        if (error is not (SocketError.Success or SocketError.WouldBlock))
            return ValueTask.FromResult(FirstSend.NothingSent);
        return RestAsync(bytes[sent..]);

        async ValueTask<FirstSend> RestAsync(ReadOnlyMemory<byte> rest) => await TrySendAsync(rest) ? FirstSend.Sent : FirstSend.Failed;
    }

    /// <summary>Sends more of a request.</summary>
    /// <returns>False when the connection has failed.</returns>
    public async ValueTask<bool> TrySendAsync(ReadOnlyMemory<byte> bytes) => await _socket.SendAllAsync(bytes) == SocketError.Success;

    /// <summary>
    /// Gives the exchange up, whatever it is waiting for. On HTTP/1.1 nothing less than closing the connection ends an exchange.
    /// </summary>
    public void Abort()
    {
        CancellationTokenSource? upload;
        lock (_abortLock)
        {
            if (_aborted)
                return;
            Volatile.Write(ref _aborted, true);
            upload = _upload;
            // Before what waits goes on, and inside the lock: once the exchange has been concluded, the next one's flush would be cancelled.
            Dispose();
            _downstream?.CancelPendingFlush();
        }

        upload?.Cancel();
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
            return;
        _silence.Dispose();
        _socket.Dispose();
        _count.Leave();
    }
}

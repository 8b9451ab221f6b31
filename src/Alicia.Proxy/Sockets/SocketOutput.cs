using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Alicia.Proxy.Sockets;

/// <summary>
/// What goes to a peer, handed to the system by whoever flushes, at once and on the same thread. What the system has no room for goes on by itself, and the flush lasts until it has gone.
/// </summary>
internal sealed class SocketOutput(ReadySocket socket, MemoryPool<byte> pool, ISocketOwner owner) : PipeWriter
{
    /// <summary>Pieces in one call; with the server's blocks that is more than most answers.</summary>
    private const int MostPieces = 16;

    private readonly Lock _lock = new();

    /// <summary>What was written and not sent; of the first piece, from there on.</summary>
    private ByteSegment? _head;
    private ByteSegment? _tail;
    private int _start;
    private long _unflushed;
    private ByteSegment? _spare;
    private List<ArraySegment<byte>>? _pieces;

    /// <summary>What the system had no room for, and what was flushed behind it; with the lock.</summary>
    private ByteSegment? _waiting;
    private ByteSegment? _lastWaiting;
    private int _waitingStart;
    private bool _isSending;
    private Task _sending = Task.CompletedTask;
    private TaskCompletionSource? _pendingFlush;
    private bool _cancelNext;
    private volatile bool _isBroken;
    private bool _isCompleted;

    public override bool CanGetUnflushedBytes => true;

    public override long UnflushedBytes => _unflushed;

    public override Memory<byte> GetMemory(int sizeHint = 0) => Room(sizeHint).Free;

    public override Span<byte> GetSpan(int sizeHint = 0) => Room(sizeHint).Free.Span;

    public override void Advance(int bytes)
    {
        if (bytes == 0)
            return;
        (_tail ?? throw new InvalidOperationException("No memory was asked for.")).Advance(bytes);
        _unflushed += bytes;
    }

    public override ValueTask<FlushResult> FlushAsync(CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled<FlushResult>(cancellationToken);
        if (!Volatile.Read(ref _isSending) && TrySend())
            return new(new FlushResult(TakeCancelled(), isCompleted: false));
        if (_isBroken)
            return new(new FlushResult(TakeCancelled(), isCompleted: true));
        SendInTurn();
        return WaitAsync(cancellationToken);
    }

    public override void CancelPendingFlush()
    {
        lock (_lock)
        {
            _cancelNext = _pendingFlush is null;
            _pendingFlush?.TrySetResult();
        }
    }

    public override void Complete(Exception? exception = null) => _isCompleted = true;

    /// <summary>Sends what is left and waits until all has gone, or nothing can go any more.</summary>
    public async ValueTask FinishAsync()
    {
        if (Volatile.Read(ref _isSending) || !TrySend())
        {
            if (!_isBroken)
                SendInTurn();
            await _sending;
        }

        Drop();
    }

    private ByteSegment Room(int bytes)
    {
        if (_isCompleted)
            throw new InvalidOperationException("It was completed.");
        if (_tail is { } tail && tail.FreeBytes >= Math.Max(bytes, 1))
            return tail;
        var segment = _spare ?? new ByteSegment();
        _spare = null;
        segment.Rent(pool, bytes);
        _tail?.Append(segment);
        _head ??= segment;
        return _tail = segment;
    }

    /// <summary>Has the system take what it takes without waiting.</summary>
    /// <returns>True when nothing is left.</returns>
    private bool TrySend()
    {
        while (_unflushed > 0)
        {
            var sent = _head == _tail ? socket.Send(_head!.Memory.Span[_start..], out var error) : socket.Send(Pieces(), out error);
            _unflushed -= sent;
            for (_start += sent; _head is { } head && _start >= head.End && head != _tail; _head = Return(head))
                _start -= head.End;
            if (error is SocketError.Success)
                continue;
            if (error is not SocketError.WouldBlock)
                Break(error);
            return false;
        }

        Drop();
        return !_isBroken;
    }

    private List<ArraySegment<byte>> Pieces()
    {
        var pieces = _pieces ??= new List<ArraySegment<byte>>(MostPieces);
        pieces.Clear();
        var start = _start;
        for (var segment = _head; segment is not null && pieces.Count < MostPieces; segment = segment.NextSegment)
        {
            if (!MemoryMarshal.TryGetArray(segment.Memory[start..], out var piece))
                throw new NotSupportedException("The server's memory is not made of arrays.");
            if (piece.Count > 0)
                pieces.Add(piece);
            start = 0;
        }

        return pieces;
    }

    /// <summary>Puts what is left behind what waits already, and sees to it that it is sent.</summary>
    private void SendInTurn()
    {
        lock (_lock)
        {
            if (_head is not null)
            {
                if (_waiting is null)
                    (_waiting, _waitingStart) = (_head, _start);
                else
                    _lastWaiting!.Append(_head);
                _lastWaiting = _tail;
            }

            (_head, _tail, _start, _unflushed) = (null, null, 0, 0);
            if (_isSending)
                return;
            _isSending = true;
        }

        _sending = SendWaitingAsync();
    }

    private async Task SendWaitingAsync()
    {
        while (true)
        {
            ReadOnlyMemory<byte> bytes;
            lock (_lock)
            {
                if (_waiting is null || _isBroken)
                {
                    while (_waiting is not null)
                        _waiting = _waiting.Return();
                    _isSending = false;
                    return;
                }

                bytes = _waiting.Memory[_waitingStart..];
            }

            var error = await socket.SendAllAsync(bytes);
            lock (_lock)
            {
                _waitingStart = 0;
                _waiting = _waiting.Return();
            }

            if (error is not SocketError.Success)
                Break(error);
        }
    }

    private async ValueTask<FlushResult> WaitAsync(CancellationToken cancellation)
    {
        var pending = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
        {
            _pendingFlush = pending;
            if (_cancelNext)
                pending.SetResult();
            _cancelNext = false;
        }

        try
        {
            await Task.WhenAny(_sending, pending.Task).WaitAsync(cancellation);
        }
        finally
        {
            lock (_lock)
                _pendingFlush = null;
        }

        return new FlushResult(pending.Task.IsCompleted, _isBroken);
    }

    private bool TakeCancelled()
    {
        if (!Volatile.Read(ref _cancelNext))
            return false;
        lock (_lock)
        {
            var cancelled = _cancelNext;
            _cancelNext = false;
            return cancelled;
        }
    }

    private void Break(SocketError error)
    {
        _isBroken = true;
        _unflushed = 0;
        owner.OutputFailed(error);
    }

    private void Drop()
    {
        while (_head is not null)
            _head = Return(_head);
        (_tail, _start) = (null, 0);
    }

    private ByteSegment? Return(ByteSegment segment)
    {
        var next = segment.Return();
        _spare ??= segment;
        return next;
    }
}

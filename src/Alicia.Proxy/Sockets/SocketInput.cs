using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Threading.Tasks.Sources;
using Microsoft.AspNetCore.Connections;

namespace Alicia.Proxy.Sockets;

/// <summary>
/// What a peer sends, read when somebody asks for it: what nobody has read waits in the system, which has the sender wait. Without anything to read there is no buffer.
/// </summary>
/// <remarks>Once the peer has ended, what it has said last is read ahead (<see cref="ReadAhead"/>): nobody may learn that it has left, and close the connection for it, before its last words are safe.</remarks>
internal sealed class SocketInput : PipeReader, IValueTaskSource<ReadResult>
{
    /// <summary>A block with less room than this is not read into any more.</summary>
    private const int LeastRoom = 512;

    /// <summary>The first look takes a block of the pool, which holds nearly every head; where that was full there is more, and a call for each 4 KB of it would be dear.</summary>
    private const int LargeBytes = 16 * 1024;

    /// <summary>How much is read ahead; as much as the server's own transport reads before anybody asks.</summary>
    private const int MostAhead = 1024 * 1024;

    private const int Idle = 0;

    /// <summary>The socket has been asked to tell.</summary>
    private const int Armed = 1;

    /// <summary>Somebody waits.</summary>
    private const int Waiting = 2;

    private readonly ReadySocket _socket;
    private readonly MemoryPool<byte> _pool;
    private readonly ISocketOwner _owner;
    private readonly Action _onReadable;

    /// <summary>For the buffers, which a reader and whoever reads ahead may come to at the same time.</summary>
    private readonly Lock _lock = new();
    private ManualResetValueTaskSourceCore<ReadResult> _waiter;
    private ValueTaskAwaiter _readable;
    private CancellationTokenRegistration _cancellation;
    private CancellationToken _token;
    private ByteSegment? _head;
    private ByteSegment? _tail;
    private ByteSegment? _spare;
    private int _start;
    private bool _isExamined = true;
    private bool _isFull;
    private bool _isCompleted;
    private bool _hasEnded;
    private Exception? _failure;
    private int _state;
    private int _cancelled;

    public SocketInput(ReadySocket socket, MemoryPool<byte> pool, ISocketOwner owner)
    {
        (_socket, _pool, _owner) = (socket, pool, owner);
        _onReadable = OnReadable;
    }

    public override bool TryRead(out ReadResult result)
    {
        lock (_lock)
        {
            if (_isCompleted)
                throw new InvalidOperationException("It was completed by its reader.");
            var isCanceled = TakeCancelled();
            if (!isCanceled && _isExamined && !TryFill())
            {
                result = default;
                return false;
            }

            result = Result(isCanceled);
            return true;
        }
    }

    public override ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default)
    {
        ReadResult result;
        while (!TryRead(out result))
        {
            cancellationToken.ThrowIfCancellationRequested();
            _waiter.Reset();
            var token = _waiter.Version;
            // An earlier wait that was cancelled has left the socket asked.
            if (Interlocked.CompareExchange(ref _state, Armed | Waiting, Armed) == Armed)
                Heed(cancellationToken);
            else if (!TryArm(cancellationToken))
                continue;
            // Somebody may have come with it between the look for it and the wait.
            if (Volatile.Read(ref _cancelled) != 0)
                CancelWaiting();
            return new(this, token);
        }

        return new(result);
    }

    public override void CancelPendingRead()
    {
        Interlocked.Exchange(ref _cancelled, 1);
        CancelWaiting();
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        lock (_lock)
        {
            if (examined.GetObject() is ByteSegment seen)
                _isExamined = seen == _tail && examined.GetInteger() == seen.End;
            if (consumed.GetObject() is not ByteSegment last)
                return;
            while (_head is not null && _head != last)
                Return();
            if (_head is null)
                return;
            _start = consumed.GetInteger();
            // Nothing is kept for whoever has read all: most connections wait most of the time.
            while (_head is not null && _start == _head.End)
                Return();
        }
    }

    public override void Complete(Exception? exception = null)
    {
        lock (_lock)
        {
            _isCompleted = true;
            while (_head is not null)
                Return();
        }
    }

    /// <summary>The peer has ended: reads what it has said before, and the end, unless that is very much.</summary>
    public void ReadAhead()
    {
        lock (_lock)
        {
            if (_isCompleted)
                return;
            try
            {
                while (!_hasEnded && Length() < MostAhead && TryFill())
                {
                }
            }
            catch (Exception e) when (e == _failure)
            {
                // For whoever reads next.
            }
        }
    }

    /// <summary>Throws away what has come and nobody wants: a connection that is closed on bytes unread is reset, and the reset can overtake the last answer. Behind <see cref="Complete"/>.</summary>
    public void Discard()
    {
        lock (_lock)
        {
            if (!_socket.MayBeRead || _hasEnded)
                return;
            var room = ArrayPool<byte>.Shared.Rent(LargeBytes);
            for (var left = MostAhead; left > 0 && _socket.Receive(room, out _) is var count and > 0; left -= count)
            {
            }

            ArrayPool<byte>.Shared.Return(room);
        }
    }

    ReadResult IValueTaskSource<ReadResult>.GetResult(short token)
    {
        if (_token.CanBeCanceled)
        {
            _cancellation.Dispose();
            (_cancellation, _token) = (default, default);
        }

        return _waiter.GetResult(token);
    }

    ValueTaskSourceStatus IValueTaskSource<ReadResult>.GetStatus(short token) => _waiter.GetStatus(token);

    void IValueTaskSource<ReadResult>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _waiter.OnCompleted(continuation, state, token, flags);

    private void OnReadable()
    {
        _readable.GetResult();
        if ((Interlocked.Exchange(ref _state, Idle) & Waiting) == 0)
            return;
        var result = default(ReadResult);
        Exception? failure = null;
        try
        {
            // Now and then it was a false alarm.
            while (!TryRead(out result))
            {
                if (!TryArm())
                    continue;
                // Whoever cancelled meanwhile has found nobody waiting.
                if (Volatile.Read(ref _cancelled) != 0)
                    CancelWaiting();
                if (_token.IsCancellationRequested)
                    Cancel(_token);
                return;
            }
        }
        catch (Exception e) when (e == _failure || e is InvalidOperationException)
        {
            failure = e;
        }

        if (failure is null)
            _waiter.SetResult(result);
        else
            _waiter.SetException(failure);
    }

    /// <returns>False when there may be something by now.</returns>
    private bool TryArm(CancellationToken cancellation = default)
    {
        // Not while somebody reads ahead: he would take the event that is waited for here.
        lock (_lock)
        {
            if (!_isExamined || _hasEnded)
                return false;
            var readable = _socket.ReadableAsync();
            if (readable.IsCompleted)
            {
                readable.GetAwaiter().GetResult();
                return false;
            }

            _readable = readable.GetAwaiter();
            Volatile.Write(ref _state, Armed | Waiting);
        }

        Heed(cancellation);
        // From here on the answer may come at any time, on another thread.
        _readable.UnsafeOnCompleted(_onReadable);
        return true;
    }

    private void Heed(CancellationToken cancellation)
    {
        if (!cancellation.CanBeCanceled)
            return;
        _token = cancellation;
        _cancellation = cancellation.UnsafeRegister(static (input, token) => ((SocketInput)input!).Cancel(token), this);
    }

    /// <summary>Ends the wait of whoever waits; the socket stays asked.</summary>
    private void CancelWaiting()
    {
        if (Interlocked.CompareExchange(ref _state, Armed, Armed | Waiting) != (Armed | Waiting))
            return;
        Interlocked.Exchange(ref _cancelled, 0);
        ReadResult result;
        lock (_lock)
            result = Result(isCanceled: true);
        _waiter.SetResult(result);
    }

    private void Cancel(CancellationToken token)
    {
        if (Interlocked.CompareExchange(ref _state, Armed, Armed | Waiting) == (Armed | Waiting))
            _waiter.SetException(new OperationCanceledException(token));
    }

    private bool TakeCancelled() => Volatile.Read(ref _cancelled) != 0 && Interlocked.Exchange(ref _cancelled, 0) != 0;

    /// <summary>Reads what is there. With the lock.</summary>
    /// <returns>False when that is nothing.</returns>
    /// <exception cref="IOException">The connection has failed.</exception>
    private bool TryFill()
    {
        if (_hasEnded)
            return _failure is null ? true : throw _failure;
        if (!_socket.MayBeRead)
            return false;
        var segment = _tail;
        if (segment is null || segment.FreeBytes < LeastRoom)
        {
            segment = _spare ?? new ByteSegment();
            _spare = null;
            segment.Rent(_pool, _isFull ? LargeBytes : 1);
        }

        var room = segment.FreeBytes;
        var count = _socket.Receive(segment.Free.Span, out var error);
        if (count == 0 && segment != _tail)
        {
            segment.Return();
            _spare = segment;
        }

        if (error == SocketError.WouldBlock)
            return false;
        if (error != SocketError.Success)
            _failure = _owner.Reason ?? Failure(error);
        if (count == 0)
        {
            _hasEnded = true;
            _owner.InputEnded();
            return _failure is null ? true : throw _failure;
        }

        segment.Advance(count);
        _isFull = count == room;
        _isExamined = false;
        if (segment == _tail)
            return true;
        _tail?.Append(segment);
        _tail = segment;
        _head ??= segment;
        return true;
    }

    private ReadResult Result(bool isCanceled) =>
        new(_head is null ? ReadOnlySequence<byte>.Empty : new ReadOnlySequence<byte>(_head, _start, _tail!, _tail!.End), isCanceled, _hasEnded && _failure is null);

    private long Length() => _head is null ? 0 : _tail!.RunningIndex + _tail.End - _head.RunningIndex - _start;

    /// <summary>Gives the first piece back.</summary>
    private void Return()
    {
        var segment = _head!;
        _head = segment.Return();
        _spare ??= segment;
        _start = 0;
        if (_head is null)
            _tail = null;
    }

    private static IOException Failure(SocketError error)
    {
        var cause = new SocketException((int)error);
        return error is SocketError.ConnectionReset or SocketError.Shutdown ? new ConnectionResetException(cause.Message, cause) : new IOException(cause.Message, cause);
    }
}

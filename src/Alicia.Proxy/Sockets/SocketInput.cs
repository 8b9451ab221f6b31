using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;

namespace Alicia.Proxy.Sockets;

/// <summary>
/// What a peer sends, read when somebody asks for it: what nobody has read waits in the system, which has the sender wait. Without anything to read there is no buffer.
/// </summary>
/// <remarks>Once the peer has ended, what it has said last is read ahead (<see cref="ReadAhead"/>): nobody may learn that it has left, and close the connection for it, before its last words are safe.</remarks>
internal sealed partial class SocketInput : PipeReader
{
    /// <summary>A block with less room than this is not read into any more.</summary>
    private const int LeastRoom = 512;

    /// <summary>The first look takes a block of the pool, which holds nearly every head; where that was full there is more, and a call for each 4 KB of it would be dear.</summary>
    private const int LargeBytes = 16 * 1024;

    /// <summary>How much is read ahead; as much as the server's own transport reads before anybody asks.</summary>
    private const int MostAhead = 1024 * 1024;

    private readonly ReadySocket _socket;
    private readonly MemoryPool<byte> _pool;
    private readonly ISocketOwner _owner;
    private readonly Action _onReadable;

    /// <summary>For the buffers, which a reader and whoever reads ahead may come to at the same time.</summary>
    private readonly Lock _lock = new();
    private ByteSegment? _head;
    private ByteSegment? _tail;
    private ByteSegment? _spare;
    private int _start;
    private bool _isExamined = true;
    private bool _isFull;
    private bool _isCompleted;
    private bool _hasEnded;
    private Exception? _failure;

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

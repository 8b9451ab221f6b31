using System.Buffers;

namespace Alicia.Proxy.Sockets;

/// <summary>A piece of memory, filled from its beginning, with the next one behind it.</summary>
internal sealed class ByteSegment : ReadOnlySequenceSegment<byte>
{
    private IMemoryOwner<byte>? _owner;
    private byte[]? _array;
    private Memory<byte> _room;

    /// <summary>How much of it is filled.</summary>
    public int End { get; private set; }

    /// <summary>What of it is not.</summary>
    public Memory<byte> Free => _room[End..];

    public int FreeBytes => _room.Length - End;

    public ByteSegment? NextSegment => (ByteSegment?)Next;

    /// <summary>Takes memory.</summary>
    /// <param name="pool">The server's, for what fits into one of its blocks; anything larger is of the runtime's shared arrays.</param>
    /// <param name="bytes">At least that much.</param>
    public void Rent(MemoryPool<byte> pool, int bytes)
    {
        if (bytes <= pool.MaxBufferSize)
        {
            _owner = pool.Rent(bytes);
            _room = _owner.Memory;
        }
        else
        {
            _array = ArrayPool<byte>.Shared.Rent(bytes);
            _room = _array;
        }

        (End, RunningIndex, Memory, Next) = (0, 0, default, null);
    }

    /// <summary>Takes note that more of it is filled.</summary>
    public void Advance(int bytes)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)bytes, (uint)FreeBytes);
        End += bytes;
        Memory = _room[..End];
    }

    public void Append(ByteSegment next)
    {
        next.RunningIndex = RunningIndex + End;
        Next = next;
    }

    /// <summary>Gives the memory back.</summary>
    /// <returns>The next one.</returns>
    public ByteSegment? Return()
    {
        var next = NextSegment;
        _owner?.Dispose();
        if (_array is not null)
            ArrayPool<byte>.Shared.Return(_array);
        (_owner, _array, _room, Memory, Next, End) = (null, null, default, default, null, 0);
        return next;
    }
}

using System.Net.Sockets;
using System.Runtime.CompilerServices;

namespace Alicia.Proxy.Direct;

/// <content>What comes from the instance, and the buffer that it comes into.</content>
internal sealed partial class UpstreamConnection
{
    /// <summary>Takes what has come behind the bytes that are there.</summary>
    /// <returns>How many came: 0 at the end, −1 when the connection failed, <see cref="Nothing"/> when <see cref="ReadableAsync"/> has to be waited for.</returns>
    public int Receive()
    {
        // Looked at before room is made: a socket that became readable in between would be given no room, and what it says to that is what it says at the end.
        if (!_socket.MayBeRead)
            return Nothing;
        MakeRoom();
        var received = Receive(_buffer.AsSpan(End));
        if (received > 0)
            End += received;
        return received;
    }

    /// <summary>Waits until <see cref="Receive()"/> is worth while, or the exchange was given up.</summary>
    public ValueTask ReadableAsync()
    {
        if (Start == End)
            GiveBack();
        return _socket.ReadableAsync();
    }

    /// <summary>Waits for more bytes behind those that are there.</summary>
    /// <returns>How many came: 0 at the end, −1 when the connection failed.</returns>
    public ValueTask<int> ReceiveAsync()
    {
        var received = Receive();
        return received != Nothing ? ValueTask.FromResult(received) : AwaitedAsync();

        [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
        async ValueTask<int> AwaitedAsync()
        {
            int received;
            do
                await ReadableAsync();
            while ((received = Receive()) == Nothing);
            return received;
        }
    }

    /// <summary>Receives into memory of the caller's answer.</summary>
    /// <returns>As <see cref="ReceiveAsync"/>.</returns>
    public ValueTask<int> ReceiveIntoAsync(Memory<byte> memory)
    {
        if (Start == End)
            GiveBack();
        var received = Receive(memory.Span);
        return received != Nothing ? ValueTask.FromResult(received) : AwaitedAsync(memory);

        [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
        async ValueTask<int> AwaitedAsync(Memory<byte> memory)
        {
            int received;
            do
                await _socket.ReadableAsync();
            while ((received = Receive(memory.Span)) == Nothing);
            return received;
        }
    }

    /// <summary>Takes note that the first bytes of <see cref="Received"/> were used.</summary>
    public void Use(int bytes)
    {
        Start += bytes;
        if (Start == End)
            (Start, End) = (0, 0);
    }

    private int Receive(Span<byte> room)
    {
        var received = _socket.Receive(room, out var error);
        return error switch
        {
            SocketError.Success => received,
            SocketError.WouldBlock => Nothing,
            _ => -1,
        };
    }

    /// <summary>Gives the buffer back with all that is in it.</summary>
    private void GiveBack()
    {
        if (_buffer.Length == 0)
            return;
        Head.Forget();
        ReceiveBuffers.Return(_buffer);
        _buffer = [];
    }

    private void MakeRoom()
    {
        if (_buffer.Length == 0)
        {
            _buffer = ReceiveBuffers.Rent();
            return;
        }

        if (End < _buffer.Length)
            return;
        if (Start > 0)
        {
            Received.CopyTo(_buffer);
            (Start, End) = (0, End - Start);
            return;
        }

        // Only a head that has not ended yet fills it.
        Array.Resize(ref _buffer, _buffer.Length * 2);
    }
}

using System.Net.Sockets;
using System.Runtime.CompilerServices;

namespace Alicia.Proxy.Direct;

/// <content>What comes from the instance, and the buffer that it comes into.</content>
internal sealed partial class UpstreamConnection
{
    /// <summary>Waits for more bytes behind those that are there.</summary>
    /// <returns>How many came: 0 at the end, −1 when the connection failed.</returns>
    public ValueTask<int> ReceiveAsync()
    {
        try
        {
            var coming = Coming();
            return coming.IsCompletedSuccessfully ? ValueTask.FromResult(Came(coming.Result)) : AwaitedAsync(coming);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return ValueTask.FromResult(-1);
        }
    }

    /// <summary>
    /// <see cref="ReceiveAsync"/> for the one place that every request waits at: without a waiting method of its own. What comes of it is for <see cref="Came"/>.
    /// </summary>
    /// <exception cref="SocketException">The connection failed; also when awaited.</exception>
    /// <exception cref="ObjectDisposedException">The exchange was given up; also when awaited.</exception>
    public ValueTask<int> Coming()
    {
        if (!_isReceiving)
        {
            MakeRoom();
            _receiving = _socket.ReceiveAsync(_buffer.AsMemory(End), SocketFlags.None);
        }

        _isReceiving = false;
        return _receiving;
    }

    /// <summary>Takes note of bytes that came.</summary>
    /// <returns>The same.</returns>
    public int Came(int bytes)
    {
        End += bytes;
        return bytes;
    }

    /// <summary>Receives into memory of the caller's answer.</summary>
    /// <returns>As <see cref="ReceiveAsync"/>.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<int> ReceiveIntoAsync(Memory<byte> memory)
    {
        try
        {
            return await _socket.ReceiveAsync(memory, SocketFlags.None);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return -1;
        }
    }

    /// <summary>Takes note that the first bytes of <see cref="Received"/> were used.</summary>
    public void Use(int bytes)
    {
        Start += bytes;
        if (Start == End)
            (Start, End) = (0, 0);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> AwaitedAsync(ValueTask<int> receiving)
    {
        try
        {
            return Came(await receiving);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            return -1;
        }
    }

    private void MakeRoom()
    {
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

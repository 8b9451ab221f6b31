using System.Net.Sockets;

namespace Alicia.Proxy.Sockets;

/// <content>What the runtime does where there is no <see cref="SocketLoop"/>.</content>
internal sealed partial class ReadySocket
{
    private int _systemWaits;

    /// <summary>Closes in order. The runtime takes a wait of its own that is under way for a reason to reset.</summary>
    private void SystemClose()
    {
        try
        {
            Socket.Shutdown(SocketShutdown.Both);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It has ended already.
        }

        Socket.Dispose();
    }

    /// <summary>Has the runtime wait for the first byte, or the end.</summary>
    private void SystemWait()
    {
        if (Interlocked.Exchange(ref _systemWaits, 1) == 0)
            _ = WaitAsync();

        async Task WaitAsync()
        {
            try
            {
                await Socket.ReceiveAsync(Memory<byte>.Empty, SocketFlags.None);
                _ended |= Socket.Available == 0;
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                _ended = true;
            }

            Volatile.Write(ref _systemWaits, 0);
            if (_readable.Note())
                _readable.GoOn();
            if (_ended)
                PeerEnded?.Invoke();
        }
    }

    /// <summary>Has the runtime wait for room.</summary>
    private async Task<SocketError> SystemSendAsync(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            while (bytes.Length > 0)
                bytes = bytes[await Socket.SendAsync(bytes, SocketFlags.None)..];
            return SocketError.Success;
        }
        catch (SocketException e)
        {
            return e.SocketErrorCode;
        }
        catch (ObjectDisposedException)
        {
            return SocketError.OperationAborted;
        }
    }
}

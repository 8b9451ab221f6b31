using System.Net.Sockets;
using System.Text;

namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>How a raw reading ended.</summary>
internal enum RawEnd
{
    /// <summary>The marker that was waited for has come.</summary>
    Found,

    /// <summary>The other side closed in order.</summary>
    Closed,

    /// <summary>The other side reset the connection.</summary>
    Reset,

    /// <summary>Still open, nothing more came in time.</summary>
    Deadline,
}

/// <summary>A TCP connection whose bytes a test writes and reads itself. Text is Latin-1: one character, one byte.</summary>
internal sealed class RawConnection(Socket socket) : IDisposable
{
    private readonly MemoryStream _received = new();
    private int _taken;

    /// <summary>Everything that has been read so far.</summary>
    public string Received => Encoding.Latin1.GetString(_received.ToArray());

    /// <exception cref="SocketException">Nobody listens there.</exception>
    public static async Task<RawConnection> ConnectAsync(Uri address)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            using var late = new CancellationTokenSource(Deadlines.Wait);
            await socket.ConnectAsync(address.Host, address.Port, late.Token);
            return new RawConnection(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public Task SendAsync(string text) => SendAsync(Encoding.Latin1.GetBytes(text));

    public async Task SendAsync(ReadOnlyMemory<byte> bytes)
    {
        using var late = new CancellationTokenSource(Deadlines.Wait);
        while (!bytes.IsEmpty)
            bytes = bytes[await socket.SendAsync(bytes, late.Token)..];
    }

    /// <summary>Reads up to and with <paramref name="marker"/>; what follows it stays for the next reading.</summary>
    public Task<(string Text, RawEnd End)> ReadUntilAsync(string marker, TimeSpan? deadline = null) =>
        ReadAsync(text => text.IndexOf(marker, StringComparison.Ordinal) is >= 0 and var at ? at + marker.Length : -1, deadline);

    /// <summary>Reads a message's head with its empty line.</summary>
    public Task<(string Text, RawEnd End)> ReadHeadAsync(TimeSpan? deadline = null) => ReadUntilAsync("\r\n\r\n", deadline);

    /// <summary>Reads exactly so many bytes, or fewer when the connection ends before.</summary>
    public Task<(string Text, RawEnd End)> ReadCountAsync(int count, TimeSpan? deadline = null) =>
        ReadAsync(text => text.Length >= count ? count : -1, deadline);

    /// <summary>Reads until the other side ends the connection.</summary>
    public Task<(string Text, RawEnd End)> ReadToEndAsync(TimeSpan? deadline = null) => ReadAsync(_ => -1, deadline);

    /// <summary>Says that nothing more will be sent; reading goes on.</summary>
    public void EndInput() => socket.Shutdown(SocketShutdown.Send);

    /// <summary>Sends a TCP reset.</summary>
    public void Reset() => socket.Close(timeout: 0);

    public void Dispose() => socket.Dispose();

    private async Task<(string Text, RawEnd End)> ReadAsync(Func<string, int> lengthOf, TimeSpan? deadline)
    {
        using var late = new CancellationTokenSource(deadline ?? Deadlines.Wait);
        var buffer = new byte[16 * 1024];
        while (true)
        {
            var rest = Received[_taken..];
            var length = lengthOf(rest);
            if (length >= 0)
            {
                _taken += length;
                return (rest[..length], RawEnd.Found);
            }
            var end = RawEnd.Closed;
            try
            {
                var read = await socket.ReceiveAsync(buffer, late.Token);
                _received.Write(buffer, 0, read);
                if (read > 0)
                    continue;
            }
            catch (OperationCanceledException)
            {
                end = RawEnd.Deadline;
            }
            catch (SocketException)
            {
                end = RawEnd.Reset;
            }
            _taken += rest.Length;
            return (rest, end);
        }
    }
}

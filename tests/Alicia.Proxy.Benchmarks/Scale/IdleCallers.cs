using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Alicia.Proxy.Benchmarks.Scale;

/// <summary>Connections that have each had one answer and wait for their next request, as those of browsers and of services' pools do.</summary>
internal sealed class IdleCallers : IDisposable
{
    private const int AtOnce = 64;

    private static readonly byte[] _request = Encoding.ASCII.GetBytes("GET /s0000/100 HTTP/1.1\r\nHost: bench\r\n\r\n");

    private readonly Socket[] _sockets;

    private IdleCallers(Socket[] sockets) => _sockets = sockets;

    /// <summary>Opens them, and has each answered once.</summary>
    /// <exception cref="InvalidOperationException">One was refused, or answered with something else than 200.</exception>
    public static async Task<IdleCallers> OpenAsync(int port, int count, CancellationToken cancellation)
    {
        var callers = new IdleCallers(new Socket[count]);
        try
        {
            await Parallel.ForAsync(0, count, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellation }, async (i, token) =>
            {
                var socket = callers._sockets[i] = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), token);
                await AskAsync(socket, token);
            });
            return callers;
        }
        catch
        {
            callers.Dispose();
            throw;
        }
    }

    /// <summary>Asks once more on every connection: none may have been closed meanwhile.</summary>
    /// <exception cref="InvalidOperationException">One was.</exception>
    public Task AskAllAsync(CancellationToken cancellation) =>
        Parallel.ForEachAsync(_sockets, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = cancellation }, async (socket, token) => await AskAsync(socket, token));

    public void Dispose()
    {
        foreach (var socket in _sockets)
            socket?.Dispose();
    }

    private static async Task AskAsync(Socket socket, CancellationToken cancellation)
    {
        await socket.SendAsync(_request.AsMemory(), cancellation);
        var buffer = new byte[1024];
        var length = 0;
        while (true)
        {
            var read = await socket.ReceiveAsync(buffer.AsMemory(length), cancellation);
            length += read;
            var text = Encoding.ASCII.GetString(buffer, 0, length);
            // The body has 100 bytes and comes with its length.
            if (text.IndexOf("\r\n\r\n", StringComparison.Ordinal) is > 0 and var head && length >= head + 4 + 100)
            {
                if (!text.StartsWith("HTTP/1.1 200", StringComparison.Ordinal))
                    throw new InvalidOperationException(text);
                return;
            }

            if (read == 0 || length == buffer.Length)
                throw new InvalidOperationException($"an idle caller's answer ended with '{text}'");
        }
    }
}

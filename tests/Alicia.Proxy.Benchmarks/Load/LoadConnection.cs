using System.Buffers.Text;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Alicia.Proxy.Benchmarks.Load;

/// <summary>One client connection: a request, its whole answer, the next request, until the time is over. Expects answers with a Content-Length.</summary>
internal sealed class LoadConnection : IDisposable
{
    private const int MaxHeadBytes = 16 * 1024;

    private readonly Socket _socket;
    private readonly byte[][] _requests;
    private readonly byte[] _buffer = new byte[MaxHeadBytes];
    private int _next;

    private LoadConnection(Socket socket, byte[][] requests, int first) => (_socket, _requests, _next) = (socket, requests, first);

    public LatencyHistogram Latencies { get; } = new();

    public long Errors { get; private set; }

    public string? FirstError { get; private set; }

    /// <summary>Bytes received.</summary>
    public long Received { get; private set; }

    /// <param name="target">Where to.</param>
    /// <param name="requests">Sent in turn.</param>
    /// <param name="first">Index of the one to begin with.</param>
    public static async Task<LoadConnection> OpenAsync(IPEndPoint target, byte[][] requests, int first)
    {
        var socket = new Socket(target.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(target);
        return new LoadConnection(socket, requests, first);
    }

    /// <summary>Runs until <paramref name="end"/> (a <see cref="Stopwatch"/> timestamp). An answer other than 200 is counted; a broken connection ends
    /// the loop.</summary>
    public async Task RunAsync(long end, TimeSpan pause)
    {
        try
        {
            for (var start = Stopwatch.GetTimestamp(); start < end; start = Stopwatch.GetTimestamp())
            {
                await AskAsync(start);
                if (pause > TimeSpan.Zero)
                    await Task.Delay(pause);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or InvalidDataException)
        {
            Fail(e.Message);
        }
    }

    /// <summary>One request, whose latency counts from <paramref name="since"/> (a <see cref="Stopwatch"/> timestamp).</summary>
    /// <returns>False when the connection broke; that is counted.</returns>
    public async Task<bool> TryAskAsync(long since)
    {
        try
        {
            await AskAsync(since);
            return true;
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or InvalidDataException)
        {
            Fail(e.Message);
            return false;
        }
    }

    public void Dispose() => _socket.Dispose();

    private async Task AskAsync(long since)
    {
        await _socket.SendAsync(_requests[_next]);
        _next = (_next + 1) % _requests.Length;
        var head = await ReadAnswerAsync();
        if (head is null)
            Latencies.Record(Stopwatch.GetElapsedTime(since).Ticks * 100);
        else
            Fail(head);
    }

    private void Fail(string what)
    {
        Errors++;
        FirstError ??= what;
    }

    /// <returns>Null for a 200, else the head.</returns>
    private async ValueTask<string?> ReadAnswerAsync()
    {
        int filled = 0, end = -1;
        while (end < 0)
        {
            var received = await _socket.ReceiveAsync(_buffer.AsMemory(filled));
            if (received == 0 || filled + received == _buffer.Length)
                throw new InvalidDataException(received == 0 ? "the connection was closed" : "the head is too long");
            filled += received;
            Received += received;
            end = _buffer.AsSpan(0, filled).IndexOf("\r\n\r\n"u8);
        }

        var failure = _buffer.AsSpan(0, end).StartsWith("HTTP/1.1 200"u8) ? null : Encoding.ASCII.GetString(_buffer, 0, end);
        for (var missing = end + 4 + ContentLength(_buffer.AsSpan(0, end)) - filled; missing > 0;)
        {
            var received = await _socket.ReceiveAsync(_buffer.AsMemory(0, Math.Min(missing, _buffer.Length)));
            if (received == 0)
                throw new InvalidDataException("the answer was cut");
            missing -= received;
            Received += received;
        }

        return failure;
    }

    private static int ContentLength(ReadOnlySpan<byte> head)
    {
        for (var line = head.IndexOf((byte)'\n'); line >= 0; line = head.IndexOf((byte)'\n'))
        {
            head = head[(line + 1)..];
            if (head.Length > 16 && Ascii.EqualsIgnoreCase(head[..15], "content-length:"u8) && Utf8Parser.TryParse(head[15..].TrimStart((byte)' '), out int length, out _))
                return length;
        }

        throw new InvalidDataException("the answer has no Content-Length");
    }
}

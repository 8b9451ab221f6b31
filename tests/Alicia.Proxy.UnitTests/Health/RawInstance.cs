using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Alicia.Proxy.UnitTests.Health;

/// <summary>An instance on loopback that does with each connection what the test says, byte by byte.</summary>
internal sealed class RawInstance : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _ending = new();
    private readonly Func<NetworkStream, string, CancellationToken, Task> _answer;
    private readonly bool _reads;
    private readonly Task _accepting;
    private int _connections;

    private RawInstance(Func<NetworkStream, string, CancellationToken, Task> answer, bool reads)
    {
        (_answer, _reads) = (answer, reads);
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public int Connections => Volatile.Read(ref _connections);

    /// <summary>Request heads as they came.</summary>
    public ConcurrentQueue<string> Heads { get; } = new();

    /// <summary>Reads a request head, sends these bytes, and waits for the other side to close.</summary>
    public static RawInstance Answering(string answer) =>
        new(async (stream, _, cancellation) =>
        {
            await stream.WriteAsync(Encoding.Latin1.GetBytes(answer), cancellation);
            await ClosedAsync(stream, cancellation);
        }, reads: true);

    /// <summary>Reads a request head and does this; the connection closes behind it.</summary>
    public static RawInstance Doing(Func<NetworkStream, CancellationToken, Task> deed) => new((stream, _, cancellation) => deed(stream, cancellation), reads: true);

    /// <summary>Does this with a connection from which nothing was read.</summary>
    public static RawInstance OnConnection(Func<NetworkStream, CancellationToken, Task> deed) => new((stream, _, cancellation) => deed(stream, cancellation), reads: false);

    public static RawInstance Hanging() => OnConnection((_, cancellation) => Task.Delay(Timeout.Infinite, cancellation));

    /// <summary>Waits until the other side has closed.</summary>
    /// <returns>How many bytes came before.</returns>
    public static async Task<int> ClosedAsync(Stream stream, CancellationToken cancellation)
    {
        var buffer = new byte[1024];
        var total = 0;
        try
        {
            for (int read; (read = await stream.ReadAsync(buffer, cancellation)) > 0;)
                total += read;
        }
        catch (IOException)
        {
            // It may close by a reset.
        }

        return total;
    }

    /// <summary>Ends a connection with a reset.</summary>
    public static Task Reset(NetworkStream stream)
    {
        stream.Socket.LingerState = new LingerOption(true, 0);
        stream.Socket.Close();
        return Task.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        await _accepting;
        _listener.Stop();
        _ending.Dispose();
    }

    private async Task AcceptAsync()
    {
        var serving = new List<Task>();
        try
        {
            while (true)
            {
                var client = await _listener.AcceptTcpClientAsync(_ending.Token);
                Interlocked.Increment(ref _connections);
                serving.Add(ServeAsync(client));
            }
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(serving);
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        using (client)
        {
            try
            {
                var stream = client.GetStream();
                var head = _reads ? await HeadAsync(stream) : "";
                Heads.Enqueue(head);
                await _answer(stream, head, _ending.Token);
            }
            catch (Exception e) when (e is IOException or OperationCanceledException or ObjectDisposedException)
            {
                // The prober has gone, or the test is over.
            }
        }
    }

    private async Task<string> HeadAsync(NetworkStream stream)
    {
        var head = new StringBuilder();
        var buffer = new byte[4096];
        while (!head.ToString().Contains("\r\n\r\n", StringComparison.Ordinal))
        {
            var read = await stream.ReadAsync(buffer, _ending.Token);
            if (read == 0)
                break;
            head.Append(Encoding.Latin1.GetString(buffer, 0, read));
        }

        return head.ToString();
    }
}

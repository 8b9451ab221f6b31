using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Alicia.Proxy.Benchmarks.Load;

/// <summary>
/// The upstream of the measurements, a process of its own: answers every request with the same 200, as cheaply as can be, so that the figures are the
/// proxy's. Reads no request bodies. Ends when its standard input closes.
/// </summary>
internal static class LoadBackend
{
    public const string Verb = "load-backend";

    /// <summary>Line with which it says its port.</summary>
    public const string Ready = "listening ";

    private const int MaxHeadBytes = 64 * 1024;

    public static async Task<int> RunAsync(string[] args)
    {
        var bytes = new VerbOptions(Verb, args, "bytes").Number("bytes", 128, 0, 16 * 1024 * 1024);
        var answer = Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {bytes}\r\n\r\n{new string('x', bytes)}");
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen(4096);
        Console.Out.WriteLine($"{Ready}{((IPEndPoint)listener.LocalEndPoint!).Port}");
        Console.Out.Flush();
        // On a thread of its own: the console's reader blocks, in its asynchronous methods too.
        var ended = Task.Run(Console.In.ReadToEnd);
        var accepting = AcceptAsync(listener, answer);
        await Task.WhenAny(ended, accepting);
        return ended.IsCompleted ? 0 : 1;
    }

    private static async Task AcceptAsync(Socket listener, byte[] answer)
    {
        // Ends with the process: whoever started it closes its input.
        while (true)
        {
            var connection = await listener.AcceptAsync();
            connection.NoDelay = true;
            _ = ServeAsync(connection, answer);
        }
    }

    private static async Task ServeAsync(Socket connection, byte[] answer)
    {
        using (connection)
        {
            var buffer = new byte[4096];
            var filled = 0;
            try
            {
                for (int received; (received = await connection.ReceiveAsync(buffer.AsMemory(filled))) > 0;)
                {
                    filled += received;
                    for (int end; (end = buffer.AsSpan(0, filled).IndexOf("\r\n\r\n"u8)) >= 0;)
                    {
                        filled -= end + 4;
                        buffer.AsSpan(end + 4, filled).CopyTo(buffer);
                        for (var sent = 0; sent < answer.Length;)
                            sent += await connection.SendAsync(answer.AsMemory(sent));
                    }

                    if (filled == MaxHeadBytes)
                        return;
                    if (filled == buffer.Length)
                        Array.Resize(ref buffer, Math.Min(2 * filled, MaxHeadBytes));
                }
            }
            catch (SocketException)
            {
                // The other side went away; so does the connection.
            }
        }
    }
}

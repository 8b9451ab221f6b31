using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Strictness;

/// <summary>
/// An instance that keeps every byte of every connection, whatever it is, and answers each head that it sees with 200. Requests are told apart by their <c>X-Case</c> field, so that many cases may be
/// under way at once.
/// </summary>
internal sealed class RecordingUpstream : IAsyncDisposable
{
    private readonly ConcurrentQueue<StringBuilder> _connections = new();
    private readonly Acceptance _acceptance;

    public RecordingUpstream()
    {
        _acceptance = new Acceptance(ServeAsync);
    }

    public int Port => _acceptance.Port;

    /// <summary>Everything that came, connection by connection. Latin-1.</summary>
    public IReadOnlyList<string> Received
    {
        get
        {
            var all = new List<string>();
            foreach (var connection in _connections)
            {
                lock (connection)
                    all.Add(connection.ToString());
            }

            return all;
        }
    }

    public ValueTask DisposeAsync() => _acceptance.DisposeAsync();

    private async Task ServeAsync(Socket socket)
    {
        using var mine = socket;
        var record = new StringBuilder();
        _connections.Enqueue(record);
        var buffer = new byte[16 * 1024];
        var answered = 0;
        try
        {
            while (true)
            {
                var count = await socket.ReceiveAsync(buffer, _acceptance.Ended);
                if (count == 0)
                    return;
                int whole;
                lock (record)
                {
                    record.Append(Encoding.Latin1.GetString(buffer, 0, count));
                    whole = ForwardedRequests.Of(record.ToString()).Count;
                }

                for (; answered < whole; answered++)
                    await socket.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"u8.ToArray(), _acceptance.Ended);
            }
        }
        catch (Exception gone) when (gone is SocketException or OperationCanceledException)
        {
            // Broken off by the proxy, or the test is over.
        }
    }
}

/// <summary>Reads what the proxy sent, by the letter: anything but plain requests one after the other is a failure.</summary>
internal static class ForwardedRequests
{
    /// <param name="Head">With its empty line.</param>
    /// <param name="Body">Without chunks.</param>
    internal sealed record Request(string Head, string Body);

    /// <summary>The whole requests in a connection's bytes. What follows the last is not looked at: see <see cref="Rest"/>.</summary>
    public static IReadOnlyList<Request> Of(string bytes)
    {
        var requests = new List<Request>();
        var at = 0;
        while (Read(bytes, ref at) is { } request)
            requests.Add(request);
        return requests;
    }

    /// <summary>What follows the last whole request.</summary>
    public static string Rest(string bytes)
    {
        var at = 0;
        while (Read(bytes, ref at) is not null)
        {
        }

        return bytes[at..];
    }

    private static Request? Read(string bytes, ref int at)
    {
        var end = bytes.IndexOf("\r\n\r\n", at, StringComparison.Ordinal);
        if (end < 0)
            return null;
        var head = bytes[at..(end + 4)];
        var body = new StringBuilder();
        var next = end + 4;
        if (head.Contains("\r\nTransfer-Encoding: chunked\r\n", StringComparison.OrdinalIgnoreCase))
        {
            while (true)
            {
                var line = bytes.IndexOf("\r\n", next, StringComparison.Ordinal);
                if (line < 0)
                    return null;
                var size = Convert.ToInt32(bytes[next..line], 16);
                if (size == 0)
                {
                    // Trailers, which not every forwarder passes on, end with an empty line too.
                    var over = bytes.IndexOf("\r\n\r\n", line, StringComparison.Ordinal);
                    if (over < 0)
                        return null;
                    next = over + 4;
                    break;
                }

                if (line + 2 + size + 2 > bytes.Length)
                    return null;
                body.Append(bytes, line + 2, size);
                next = line + 2 + size + 2;
            }
        }
        else if (head.Split("\r\n").FirstOrDefault(l => l.StartsWith("Content-Length: ", StringComparison.OrdinalIgnoreCase)) is { } length)
        {
            var size = int.Parse(length["Content-Length: ".Length..], System.Globalization.CultureInfo.InvariantCulture);
            if (next + size > bytes.Length)
                return null;
            body.Append(bytes, next, size);
            next += size;
        }

        at = next;
        return new(head, body.ToString());
    }
}

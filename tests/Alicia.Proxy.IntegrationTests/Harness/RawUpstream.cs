using System.Collections.Concurrent;
using System.Net.Sockets;

namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>
/// An upstream inside the test that sees every byte as it came and answers with bytes: for the exact form of forwarded requests and for
/// answers that no server would give. Probes (<c>GET /health</c>) are answered 200 and not kept.
/// </summary>
internal sealed class RawUpstream : IAsyncDisposable
{
    private readonly ConcurrentQueue<string> _heads = new();
    private readonly ConcurrentQueue<Exception> _faults = new();
    private readonly Func<RawConnection, string, Task> _answer;
    private readonly Acceptance _acceptance;

    private RawUpstream(Func<RawConnection, string, Task> answer)
    {
        _answer = answer;
        _acceptance = new Acceptance(ServeAsync);
        Address = new Uri($"http://127.0.0.1:{_acceptance.Port}");
    }

    public Uri Address { get; }

    public string Host => Address.Host;

    public int Port => Address.Port;

    /// <summary>The heads that came, with their empty lines, in order of arrival.</summary>
    public IReadOnlyList<string> Heads => [.. _heads];

    /// <summary>Sends <paramref name="answer"/> (Latin-1) to every head, then closes.</summary>
    public static RawUpstream Start(string answer) => new((connection, _) => connection.SendAsync(answer));

    /// <summary>Runs <paramref name="answer"/> with the connection and the head that came, then closes.</summary>
    public static RawUpstream Start(Func<RawConnection, string, Task> answer) => new(answer);

    /// <exception cref="AggregateException">An answering script failed in a way other than the connection's end.</exception>
    public async ValueTask DisposeAsync()
    {
        await _acceptance.DisposeAsync();
        if (!_faults.IsEmpty)
            throw new AggregateException("an answer of the raw upstream failed", _faults);
    }

    private async Task ServeAsync(Socket socket)
    {
        using var connection = new RawConnection(socket);
        try
        {
            var (head, end) = await connection.ReadHeadAsync();
            if (end != RawEnd.Found)
                return;
            if (head.StartsWith("GET /health ", StringComparison.Ordinal))
            {
                await connection.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
                return;
            }

            _heads.Enqueue(head);
            await _answer(connection, head);
            // An orderly end. Closed with bytes unread, such as a body, the connection would be reset, and the reset may overtake the answer.
            connection.EndInput();
            await connection.ReadToEndAsync();
        }
        catch (Exception gone) when (gone is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The other side had enough, or the script reset the connection; both are part of such tests.
        }
        catch (Exception fault)
        {
            _faults.Enqueue(fault);
        }
    }
}

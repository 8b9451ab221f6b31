using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Differential;

/// <summary>The instance behind one of the proxies: answers each request with the bytes of its pair, and remembers what it saw of it.</summary>
internal sealed class CorpusUpstream : IAsyncDisposable
{
    private readonly IReadOnlyList<CorpusPair> _pairs;
    private readonly ConcurrentDictionary<int, string> _seen = new();
    private readonly Acceptance _acceptance;

    public CorpusUpstream(IReadOnlyList<CorpusPair> pairs)
    {
        _pairs = pairs;
        _acceptance = new Acceptance(ServeAsync);
    }

    public int Port => _acceptance.Port;

    /// <summary>The request of a pair as it came, in a form in which those of both proxies can be compared; null when none came.</summary>
    public string? Seen(int index) => _seen.GetValueOrDefault(index);

    public ValueTask DisposeAsync() => _acceptance.DisposeAsync();

    private async Task ServeAsync(Socket socket)
    {
        using var wire = new Wire(socket);
        socket.NoDelay = true;
        try
        {
            while (await wire.ReadMessageAsync() is { } request)
            {
                var index = int.Parse(request.StartLine.Split(' ', '?')[1][1..], CultureInfo.InvariantCulture);
                var pair = _pairs[index];
                _seen[index] = Normal(request);
                await wire.SendAsync(pair.Answer.AsMemory(0, pair.FirstPiece));
                // Another segment; whether the proxy reads it apart is the system's choice.
                await Task.Yield();
                await wire.SendAsync(pair.Answer.AsMemory(pair.FirstPiece));
                if (pair.KeepsConnection)
                    continue;
                socket.Shutdown(SocketShutdown.Send);
                var rest = new byte[4096];
                while (await socket.ReceiveAsync(rest, _acceptance.Ended) > 0)
                {
                }

                return;
            }
        }
        catch (Exception gone) when (gone is SocketException or IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The proxy had enough of it.
        }
    }

    /// <summary>Fields that each proxy has of its own are left out, lines of one name are joined: that difference is in docs/limits.md.</summary>
    private static string Normal(WireMessage request)
    {
        var fields = request.Fields.Where(f => !f.Name.Equals("x-request-id", StringComparison.OrdinalIgnoreCase) && !f.Name.Equals("via", StringComparison.OrdinalIgnoreCase))
            .GroupBy(f => f.Name.ToLowerInvariant(), (name, lines) => $"{name}: {string.Join(", ", lines.Select(l => l.Value))}").Order(StringComparer.Ordinal);
        return $"{request.StartLine}\n{string.Join('\n', fields)}\n{Encoding.Latin1.GetString(request.Body)}";
    }
}

using System.Net;
using System.Net.Sockets;

namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>A listener on loopback, on a port of the system's, that hands each connection over as it comes. What the servers inside tests have in common; what they say is their own.</summary>
internal sealed class Acceptance : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _ended = new();
    private readonly Func<Socket, Task> _serve;
    private readonly Task _accepting;

    /// <param name="serve">Owns the connection from then on. Nobody waits for it, so it keeps its faults to itself or writes them down.</param>
    public Acceptance(Func<Socket, Task> serve)
    {
        _serve = serve;
        // As many at once as any test opens.
        _listener.Start(512);
        Ended = _ended.Token;
        Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        _accepting = AcceptAsync();
    }

    public int Port { get; }

    /// <summary>Cancelled when it has ended.</summary>
    public CancellationToken Ended { get; }

    public async ValueTask DisposeAsync()
    {
        await _ended.CancelAsync();
        _listener.Stop();
        await _accepting;
        _ended.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
                _ = _serve(await _listener.AcceptSocketAsync(_ended.Token));
        }
        catch (Exception e) when (_ended.IsCancellationRequested && (e is OperationCanceledException or SocketException or InvalidOperationException))
        {
            // Disposed; between two acceptances the listener says so in its own words.
        }
    }
}

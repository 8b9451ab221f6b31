using System.Net;
using System.Net.Sockets;

namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>A port that leads to another: a way to the target under an address that is not the target's own, as a published container port or a port forwarding is.</summary>
internal sealed class TcpRelay : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stopping = new();
    private readonly Task _accepting;

    private TcpRelay(Uri target)
    {
        _listener.Start();
        _accepting = AcceptAsync(target);
    }

    public string Host => "127.0.0.1";

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public static TcpRelay To(Uri target) => new(target);

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        _listener.Stop();
        await _accepting;
        _stopping.Dispose();
    }

    private async Task AcceptAsync(Uri target)
    {
        var relayed = new List<Task>();
        try
        {
            while (true)
                relayed.Add(RelayAsync(await _listener.AcceptTcpClientAsync(_stopping.Token), target));
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            await Task.WhenAll(relayed);
        }
    }

    private async Task RelayAsync(TcpClient from, Uri target)
    {
        using (from)
        using (var to = new TcpClient())
        {
            try
            {
                await to.ConnectAsync(target.Host, target.Port, _stopping.Token);
                var (caller, instance) = (from.GetStream(), to.GetStream());
                await Task.WhenAny(caller.CopyToAsync(instance, _stopping.Token), instance.CopyToAsync(caller, _stopping.Token));
            }
            catch (Exception e) when (e is OperationCanceledException or IOException or SocketException)
            {
                // Either end has gone.
            }
        }
    }
}

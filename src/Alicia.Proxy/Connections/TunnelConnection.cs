using System.Net.Security;
using System.Net.Sockets;

namespace Alicia.Proxy.Connections;

/// <summary>
/// A connection to an instance for one request that may take it over. It never comes from the pool and never goes there, so its owner knows the transport below
/// HTTP: the HTTP client's own stream cannot say "that was all" and go on listening.
/// </summary>
internal sealed class TunnelConnection : IDisposable
{
    private Stream? _transport;

    public TunnelConnection(UpstreamConnector connector) => Invoker = new HttpMessageInvoker(UpstreamClient.Handler(
        async (context, cancellation) => new AnswerWatch(_transport = await connector.ConnectAsync(context, cancellation), untilAnswer: true)));

    /// <summary>For one request.</summary>
    public HttpMessageInvoker Invoker { get; }

    /// <summary>Tells the instance that nothing more will come. What it still has to say can be read.</summary>
    public async Task EndInputAsync()
    {
        try
        {
            switch (_transport)
            {
                case SslStream tls:
                    await tls.ShutdownAsync();
                    break;
                case NetworkStream plain:
                    plain.Socket.Shutdown(SocketShutdown.Send);
                    break;
            }
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException or InvalidOperationException)
        {
            // The instance has gone already, which whoever reads from it is about to see.
        }
    }

    /// <summary>
    /// Cuts the connection, so that the instance cannot take what it has for all that was to come: with a TCP reset, under TLS by closing it without TLS's own farewell.
    /// </summary>
    public void Reset()
    {
        try
        {
            if (_transport is NetworkStream plain)
                plain.Socket.Close(timeout: 0);
            else
                _transport?.Dispose();
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It is closed already.
        }
    }

    public void Dispose() => Invoker.Dispose();
}

using System.Net.Security;
using System.Net.Sockets;
using Alicia.Proxy.Configuration;

namespace Alicia.Proxy.Hosting;

/// <summary>
/// How the program's own verbs call the management listener of a proxy on this machine: under whatever certificate it has, for that is for the names that others use, and nothing
/// that is secret goes over such a call.
/// </summary>
internal static class LocalCalls
{
    /// <summary>The first line of a connection that is for nobody but whoever opened it.</summary>
    private static ReadOnlySpan<byte> OwnConnection => "PROXY UNKNOWN\r\n"u8;

    public static SocketsHttpHandler Handler(ListenAddress listener)
    {
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = static (_, _, _, _) => true },
        };
        if (!listener.ProxyProtocol)
            return handler;
        handler.ConnectCallback = static async (context, cancellation) =>
        {
            var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await socket.ConnectAsync(context.DnsEndPoint, cancellation);
                await socket.SendAsync(OwnConnection.ToArray(), cancellation);
                return new NetworkStream(socket, ownsSocket: true);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        };
        return handler;
    }
}

using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Sockets;
using Alicia.Proxy.Tls;

namespace Alicia.Proxy.Connections;

/// <summary>
/// Opens connections to instances for the HTTP client: the address that was chosen first, then the instance's others, all within the connect timeout
/// and inside the allowed networks; then TLS where the instance wants it.
/// </summary>
internal sealed class UpstreamConnector(EndpointTable endpoints, ServiceRegistry registry, TimeProvider time)
{
    /// <summary>
    /// How long an address that took no connection is left alone while others of the same name do. Longer than the HTTP client keeps idle connections, so that those
    /// opened in its place are gone when its turn comes again.
    /// </summary>
    private static readonly TimeSpan Avoidance = TimeSpan.FromSeconds(10);

    /// <summary>The TLS profile of that name, null being the system's; a null result lets no connection through.</summary>
    public Func<string?, InstanceProfile?> Profiles { get; init; } = static name => name is null ? InstanceProfile.System : null;

    /// <summary>Connections for requests; probes have their own and do not count.</summary>
    public ConnectionCount Connections { get; } = new();

    /// <summary>The callback of <see cref="SocketsHttpHandler.ConnectCallback"/>.</summary>
    /// <exception cref="UpstreamConnectException">No connection could be opened.</exception>
    public async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellation)
    {
        if (!endpoints.TryFind(context.DnsEndPoint.Host, out var slot))
            throw new UpstreamConnectException(ConnectFailure.Refused, "The instance has left the registry.");
        return await ConnectAsync(slot, cancellation);
    }

    /// <summary>Opens a connection for requests.</summary>
    /// <param name="slot">The address to begin with.</param>
    /// <param name="cancellation">Ends the attempt.</param>
    /// <returns>Without TLS, a <see cref="NetworkStream"/>.</returns>
    /// <exception cref="UpstreamConnectException">No connection could be opened.</exception>
    public ValueTask<Stream> ConnectAsync(AddressSlot slot, CancellationToken cancellation)
    {
        return InTimeAsync(slot, OpenAsync, cancellation);

        async Task<Stream> OpenAsync(CancellationToken cancellation)
        {
            var endpoint = slot.Endpoint;
            var stream = await ConnectAnyAsync(slot, (target, cancellation) => ConnectOneAsync(target, Connections, cancellation), cancellation);
            return endpoint.IsTls ? await SecureAsync(endpoint, stream, endpoint.Protocol == UpstreamProtocol.Http2, cancellation) : stream;
        }
    }

    /// <summary>The same without TLS, for whoever reads and writes the socket without a stream. It is for him to count it.</summary>
    /// <exception cref="UpstreamConnectException">No connection could be opened.</exception>
    public ValueTask<ReadySocket> ConnectPlainAsync(AddressSlot slot, CancellationToken cancellation) =>
        InTimeAsync(slot, cancellation => ConnectAnyAsync(slot, ConnectReadyAsync, cancellation), cancellation);

    /// <summary>
    /// Opens a connection to this address and to no other, for a probe, which wants to know about this one. Only the caller limits the time, and what comes of it changes
    /// nothing for requests.
    /// </summary>
    /// <param name="slot">Where to.</param>
    /// <param name="http2">What to agree on where the instance has TLS: HTTP/2 or nothing, or HTTP/1.1.</param>
    /// <param name="cancellation">Ends the attempt.</param>
    /// <exception cref="UpstreamConnectException">No connection could be opened.</exception>
    public async Task<Stream> ConnectOnlyAsync(AddressSlot slot, bool http2, CancellationToken cancellation)
    {
        var target = new IPEndPoint(slot.Address, slot.Endpoint.Port);
        if (!registry.Snapshot.Rules.Allows(target.Address, target.Port))
            throw Prohibited(target);
        try
        {
            var stream = await ConnectOneAsync(target, null, cancellation);
            return slot.Endpoint.IsTls ? await SecureAsync(slot.Endpoint, stream, http2, cancellation) : stream;
        }
        catch (SocketException e)
        {
            throw Failed(target, e);
        }
    }

    private async ValueTask<T> InTimeAsync<T>(AddressSlot slot, Func<CancellationToken, Task<T>> open, CancellationToken cancellation)
    {
        var endpoint = slot.Endpoint;
        using var timeout = new CancellationTokenSource(endpoint.ConnectTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellation);
        try
        {
            return await open(either.Token);
        }
        catch (OperationCanceledException e) when (timeout.IsCancellationRequested)
        {
            throw new UpstreamConnectException(ConnectFailure.TimedOut, $"No connection to {endpoint.Url} within {endpoint.ConnectTimeout}.", e);
        }
    }

    private async Task<T> ConnectAnyAsync<T>(AddressSlot first, Func<IPEndPoint, CancellationToken, Task<T>> connect, CancellationToken cancellation)
    {
        var startedAt = time.GetTimestamp();
        UpstreamConnectException? failure = null;
        var endpoint = first.Endpoint;
        AddressSlot[] slots = [first, .. endpoint.Slots.ToArray().Where(s => s != first)];
        for (var i = 0; i < slots.Length; i++)
        {
            var target = new IPEndPoint(slots[i].Address, endpoint.Port);
            if (!registry.Snapshot.Rules.Allows(target.Address, target.Port))
            {
                failure ??= Prohibited(target);
                continue;
            }

            // An address that swallows connections must leave the others time to answer: each may take its share of what is left.
            var left = endpoint.ConnectTimeout - time.GetElapsedTime(startedAt);
            using var share = new CancellationTokenSource(left > TimeSpan.Zero ? left / (slots.Length - i) : TimeSpan.Zero, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(share.Token, cancellation);
            try
            {
                var connection = await connect(target, either.Token);
                foreach (var failed in slots.AsSpan(0, i))
                    endpoint.Avoid(failed, Avoidance, time);
                return connection;
            }
            catch (SocketException e)
            {
                failure = Failed(target, e);
            }
            catch (OperationCanceledException e) when (!cancellation.IsCancellationRequested)
            {
                failure = new UpstreamConnectException(ConnectFailure.TimedOut, $"{target} did not accept in time.", e);
            }
        }

        throw failure!;
    }

    private static UpstreamConnectException Prohibited(IPEndPoint target) =>
        new(ConnectFailure.Prohibited, $"{target} is not inside the networks of Registry:AllowedNetworks, or a listener of this proxy.");

    private static UpstreamConnectException Failed(IPEndPoint target, SocketException e) =>
        new(e.SocketErrorCode == SocketError.TimedOut ? ConnectFailure.TimedOut : ConnectFailure.Refused, $"{target}: {e.Message}.", e);

    private static async Task<Stream> ConnectOneAsync(IPEndPoint target, ConnectionCount? count, CancellationToken cancellation)
    {
        var socket = NewSocket(target);
        try
        {
            await socket.ConnectAsync(target, cancellation);
            return count is null ? new NetworkStream(socket, ownsSocket: true) : new CountedConnection(socket, count);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static async Task<ReadySocket> ConnectReadyAsync(IPEndPoint target, CancellationToken cancellation)
    {
        var socket = new ReadySocket(NewSocket(target));
        try
        {
            await socket.ConnectAsync(target, cancellation);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static Socket NewSocket(IPEndPoint target) => new(target.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };

    private async Task<Stream> SecureAsync(UpstreamEndpoint endpoint, Stream stream, bool http2, CancellationToken cancellation)
    {
        if (Profiles(endpoint.TlsProfile) is not { } profile)
        {
            await stream.DisposeAsync();
            throw new UpstreamConnectException(ConnectFailure.TlsCertificate, $"{endpoint.Url}: the TLS profile '{endpoint.TlsProfile}' is not in the configuration (any more).");
        }

        var tls = new SslStream(stream);
        try
        {
            await tls.AuthenticateAsClientAsync(profile.Options(endpoint.TlsName, http2), cancellation);
        }
        catch (AuthenticationException e)
        {
            await tls.DisposeAsync();
            var certificate = e.Message.Contains("certificate", StringComparison.OrdinalIgnoreCase);
            throw new UpstreamConnectException(certificate ? ConnectFailure.TlsCertificate : ConnectFailure.TlsProtocol, $"{endpoint.Url}: {e.Message}", e);
        }
        catch (Exception e)
        {
            await tls.DisposeAsync();
            if (e is IOException)
                throw new UpstreamConnectException(ConnectFailure.TlsProtocol, $"{endpoint.Url}: {e.Message}", e);
            throw;
        }

        if (http2 && tls.NegotiatedApplicationProtocol != SslApplicationProtocol.Http2)
        {
            await tls.DisposeAsync();
            throw new UpstreamConnectException(ConnectFailure.TlsProtocol, $"{endpoint.Url} does not speak HTTP/2 over TLS.");
        }

        return tls;
    }

    /// <summary>A connection that says when it closes. Reads and writes go the straight way.</summary>
    private sealed class CountedConnection : NetworkStream
    {
        private readonly ConnectionCount _count;
        private int _closed;

        public CountedConnection(Socket socket, ConnectionCount count)
            : base(socket, ownsSocket: true)
        {
            _count = count;
            count.Enter();
        }

        protected override void Dispose(bool disposing)
        {
            if (Interlocked.Exchange(ref _closed, 1) == 0)
                _count.Leave();
            base.Dispose(disposing);
        }
    }
}

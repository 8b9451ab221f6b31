using System.Globalization;
using System.Net.Sockets;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Registry;

namespace Alicia.Proxy.Health;

/// <summary>
/// Probes one instance once: resolves, connects, asks, judges. Each probe has a connection of its own that nobody used before and nobody uses after, so that requests
/// that hold all connections cannot make an instance look dead, and a connection that happens to be alive cannot make it look well. The timeout covers all of it.
/// </summary>
/// <remarks>
/// An HTTP client per probe rather than one for all: 10 µs more of about 120, and in return no pool that could hand a probe another's connection or go on with one that
/// was given up.
/// </remarks>
internal sealed class Prober(UpstreamConnector connector, NameResolver resolver, TimeProvider time)
{
    /// <summary>Probes the endpoint; of several addresses, the one whose turn it is.</summary>
    /// <exception cref="OperationCanceledException"><paramref name="cancellation"/> was cancelled. Nothing else is thrown for what an instance does.</exception>
    public async Task<ProbeResult> ProbeAsync(UpstreamEndpoint endpoint, ProbeSettings settings, CancellationToken cancellation)
    {
        var startedAt = time.GetTimestamp();
        var result = await RunAsync(endpoint, settings, cancellation);
        cancellation.ThrowIfCancellationRequested();
        return result with { Elapsed = time.GetElapsedTime(startedAt) };
    }

    private async Task<ProbeResult> RunAsync(UpstreamEndpoint endpoint, ProbeSettings settings, CancellationToken cancellation)
    {
        using var timeout = new CancellationTokenSource(settings.Timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellation);
        var waitsFor = "the name to resolve";
        try
        {
            var slot = endpoint.NextProbed() ?? await resolver.FirstAsync(endpoint, null, either.Token);
            if (resolver.IsDue(endpoint))
                resolver.Refresh(endpoint);

            waitsFor = "a connection";
            // gRPC is HTTP/2 whatever the registration says of requests.
            var http2 = settings.Type == ProbeType.Grpc || endpoint.Protocol != UpstreamProtocol.Http1;
            await using var stream = await connector.ConnectOnlyAsync(slot, http2 && settings.Type != ProbeType.Tcp, either.Token);
            if (settings.Type == ProbeType.Tcp)
                return ProbeResult.Pass("connected");

            waitsFor = "an answer";
            using var client = ClientOver(stream);
            return settings.Type == ProbeType.Grpc
                ? await GrpcProbe.RunAsync(client, endpoint, settings, either.Token)
                : await HttpProbe.RunAsync(client, endpoint, settings, http2, either.Token);
        }
        catch (UpstreamConnectException e)
        {
            return ProbeResult.Fail(KindOf(e), e.Message);
        }
        catch (Exception e) when (timeout.IsCancellationRequested && (e is OperationCanceledException or HttpRequestException or IOException or SocketException))
        {
            return ProbeResult.Fail(
                ProbeFailure.Timeout, string.Create(CultureInfo.InvariantCulture, $"waited {settings.Timeout.TotalSeconds:0.###} s in all, at last for {waitsFor}"));
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SocketException)
        {
            return ProbeResult.Fail(KindOf(e), e.GetBaseException().Message);
        }
    }

    /// <summary>An HTTP client for one request over this connection; it asks for no second one.</summary>
    private static HttpMessageInvoker ClientOver(Stream stream)
    {
        var unused = stream;
        return new HttpMessageInvoker(UpstreamClient.Handler((_, _) =>
            Interlocked.Exchange(ref unused, null) is { } connection
                ? ValueTask.FromResult(connection)
                : throw new IOException("The instance would not have the request on the first connection.")));
    }

    private static ProbeFailure KindOf(UpstreamConnectException e) => e.Failure switch
    {
        // Accepted, and reset before this side had looked: somebody does listen.
        ConnectFailure.Refused when e.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionReset } => ProbeFailure.Reset,
        ConnectFailure.DnsError or ConnectFailure.DnsTimeout => ProbeFailure.Dns,
        ConnectFailure.Prohibited => ProbeFailure.Prohibited,
        ConnectFailure.TlsProtocol or ConnectFailure.TlsCertificate => ProbeFailure.Tls,
        ConnectFailure.TimedOut => ProbeFailure.Timeout,
        _ => ProbeFailure.Refused,
    };

    private static ProbeFailure KindOf(Exception e)
    {
        // A fault of the protocol that shows while HTTP/2 is being set up comes wrapped once more, or as the client's own word without any cause below it.
        for (var cause = e; cause is not null; cause = cause.InnerException)
        {
            var error = cause switch
            {
                HttpRequestException http => http.HttpRequestError,
                HttpIOException io => io.HttpRequestError,
                _ => HttpRequestError.Unknown,
            };
            if (error is HttpRequestError.InvalidResponse or HttpRequestError.HttpProtocolError or HttpRequestError.VersionNegotiationError
                or HttpRequestError.ConfigurationLimitExceeded
                || cause is HttpRequestException { HttpRequestError: HttpRequestError.Unknown, InnerException: null })
                return ProbeFailure.Protocol;
        }

        return ProbeFailure.Reset;
    }
}

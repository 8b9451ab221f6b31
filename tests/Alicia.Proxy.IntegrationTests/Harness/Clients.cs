using System.Net;

namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>HTTP clients that show what is on the wire: no redirects, no decompression, no cookies, no proxy of the machine's.</summary>
internal static class Clients
{
    /// <param name="http2">HTTP/2, in clear text with prior knowledge; HTTP/1.1 otherwise. Over TLS any certificate will do: what it is, tests of TLS look at themselves.</param>
    public static HttpClient Create(Uri address, bool http2 = false) =>
        new(new OneVersion(http2 ? HttpVersion.Version20 : HttpVersion.Version11, new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            UseCookies = false,
            UseProxy = false,
            ConnectTimeout = Deadlines.Wait,
            SslOptions = { RemoteCertificateValidationCallback = static (_, _, _, _) => true },
            // Adds no traceparent of its own.
            ActivityHeadersPropagator = null,
        }))
        {
            BaseAddress = address,
            Timeout = Deadlines.Wait,
        };

    /// <summary>The client's own default version is not applied to request messages that a test makes itself.</summary>
    private sealed class OneVersion(Version version, HttpMessageHandler inner) : DelegatingHandler(inner)
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            request.Version = version;
            request.VersionPolicy = HttpVersionPolicy.RequestVersionExact;
            return base.SendAsync(request, cancellationToken);
        }
    }
}

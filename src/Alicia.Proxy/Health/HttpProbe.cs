using System.Buffers;
using System.Globalization;
using System.Net;
using System.Text;
using Alicia.Proxy.Connections;

namespace Alicia.Proxy.Health;

/// <summary>The HTTP part of a probe: one GET, judged by its status and, where a text is wanted, by the first 64 KiB of its body. A redirect is an answer like any other.</summary>
internal static class HttpProbe
{
    /// <summary>Who asks, in the instances' access logs.</summary>
    public const string UserAgent = "Alicia.Proxy";

    /// <summary>How much of a body is searched.</summary>
    private const int MaxBody = 64 * 1024;

    /// <summary>
    /// Stands in the request's URI, where the client wants some authority; the connection is open, and the instance sees the Host field.
    /// </summary>
    private const string Authority = "instance";

    private static readonly UriCreationOptions AsWritten = new() { DangerousDisablePathAndQueryCanonicalization = true };

    /// <exception cref="HttpRequestException">The exchange failed, as do <see cref="IOException"/> and <see cref="OperationCanceledException"/>.</exception>
    public static async Task<ProbeResult> RunAsync(
        HttpMessageInvoker client, UpstreamEndpoint endpoint, ProbeSettings settings, bool http2, CancellationToken cancellation)
    {
        using var request = Request(HttpMethod.Get, endpoint, settings, settings.Path, http2);
        using var answer = await client.SendAsync(request, cancellation);
        var status = (int)answer.StatusCode;
        if (!settings.IsAlive(status))
            return ProbeResult.Fail(ProbeFailure.Status, string.Create(CultureInfo.InvariantCulture, $"status {status}"));
        if (settings.Body is { } text && await SearchAsync(answer.Content, Encoding.UTF8.GetBytes(text), cancellation) is { } searched)
        {
            return ProbeResult.Fail(
                ProbeFailure.Body, string.Create(CultureInfo.InvariantCulture, $"status {status}, and the text is not in the {searched} bytes of body that were read"));
        }

        return ProbeResult.Pass(string.Create(CultureInfo.InvariantCulture, $"status {status}"));
    }

    /// <summary>A request of a probe, for a connection that is open.</summary>
    public static HttpRequestMessage Request(HttpMethod method, UpstreamEndpoint endpoint, ProbeSettings settings, string path, bool http2)
    {
        // The connection has TLS already where it has any. HTTP/2 sends the scheme along, and servers refuse one that is not their transport's.
        var scheme = endpoint.IsTls && http2 ? "https" : "http";
        var request = new HttpRequestMessage(method, new Uri($"{scheme}://{Authority}{path}", AsWritten))
        {
            Version = http2 ? HttpVersion.Version20 : HttpVersion.Version11,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        request.Headers.TryAddWithoutValidation("Host", settings.Host ?? endpoint.HostAndPort);
        request.Headers.TryAddWithoutValidation("User-Agent", UserAgent);
        if (!http2)
            request.Headers.ConnectionClose = true;
        return request;
    }

    /// <returns>Null when the text was found, or else how many bytes were searched.</returns>
    private static async Task<int?> SearchAsync(HttpContent content, byte[] text, CancellationToken cancellation)
    {
        await using var body = await content.ReadAsStreamAsync(cancellation);
        var buffer = ArrayPool<byte>.Shared.Rent(MaxBody);
        try
        {
            var filled = 0;
            while (filled < MaxBody)
            {
                var read = await body.ReadAsync(buffer.AsMemory(filled, MaxBody - filled), cancellation);
                if (read == 0)
                    break;
                // The text may have begun in what came before.
                var from = Math.Max(0, filled - text.Length + 1);
                filled += read;
                if (buffer.AsSpan(from, filled - from).IndexOf(text) >= 0)
                    return null;
            }

            return filled;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }
}

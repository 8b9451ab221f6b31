using System.Text;

namespace Alicia.Proxy.Connections;

/// <summary>
/// The HTTP client towards all instances. One for the whole proxy: connections are pooled per instance and address through the made-up authorities of
/// <see cref="AddressSlot"/>, so a client for each service would add handlers and timers and nothing else.
/// </summary>
internal sealed class UpstreamClient : IDisposable
{
    /// <summary>
    /// How long an idle connection is kept. Uvicorn and Node close theirs after five seconds; a request that meets a closing connection is an error for
    /// nothing, a fresh connection on the local network is a fraction of a millisecond.
    /// </summary>
    private static readonly TimeSpan IdleTimeout = TimeSpan.FromSeconds(4);

    public UpstreamClient(UpstreamConnector connector) => Invoker = new OutgoingBody.Invoker(Handler(async (context, cancellation) =>
    {
        var connection = await connector.ConnectAsync(context, cancellation);
        return context.InitialRequestMessage.Version.Major == 1 ? new AnswerWatch(connection) : connection;
    }));

    public HttpMessageInvoker Invoker { get; }

    public void Dispose() => Invoker.Dispose();

    /// <summary>What speaks HTTP over connections that <paramref name="connect"/> opens.</summary>
    public static SocketsHttpHandler Handler(Func<SocketsHttpConnectionContext, CancellationToken, ValueTask<Stream>> connect) => new()
    {
        // HTTP/2 has frames in place of lines.
        ConnectCallback = async (context, cancellation) => await connect(context, cancellation) is var stream && context.InitialRequestMessage.Version.Major < 2 ? new StrictAnswers(stream) : stream,
        // The connector has the timeout: it is a setting of the service.
        ConnectTimeout = Timeout.InfiniteTimeSpan,
        PooledConnectionIdleTimeout = IdleTimeout,
        AllowAutoRedirect = false,
        AutomaticDecompression = System.Net.DecompressionMethods.None,
        UseProxy = false,
        UseCookies = false,
        EnableMultipleHttp2Connections = true,
        // Trace headers pass through as they came.
        ActivityHeadersPropagator = null,
        // Field values are bytes; Latin-1 maps each to one character and back.
        RequestHeaderEncodingSelector = static (_, _) => Encoding.Latin1,
        ResponseHeaderEncodingSelector = static (_, _) => Encoding.Latin1,
        // An answer that nobody reads on is one whose caller has left: the instance hears of it now, rather than after two seconds of reading for the connection's sake.
        ResponseDrainTimeout = TimeSpan.Zero,
        // In KiB. As much as requests may bring.
        MaxResponseHeadersLength = 128,
    };
}

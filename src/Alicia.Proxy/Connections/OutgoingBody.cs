using System.Net;

namespace Alicia.Proxy.Connections;

/// <summary>An instance has said that it has not begun on a request; parts of its body are on their way already.</summary>
internal sealed class NotBegunException() : UnsentException("The instance has said that it has not begun on the request.", null);

/// <summary>
/// Lets whoever feeds a request's body flush what has been written of it. The HTTP client collects small writes and YARP flushes for gRPC only: without this, a caller
/// that sends its body in small parts with pauses between them would wait for an instance that has not seen them.
/// </summary>
internal sealed class OutgoingBody : HttpContent
{
    /// <summary>Set on a request whose body wants this; called with the stream to flush before the first byte is written.</summary>
    public static readonly HttpRequestOptionsKey<Action<Stream>> Begins = new("alicia.body-begins");

    /// <summary>Much more than it takes to hear why an instance has ended a stream; nobody waits for it to pass.</summary>
    private static readonly TimeSpan WhyItEnded = TimeSpan.FromSeconds(1);

    private readonly HttpContent _inner;
    private readonly Action<Stream> _begins;
    private readonly bool _http2;
    private bool _begun;

    private OutgoingBody(HttpContent inner, Action<Stream> begins, bool http2)
    {
        (_inner, _begins, _http2) = (inner, begins, http2);
        foreach (var (name, values) in inner.Headers.NonValidated)
            Headers.TryAddWithoutValidation(name, values);
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        // The HTTP client sends again by itself only what an HTTP/2 instance says it has not begun on.
        if (_begun)
            throw new NotBegunException();
        _begun = true;
        _begins(stream);
        await _inner.CopyToAsync(stream, context, cancellationToken);
        // YARP's content ends without a word when the instance wants no more of it. The client would take that for a body that is too short, and say so in place of what the instance has said,
        // which it hears at the same moment: that it has not begun on the request, for one. With HTTP/2 it waits for whichever comes first.
        if (_http2 && cancellationToken.IsCancellationRequested)
        {
            await Task.Delay(WhyItEnded, CancellationToken.None);
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _inner.Dispose();
        base.Dispose(disposing);
    }

    /// <summary>An invoker that gives such requests this content. YARP does not let its transforms exchange the content.</summary>
    internal sealed class Invoker(HttpMessageHandler handler) : HttpMessageInvoker(handler)
    {
        public override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            if (request.Content is { } content && request.Options.TryGetValue(Begins, out var begins))
                request.Content = new OutgoingBody(content, begins, request.Version.Major == 2);
            return base.SendAsync(request, cancellationToken);
        }
    }
}

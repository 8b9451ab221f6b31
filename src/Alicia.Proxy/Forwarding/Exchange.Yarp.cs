using System.Buffers;
using System.Net;
using System.Net.Http.Headers;
using Alicia.Proxy.Admission;
using Alicia.Proxy.Connections;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;

namespace Alicia.Proxy.Forwarding;

/// <content>The exchange as YARP's transformer: its fields in the HTTP client's messages, and YARP's hooks as the exchange's steps.</content>
internal sealed partial class Exchange
{
    private static readonly SearchValues<char> NameCharacters =
        SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    private static readonly UriCreationOptions AsWritten = new() { DangerousDisablePathAndQueryCanonicalization = true };

    /// <inheritdoc/>
    public override ValueTask TransformRequestAsync(HttpContext httpContext, HttpRequestMessage proxyRequest, string destinationPrefix, CancellationToken cancellationToken)
    {
        var sink = new MessageSink(proxyRequest);
        WriteRequestFields(httpContext, ref sink);
        // The HTTP client quietly sends a request without a body again when a kept connection turns out to be closed. That is right only where twice is as good as
        // once; a body, though empty, keeps it from doing so.
        if (proxyRequest.Content is null && !Repeatable.IsIdempotent(httpContext.Request.Method))
            BodilessFields.Add(proxyRequest, "Content-Length", "0");
        if (proxyRequest.Content is not null && httpContext.Request.Body is CallerBody body)
            proxyRequest.Options.Set(OutgoingBody.Begins, body.GoesTo);
        proxyRequest.RequestUri = new Uri(_slot.Prefix + _request.Target, AsWritten);
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public override ValueTask<bool> TransformResponseAsync(HttpContext httpContext, HttpResponseMessage? proxyResponse, CancellationToken cancellationToken)
    {
        if (proxyResponse is null)
            return ValueTask.FromResult(false);

        if (!IsReadable(proxyResponse))
            throw new HttpRequestException(HttpRequestError.InvalidResponse, "The instance's answer has a status below 100, a 205 with a body, or an unknown transfer coding.");
        // Over HTTP/2 the success of a CONNECT is the switch of protocols; its content is a stream for both ways.
        var switched = proxyResponse.StatusCode == HttpStatusCode.SwitchingProtocols
            || (proxyResponse.IsSuccessStatusCode && proxyResponse.RequestMessage?.Method == HttpMethod.Connect);
        var fields = proxyResponse.Headers.NonValidated;
        if (!HeadCame((int)proxyResponse.StatusCode, fields.TryGetValues("grpc-status", out var grpc) ? grpc.ToString() : null, switched))
            return ValueTask.FromResult(false);
        if (_deadline is not null && proxyResponse.Content.Headers.NonValidated.TryGetValues("Content-Type", out var type) && IsEventStream(type.ToString()))
            _deadline.StreamsEvents();

        var source = new MessageSource(proxyResponse);
        CopyResponseFields(httpContext, ref source, (int)proxyResponse.StatusCode,
            fields.TryGetValues("Connection", out var connection) ? ToValues(connection) : StringValues.Empty, proxyResponse.Headers.TransferEncodingChunked == true);
        if (!switched)
            proxyResponse.Content = new FinishingContent(proxyResponse.Content, this, httpContext.Response);
        _isGrpc = proxyResponse.Content.Headers.ContentLength is null && HttpProtocol.IsHttp2(httpContext.Request.Protocol) && ProxyAnswer.IsGrpc(httpContext.Request);
        return ValueTask.FromResult(true);
    }

    /// <inheritdoc/>
    public override ValueTask TransformResponseTrailersAsync(HttpContext httpContext, HttpResponseMessage proxyResponse, CancellationToken cancellationToken)
    {
        if (httpContext.Features.Get<IHttpResponseTrailersFeature>()?.Trailers is { IsReadOnly: false } trailers)
        {
            try
            {
                foreach (var (name, values) in proxyResponse.TrailingHeaders.NonValidated)
                    trailers[name] = ToValues(values);
            }
            catch (InvalidOperationException)
            {
                // A trailer that no server may send, such as one with a control character. The head has gone; the answer ends as a cut one.
                BreakOff();
                httpContext.Abort();
                return ValueTask.CompletedTask;
            }

            if (_cut)
                AddCutStatus(trailers);
        }

        return ValueTask.CompletedTask;
    }

    /// <summary>
    /// The HTTP client takes any three digits for a status and undoes <c>chunked</c> only: with another coding left on, the caller would get a body that is not the one
    /// the fields speak of.
    /// </summary>
    private static bool IsReadable(HttpResponseMessage response) =>
        (int)response.StatusCode >= 100
        && (response.StatusCode != HttpStatusCode.ResetContent || response.Content.Headers.ContentLength is null or 0)
        && (!response.Headers.NonValidated.TryGetValues("Transfer-Encoding", out var codings) || HopByHop.IsChunkedAlone(ToValues(codings)));

    private static bool IsEventStream(string type)
    {
        const string EventStream = "text/event-stream";
        return type.StartsWith(EventStream, StringComparison.OrdinalIgnoreCase) && (type.Length == EventStream.Length || type[EventStream.Length] is ';' or ' ');
    }

    /// <summary>The values of a field as the server takes them, in their order.</summary>
    private static StringValues ToValues(in HeaderStringValues values)
    {
        if (values.Count == 1)
            return values.ToString();
        var array = new string[values.Count];
        var i = 0;
        foreach (var value in values)
            array[i++] = value;
        return array;
    }

    /// <summary>The fields of a request as the HTTP client takes them.</summary>
    private readonly struct MessageSink(HttpRequestMessage message) : IFieldSink
    {
        public void Host(string value) => message.Headers.Host = value;

        public void Add(string name, StringValues values)
        {
            var added = values.Count == 1
                ? message.Headers.TryAddWithoutValidation(name, values[0])
                : message.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values);
            if (added)
                return;
            // Fields of the body end up here, and names that the server let through and the HTTP client does not.
            if (name.AsSpan().ContainsAnyExcept(NameCharacters))
                throw new BadHttpRequestException("A field name has characters that no name may have.");
            if (message.Content is null)
                BodilessFields.Add(message, name, values);
            else
                message.Content.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)values);
        }
    }

    /// <summary>The fields of an answer as the HTTP client has them, those of its body last.</summary>
    private struct MessageSource(HttpResponseMessage message) : IFieldSource
    {
        private HttpHeadersNonValidated.Enumerator _fields = message.Headers.NonValidated.GetEnumerator();
        private bool _inBody;

        public bool Next(out string name, out StringValues values, out bool again)
        {
            again = false;
            while (!_fields.MoveNext())
            {
                if (_inBody)
                {
                    (name, values) = ("", StringValues.Empty);
                    return false;
                }

                _inBody = true;
                _fields = message.Content.Headers.NonValidated.GetEnumerator();
            }

            (name, values) = (_fields.Current.Key, ToValues(_fields.Current.Value));
            return true;
        }
    }
}

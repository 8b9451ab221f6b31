using System.Runtime.CompilerServices;
using Alicia.Proxy.Connections;
using Yarp.ReverseProxy.Forwarder;

namespace Alicia.Proxy.Direct;

/// <summary>
/// Forwards HTTP/1.1 to clear-text instances without an HTTP client in between: the head is written as bytes, the answer is read where it was received, bodies go from buffer to
/// buffer. Whatever else there is (HTTP/2 instances, TLS, WebSockets over HTTP/2) goes on to YARP's forwarder.
/// </summary>
internal sealed class DirectForwarder(IHttpForwarder yarp, ConnectionPools pools, TimeProvider time) : IHttpForwarder
{
    /// <summary>YARP's own, for a configuration that names none.</summary>
    private static readonly TimeSpan DefaultSilence = TimeSpan.FromSeconds(100);

    /// <summary>How long an instance may take to ask for a body whose caller wants it asked for. Those that do not know <c>Expect</c> never ask.</summary>
    private static readonly TimeSpan ContinueTimeout = TimeSpan.FromSeconds(1);

    /// <summary>Kept connections that turn out closed before one is opened. Each was found open a moment before, so one is rare already.</summary>
    private const int MaxClosed = 3;

    /// <summary>Interim answers to one request.</summary>
    private const int MaxInterim = 100;

    private enum HeadEnd
    {
        Incomplete,
        Complete,
        Malformed,
        ConnectionEnded,
    }

    /// <inheritdoc/>
    public ValueTask<ForwarderError> SendAsync(
        HttpContext context, string destinationPrefix, HttpMessageInvoker httpClient, ForwarderRequestConfig requestConfig, HttpTransformer transformer) =>
        SendAsync(context, destinationPrefix, httpClient, requestConfig, transformer, CancellationToken.None);

    /// <inheritdoc/>
    public ValueTask<ForwarderError> SendAsync(
        HttpContext context, string destinationPrefix, HttpMessageInvoker httpClient, ForwarderRequestConfig requestConfig, HttpTransformer transformer, CancellationToken cancellationToken) =>
        transformer is IDirectExchange { Slot.Endpoint.IsPlainHttp1: true } exchange && !HttpMethods.IsConnect(context.Request.Method)
            ? ForwardAsync(context, exchange, requestConfig.ActivityTimeout ?? DefaultSilence, cancellationToken)
            : yarp.SendAsync(context, destinationPrefix, httpClient, requestConfig, transformer, cancellationToken);

    /// <summary>
    /// Has the conversation, on another connection where the first can be proved to have carried nothing. Whether a request may be sent twice is for others to say.
    /// </summary>
    /// <remarks>Every method that waits is an allocation and a few dozen nanoseconds for each request, so what could be told apart stands together here and in <see cref="ConverseAsync"/>.</remarks>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<ForwarderError> ForwardAsync(HttpContext context, IDirectExchange exchange, TimeSpan silence, CancellationToken cancellation)
    {
        Ending ending;
        try
        {
            using var request = new OutgoingRequest(context, exchange);
            try
            {
                for (var closed = 0; ; closed++)
                {
                    UpstreamConnection? connection = null;
                    var isKept = closed < MaxClosed && pools.TryTake(exchange.Slot, out connection);
                    if (connection is null)
                    {
                        (connection, ending) = await OpenAsync(context, exchange, cancellation);
                        if (connection is null)
                            break;
                    }

                    ending = await ConverseAsync(context, exchange, request, connection, silence, cancellation);
                    if (!isKept || !ending.NothingSent)
                        break;
                }

                if (ending.IsUnflushed)
                    ending = await SendLastAsync(context, silence, cancellation);
                if (ending.Error == ForwarderError.None && !ending.IsDropped && !request.IsSent)
                {
                    exchange.Finish();
                    await request.DiscardAsync(time);
                }
            }
            finally
            {
                // Whatever has happened: behind this the buffer is another request's.
                if (request.HasBody)
                    await request.EndAsync();
            }
        }
        catch (BadHttpRequestException e)
        {
            ending = new Ending(ForwarderError.RequestCreation, e);
        }

        if (ending.Error != ForwarderError.None)
            context.Features.Set<IForwarderErrorFeature>(new ErrorFeature(ending.Error, ending.Exception));
        return ending.Error;
    }

    /// <summary>Has the server send the last bytes of an answer, and gives the caller the time to take them.</summary>
    private async ValueTask<Ending> SendLastAsync(HttpContext context, TimeSpan silence, CancellationToken cancellation)
    {
        var flushing = context.Response.BodyWriter.FlushAsync(CancellationToken.None);
        try
        {
            if (flushing.IsCompleted)
                await flushing;
            else
                await flushing.AsTask().WaitAsync(silence, time, cancellation);
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            AnswerRelay.Cut(context, cancelled: true);
            return new Ending(ForwarderError.ResponseBodyCanceled, new OperationCanceledException("The caller took nothing of its answer for too long.", e));
        }

        return context.RequestAborted.IsCancellationRequested ? new Ending(ForwarderError.ResponseBodyClient, new IOException("The caller has left.")) : default;
    }

    /// <returns>The connection, or null and why there is none.</returns>
    private async ValueTask<(UpstreamConnection? Connection, Ending Ending)> OpenAsync(HttpContext context, IDirectExchange exchange, CancellationToken cancellation)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, cancellation);
        try
        {
            return (await pools.OpenAsync(exchange.Slot, either.Token), default);
        }
        catch (UnsentException e)
        {
            return (null, new Ending(ForwarderError.Request, e));
        }
        catch (OperationCanceledException e)
        {
            return (null, new Ending(context.RequestAborted.IsCancellationRequested ? ForwarderError.RequestCanceled : ForwarderError.RequestTimedOut, e));
        }
    }

    /// <summary>One request and its answer on one connection.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<Ending> ConverseAsync(
        HttpContext context, IDirectExchange exchange, OutgoingRequest request, UpstreamConnection connection, TimeSpan silence, CancellationToken cancellation)
    {
        var isReusable = false;
        connection.Begin(silence);
        var left = context.RequestAborted.UnsafeRegister(static c => ((UpstreamConnection)c!).Abort(), connection);
        var late = cancellation.CanBeCanceled ? cancellation.UnsafeRegister(static c => ((UpstreamConnection)c!).Abort(), connection) : default;
        try
        {
            var first = await request.SendFirstAsync(connection);
            if (request.Fault is { } early)
                return early;
            if (first == FirstSend.NothingSent)
                return Failed(context, request, connection, cancellation, new ClosedBeforeSendingException(connection.Slot)) with { NothingSent = true };
            if (request.HasBody && !request.AwaitsContinue)
                request.BeginUpload(connection);

            // A part of the request may have been enough for an answer: whether there is one is seen when it is read.
            for (var interim = 0; interim < MaxInterim; interim++)
            {
                HeadEnd head;
                if (request.AwaitsContinue)
                {
                    head = await AskedOrLateAsync(ReadHeadAsync(connection), request, connection);
                }
                else
                {
                    var scan = default(HeadScan);
                    while ((head = TakeHead(connection, ref scan)) == HeadEnd.Incomplete)
                    {
                        int received;
                        while ((received = connection.Receive()) == UpstreamConnection.Nothing)
                            await connection.ReadableAsync();
                        if (received <= 0)
                        {
                            head = HeadEnd.ConnectionEnded;
                            break;
                        }
                    }
                }

                if (head == HeadEnd.ConnectionEnded)
                    return Failed(context, request, connection, cancellation, Ended());
                if (head == HeadEnd.Malformed)
                    break;
                if (!connection.Head.IsInterim)
                {
                    if (connection.Head.Status == StatusCodes.Status101SwitchingProtocols)
                        return Unasked(context);
                    var framing = connection.Head.FramingFor(request.IsHead);
                    // Before the body: trailers take the head's place.
                    isReusable = connection.Head.KeepsConnection && framing != BodyFraming.UntilClose;
                    if (!exchange.Answer(context, connection.Head))
                    {
                        // Not worth reading to its end for the sake of the connection.
                        isReusable = false;
                        return new Ending(ForwarderError.None, null) { IsDropped = true };
                    }

                    var ending = await new AnswerRelay(context, exchange, connection, cancellation).RunAsync(framing);
                    isReusable = isReusable && ending.Error == ForwarderError.None && connection.Received.IsEmpty && await request.IsSentByNowAsync(time);
                    return ending;
                }

                if (request.AwaitsContinue && connection.Head.Status == StatusCodes.Status100Continue)
                    request.BeginUpload(connection);
            }

            return Failed(context, request, connection, cancellation,
                new HttpRequestException(HttpRequestError.InvalidResponse, "The instance's answer is malformed."));
        }
        catch (InvalidOperationException e) when (!context.Response.HasStarted)
        {
            isReusable = false;
            return new Ending(ForwarderError.ResponseHeaders, e);
        }
        finally
        {
            // Waits for an abort that is under way: behind this the connection may be another request's.
            left.Dispose();
            late.Dispose();
            if (connection.Conclude() && isReusable)
                pools.Keep(connection);
            else
                connection.Dispose();
        }
    }

    /// <summary>Takes the head out of what was received, if it is there whole.</summary>
    private static HeadEnd TakeHead(UpstreamConnection connection, ref HeadScan scan)
    {
        if (connection.Received.IsEmpty)
            return HeadEnd.Incomplete;
        if (!ResponseParser.TryFindEnd(connection.Received, ref scan, isTrailers: false, out var length))
            return HeadEnd.Malformed;
        if (length == 0)
            return connection.Received.Length >= ResponseParser.MaxHeadBytes ? HeadEnd.Malformed : HeadEnd.Incomplete;
        if (length > ResponseParser.MaxHeadBytes || !ResponseParser.TryParse(connection.Buffer, connection.Start, length, connection.Head))
            return HeadEnd.Malformed;
        connection.Use(length);
        return HeadEnd.Complete;
    }

    private static async Task<HeadEnd> ReadHeadAsync(UpstreamConnection connection)
    {
        var scan = default(HeadScan);
        HeadEnd head;
        while ((head = TakeHead(connection, ref scan)) == HeadEnd.Incomplete)
        {
            if (await connection.ReceiveAsync() <= 0)
                return HeadEnd.ConnectionEnded;
        }

        return head;
    }

    /// <summary>Waits until the instance says something about a request whose body waits for that, or has had its time; then the body goes up unasked.</summary>
    private async ValueTask<HeadEnd> AskedOrLateAsync(Task<HeadEnd> head, OutgoingRequest request, UpstreamConnection connection)
    {
        using var asked = new CancellationTokenSource();
        if (await Task.WhenAny(head, Task.Delay(ContinueTimeout, time, asked.Token)) == head)
            await asked.CancelAsync();
        else
            request.BeginUpload(connection);
        return await head;
    }

    /// <summary>Says why there is no answer, from what is known of all who could have ended the exchange.</summary>
    private static Ending Failed(
        HttpContext context, OutgoingRequest request, UpstreamConnection connection, CancellationToken cancellation, Exception fault)
    {
        if (context.RequestAborted.IsCancellationRequested)
            return new Ending(ForwarderError.RequestCanceled, new OperationCanceledException("The caller has left.", fault));
        if (cancellation.IsCancellationRequested || connection.WentSilent)
            return new Ending(ForwarderError.RequestTimedOut, new OperationCanceledException("The instance did not answer in time.", fault));
        if (request.Fault is { Error: ForwarderError.RequestBodyClient } caller)
            return caller;
        return new Ending(ForwarderError.Request, fault);
    }

    private static Ending Unasked(HttpContext context)
    {
        var fault = new HttpRequestException(HttpRequestError.InvalidResponse, "The instance switched protocols where nobody had asked.");
        // In HTTP/2 there is nothing that could be switched.
        return new Ending(HttpProtocol.IsHttp2(context.Request.Protocol) ? ForwarderError.Request : ForwarderError.UpgradeResponseClient, fault);
    }

    private static HttpRequestException Ended() => new(HttpRequestError.ResponseEnded, "The instance closed the connection before it answered.");

    private sealed record ErrorFeature(ForwarderError Error, Exception? Exception) : IForwarderErrorFeature;
}

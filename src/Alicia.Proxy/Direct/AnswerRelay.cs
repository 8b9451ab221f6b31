using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using Alicia.Proxy.Connections;
using Microsoft.AspNetCore.Http.Features;
using Yarp.ReverseProxy.Forwarder;

namespace Alicia.Proxy.Direct;

/// <summary>
/// Moves the body of an answer from its connection to the caller. What comes in one piece with the head goes out in one piece with it: the server sends what is left when the
/// request ends. Otherwise all that is there is sent on before more is waited for, and nothing is read that the caller has no room for.
/// </summary>
internal readonly struct AnswerRelay(HttpContext context, IDirectExchange exchange, UpstreamConnection connection, CancellationToken cancellation)
{
    /// <summary>A rest of at least this is received straight into the server's memory, in pieces of up to <see cref="LargePiece"/>.</summary>
    private const int Large = 16 * 1024;
    private const int LargePiece = 64 * 1024;

    private readonly PipeWriter _caller = context.Response.BodyWriter;

    /// <summary>Moves the body.</summary>
    /// <returns><see cref="ForwarderError.None"/> when it has ended as its framing says.</returns>
    public ValueTask<Ending> RunAsync(BodyFraming framing)
    {
        connection.DeliverTo(_caller);
        var mayHaveBytes = connection.Head.Status != StatusCodes.Status205ResetContent;
        return framing switch
        {
            BodyFraming.None => default,
            BodyFraming.Length => CountedAsync(connection.Head.ContentLength),
            BodyFraming.Chunked => ChunkedAsync(mayHaveBytes),
            _ => UntilCloseAsync(mayHaveBytes),
        };
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<Ending> CountedAsync(long left)
    {
        // In HTTP/2 the server may take its memory back from under a receiver when the stream is reset.
        var straight = !HttpProtocol.IsHttp2(context.Request.Protocol);
        var isFirst = true;
        while (true)
        {
            var length = (int)Math.Min(left, connection.Received.Length);
            if (length > 0)
            {
                await WriteAsync(length);
                left -= length;
                if (left == 0)
                    return isFirst ? default : Last();
            }

            if (straight && left >= Large && context.Response.HasStarted)
                return await StraightAsync(left);
            isFirst = false;
            if (await MoreAsync() is { } ending)
                return ending;
        }
    }

    /// <summary>Receives what is left into the server's own memory. It keeps that for as long as the request lasts, also for a caller who has gone.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<Ending> StraightAsync(long left)
    {
        while (true)
        {
            if (await FlushAsync() is { } ending)
                return ending;
            var memory = _caller.GetMemory((int)Math.Min(left, LargePiece));
            var receiving = connection.ReceiveIntoAsync(memory.Length > left ? memory[..(int)left] : memory);
            var waited = !receiving.IsCompleted;
            var received = await receiving;
            // More comes while this one waits in the pool: fewer and larger pieces.
            if (connection.IsShareUsedUp(waited) || waited)
                await FairShare.ToPool();
            if (received <= 0)
                return Broken(Ended());
            _caller.Advance(received);
            connection.Progress();
            exchange.Progress(received);
            left -= received;
            if (left == 0)
                return Last();
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<Ending> ChunkedAsync(bool mayHaveBytes)
    {
        var chunks = connection.Chunks;
        chunks.Reset();
        while (true)
        {
            if (!chunks.TryDecode(connection.Received, out var data, out var used) || (data > 0 && !mayHaveBytes))
                return Broken(Malformed());
            if (data > 0)
                await WriteAsync(data);
            connection.Use(used - data);
            if (chunks.IsDone)
                return chunks.HasTrailers ? Trail(chunks) : default;
            if (await MoreAsync() is { } ending)
                return ending;
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<Ending> UntilCloseAsync(bool mayHaveBytes)
    {
        while (true)
        {
            if (!connection.Received.IsEmpty && !mayHaveBytes)
                return Broken(Malformed());
            if (connection.Received.Length > 0)
                await WriteAsync(connection.Received.Length);
            if (await MoreAsync(mayEnd: true) is { } ending)
                return ending;
        }
    }

    /// <summary>
    /// Ends a body of which some was sent before: what is left the server sends by itself only behind the head. The instance has nothing more to do, and its connection is free, before the caller has the
    /// last byte and may come with the next request.
    /// </summary>
    private Ending Last()
    {
        exchange.Finish();
        return new Ending(ForwarderError.None, null) { IsUnflushed = true };
    }

    private Ending Trail(ChunkedBody chunks)
    {
        if (!chunks.TryTrailers(connection.Head))
            return Broken(Malformed());
        try
        {
            if (context.Features.Get<IHttpResponseTrailersFeature>()?.Trailers is { IsReadOnly: false } trailers)
                exchange.Trail(trailers, connection.Head);
            return default;
        }
        catch (InvalidOperationException e)
        {
            // A trailer that no server may send.
            return Broken(e);
        }
    }

    /// <summary>Gives the first bytes that were received to the server, which may keep them for a moment.</summary>
    private ValueTask WriteAsync(int length)
    {
        // The server takes bytes before it has begun the answer, too; but it copies those twice.
        if (!context.Response.HasStarted)
        {
            var starting = context.Response.StartAsync(CancellationToken.None);
            if (!starting.IsCompletedSuccessfully)
                return StartedAsync(this, starting, length);
        }

        Write(length);
        return ValueTask.CompletedTask;

        static async ValueTask StartedAsync(AnswerRelay relay, Task starting, int length)
        {
            await starting;
            relay.Write(length);
        }
    }

    private void Write(int length)
    {
        for (var rest = connection.Received[..length]; rest.Length > 0;)
        {
            var room = _caller.GetSpan(1);
            // The caller's connection was given up this moment: the server takes bytes for nobody, and now and then has no room for them. The next flush tells.
            if (room.IsEmpty)
                break;
            var part = Math.Min(rest.Length, room.Length);
            rest[..part].CopyTo(room);
            _caller.Advance(part);
            rest = rest[part..];
        }

        connection.Use(length);
        exchange.Progress(length);
    }

    /// <summary>Waits for more, and meanwhile sends on what the server has, be it only the head: a caller of an event stream wants to know that it is open.</summary>
    /// <param name="mayEnd">Whether the end of the connection is that of the body.</param>
    /// <returns>Null when there is more.</returns>
    private async ValueTask<Ending?> MoreAsync(bool mayEnd = false)
    {
        var receiving = connection.ReceiveAsync();
        var waited = !receiving.IsCompleted;
        if (waited || _caller.UnflushedBytes > LargePiece)
        {
            if (await FlushAsync() is { } ending)
            {
                connection.Abort();
                await receiving;
                return ending;
            }
        }

        var received = await receiving;
        if (connection.IsShareUsedUp(waited))
            await FairShare.ToPool();
        if (received == 0 && mayEnd)
            return default(Ending);
        if (received <= 0)
        {
            // What came is the caller's, though it is not all.
            if (context.Response.HasStarted && _caller.UnflushedBytes > 0 && await FlushAsync() is { } gone)
                return gone;
            return Broken(Ended());
        }

        connection.Progress();
        return null;
    }

    /// <returns>Null when the caller has room for more.</returns>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<Ending?> FlushAsync()
    {
        await _caller.FlushAsync(CancellationToken.None);
        connection.Progress();
        // The server keeps to itself that the waiting was cancelled, or that nobody reads any more.
        if (context.RequestAborted.IsCancellationRequested)
            return new Ending(ForwarderError.ResponseBodyClient, new IOException("The caller has left."));
        if (!connection.IsAborted)
            return null;
        Cut(context, cancelled: true);
        return new Ending(ForwarderError.ResponseBodyCanceled, new OperationCanceledException("The caller took nothing of its answer for too long."));
    }

    private Ending Broken(Exception fault)
    {
        if (context.RequestAborted.IsCancellationRequested)
            return new Ending(ForwarderError.ResponseBodyClient, fault);
        if (cancellation.IsCancellationRequested || connection.WentSilent)
        {
            // Told before the caller's connection is ended for it: from then on it looks as if the caller had gone.
            exchange.WentSilent = true;
            Cut(context, cancelled: true);
            return new Ending(ForwarderError.ResponseBodyCanceled, new OperationCanceledException("The instance fell silent in its answer.", fault));
        }

        exchange.BreakOff();
        if (context.Response.HasStarted && exchange.EndsWithStatus(fault, context))
            return default;
        Cut(context, cancelled: false);
        return new Ending(ForwarderError.ResponseBodyDestination, fault);
    }

    /// <summary>Ends an answer that has begun, so that nobody takes it for a whole one.</summary>
    public static void Cut(HttpContext context, bool cancelled)
    {
        const int InternalError = 2;
        const int Cancel = 8;
        if (!context.Response.HasStarted)
            return;
        if (context.Features.Get<IHttpResetFeature>() is { } stream)
            stream.Reset(cancelled ? Cancel : InternalError);
        else
            context.Abort();
    }

    private static HttpRequestException Malformed() => new(HttpRequestError.InvalidResponse, "The instance's answer is malformed.");

    private static HttpRequestException Ended() => new(HttpRequestError.ResponseEnded, "The instance's answer ended before its end.");
}

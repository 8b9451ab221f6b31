using System.Globalization;
using Alicia.Proxy.Connections;
using Microsoft.AspNetCore.Http.Features;
using Yarp.ReverseProxy.Forwarder;

namespace Alicia.Proxy.Direct;

/// <summary>
/// One request as it goes to an instance: its head, ready to be sent, and its body, read from the caller as it goes up. What is there of a small body goes out with the head.
/// </summary>
internal sealed partial class OutgoingRequest : IDisposable
{
    private const int HeadBytes = 2048;

    /// <summary>Large enough that a large body costs few calls, small enough for a pooled array.</summary>
    private const int BodyBytes = 64 * 1024;

    /// <summary>A body that most likely came in one piece with its head.</summary>
    private const int SmallBytes = 2048;

    /// <summary>How long a caller may go on sending what nobody wants.</summary>
    private static readonly TimeSpan MaxDiscard = TimeSpan.FromSeconds(5);

    /// <summary>How long an answer that is whole waits for the sending of the request's last bytes to be over. Longer than a thread is put aside; an instance that does not read answers in spite of it.</summary>
    private static readonly TimeSpan MaxLastSend = TimeSpan.FromMilliseconds(500);

    /// <summary>Room in front of a chunk for its size, and behind it for its end.</summary>
    private const int ChunkPrefix = 10;
    private const int ChunkSuffix = 2;

    private readonly HttpContext _context;
    private readonly IDirectExchange _exchange;
    private readonly HeadWriter _out;
    private readonly bool _isChunked;

    /// <summary>Ends the reading of the body. Never disposed: whoever gives the exchange up may come with his word when it is over, and there is nothing in it to be disposed of.</summary>
    private readonly CancellationTokenSource? _reading;
    private ValueTask<int> _read;
    private bool _isReading;
    private int _readAt;
    private bool _isComplete;
    private bool _isDiscarded;
    private long _sent;
    private Task? _upload;

    /// <exception cref="BadHttpRequestException">It cannot be passed on.</exception>
    public OutgoingRequest(HttpContext context, IDirectExchange exchange)
    {
        (_context, _exchange) = (context, exchange);
        var request = context.Request;
        HasBody = context.Features.Get<IHttpRequestBodyDetectionFeature>()?.CanHaveBody == true;
        _isChunked = HasBody && request.ContentLength is null;
        _isComplete = !HasBody;
        // Methods have case: to an instance "head" is another method, whose answer has a body.
        IsHead = request.Method == HttpMethods.Head;
        _out = new HeadWriter(HeadBytes);
        try
        {
            _out.RequestLine(request.Method, exchange.Target);
            exchange.WriteFields(context, _out);
            // The framing is what the body is sent by, and not what any field says: a body behind a head without it would be the next request.
            if (_isChunked)
                _out.Raw("Transfer-Encoding: chunked\r\n"u8);
            else if (HasBody)
                _out.Field("Content-Length", request.ContentLength!.Value.ToString(CultureInfo.InvariantCulture));
            else if (request.ContentLength is not null || SaysItsLength(request.Method))
                _out.Raw("Content-Length: 0\r\n"u8);
            _out.Raw("\r\n"u8);
        }
        catch
        {
            _out.Dispose();
            throw;
        }

        if (!HasBody)
            return;
        AwaitsContinue = request.Headers.Expect.ToString().Equals("100-continue", StringComparison.OrdinalIgnoreCase);
        _reading = new CancellationTokenSource();
    }

    public bool HasBody { get; }

    public bool IsHead { get; }

    /// <summary>True while the body waits for the instance to ask for it.</summary>
    public bool AwaitsContinue { get; private set; }

    /// <summary>True when all of it has gone out.</summary>
    public bool IsSent => _isComplete && Fault is null && (_upload is null || _upload.IsCompleted);

    /// <summary>
    /// <see cref="IsSent"/>, once the answer is there whole. An instance that has the last bytes may have answered before the thread that sent them hears of it, most likely on a busy machine, where the sender is
    /// put aside for whoever it has woken. That is no reason to close a connection.
    /// </summary>
    public ValueTask<bool> IsSentByNowAsync(TimeProvider time)
    {
        // Of a body that says how long it is all may be there before its end has been seen.
        var isAllThere = _isComplete || _sent == _context.Request.ContentLength;
        return IsSent || !isAllThere || Fault is not null || _upload is not { } upload ? ValueTask.FromResult(IsSent) : AwaitedAsync(upload);

        async ValueTask<bool> AwaitedAsync(Task upload)
        {
            using var enough = new CancellationTokenSource();
            await Task.WhenAny(upload, Task.Delay(MaxLastSend, time, enough.Token));
            await enough.CancelAsync();
            return IsSent;
        }
    }

    /// <summary>Why the body did not go up; null while nothing is wrong with it.</summary>
    public Ending? Fault { get; private set; }

    /// <summary>Sends the head, with as much of the body as is there.</summary>
    public ValueTask<FirstSend> SendFirstAsync(UpstreamConnection connection)
    {
        if (HasBody)
        {
            connection.UploadFrom(_reading!);
            if (!AwaitsContinue)
            {
                ReadAhead();
                if (!_isComplete && Fault is null && _context.Request.ContentLength is not <= SmallBytes && _out.Length <= BodyBytes / 2)
                    return GatheredAsync(connection);
            }
        }

        return SendReadAsync(connection);
    }

    /// <summary>
    /// Leaves the thread to others for a moment: what comes behind the first piece of the body meanwhile goes out with it. Looked at piece by piece, 10 KB over TLS are three waits or sendings, and cost a
    /// third more.
    /// </summary>
    private async ValueTask<FirstSend> GatheredAsync(UpstreamConnection connection)
    {
        await FairShare.ToPool();
        ReadAhead();
        return await SendReadAsync(connection);
    }

    /// <summary>Sends what is there, unless something is wrong with the body: that was there to be seen with the head, and the instance gets neither.</summary>
    private ValueTask<FirstSend> SendReadAsync(UpstreamConnection connection) =>
        Fault is not null ? ValueTask.FromResult(FirstSend.NothingSent) : connection.SendFirstAsync(_out.Buffer.AsMemory(0, _out.Length));

    /// <summary>Begins to send what is left of the body, while the answer is waited for.</summary>
    public void BeginUpload(UpstreamConnection connection)
    {
        AwaitsContinue = false;
        _out.Length = 0;
        if (!_isComplete)
            _upload = UploadAsync(connection);
    }

    /// <summary>
    /// An answer that came before the request had gone up is the caller's now, and what is left of the body nobody's. A caller who is told to stop needs a moment; a connection
    /// that is closed under what it sends would be reset, and the answer lost with it.
    /// </summary>
    public async ValueTask DiscardAsync(TimeProvider time)
    {
        if (_upload is not { IsCompleted: false } upload)
            return;
        Volatile.Write(ref _isDiscarded, true);
        await _context.Response.CompleteAsync();
        // HTTP/2 has a frame for it, which the server sends by itself.
        if (HttpProtocol.IsHttp2(_context.Request.Protocol))
            return;
        using var enough = new CancellationTokenSource();
        if (await Task.WhenAny(upload, Task.Delay(MaxDiscard, time, enough.Token)) == upload)
            await enough.CancelAsync();
        else
            _context.Abort();
    }

    /// <summary>Ends the reading of the body, if it still goes on, and waits until nothing is left of it.</summary>
    public async ValueTask EndAsync()
    {
        if (_upload is { IsCompleted: false } || _isReading)
            await _reading!.CancelAsync();
        if (_upload is not null)
            await _upload;
        if (!_isReading)
            return;
        try
        {
            await _read;
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or BadHttpRequestException)
        {
            // Nobody wants it any more. The buffer is free now, which is what mattered.
        }
    }

    public void Dispose() => _out.Dispose();

    /// <summary>Methods that usually have a body say that there is none: servers that speak an older HTTP ask for it.</summary>
    private static bool SaysItsLength(string method) =>
        method is not ("GET" or "HEAD" or "DELETE" or "OPTIONS" or "TRACE");

    private async Task UploadAsync(UpstreamConnection connection)
    {
        var share = default(FairShare);
        // Whatever ends it is kept for whoever waits for the answer, which may come all the same.
        while (!_isComplete)
        {
            try
            {
                if (!_isReading)
                    BeginRead();
                var waited = !_read.IsCompleted;
                var read = await _read;
                _isReading = false;
                // As with the first piece: what comes meanwhile goes with the next. Not read before this one has gone out: a read that waits could not be taken back for another attempt.
                if ((waited && read > 0) || share.IsUsedUp(waited))
                    await FairShare.ToPool();
                Append(read);
                if (_isComplete && _context.Request.ContentLength is { } length && _sent != length)
                    throw new BadHttpRequestException("The body has another length than it was said to have.");
            }
            catch (Exception e) when (e is IOException or OperationCanceledException or InvalidOperationException)
            {
                _isReading = false;
                Fault = new Ending(e is OperationCanceledException ? ForwarderError.RequestBodyCanceled : ForwarderError.RequestBodyClient, e);
                // The instance must not take what it has for the whole, and nobody need wait for its answer.
                if (e is not OperationCanceledException)
                    connection.Abort();
                return;
            }

            if (Volatile.Read(ref _isDiscarded))
            {
                _out.Length = 0;
                continue;
            }

            connection.Progress();
            if (_out.Length > 0 && !await connection.TrySendAsync(_out.Buffer.AsMemory(0, _out.Length)))
            {
                // The instance may have answered before it closed: the answer is read all the same.
                if (Volatile.Read(ref _isDiscarded))
                {
                    _out.Length = 0;
                    continue;
                }

                Fault = new Ending(ForwarderError.RequestBodyDestination, new IOException("The instance took no more of the body."));
                return;
            }

            _out.Length = 0;
            connection.Progress();
        }
    }
}

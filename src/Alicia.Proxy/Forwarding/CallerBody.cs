using System.Runtime.CompilerServices;
using Alicia.Proxy.Live;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// The caller's body on its way to instances: sends on what is there before it waits for more, tells the exchange's clock about it, and remembers whether the caller still owed bytes, so that a caller that falls
/// silent in its body is not taken for an instance that does not answer. What has been read can be kept, up to a limit, so that another instance can have it from the beginning; nothing waits for that.
/// </summary>
/// <param name="request">The request whose body it is.</param>
/// <param name="live">Counts the bytes.</param>
/// <param name="mostKept">Bytes that may be kept; 0 keeps nothing.</param>
internal sealed class CallerBody(HttpRequest request, ServiceLive live, int mostKept) : Stream
{
    // Of _state: nobody reads the caller's bytes; somebody does, or has failed in it; nobody may.
    private const int Resting = 0;
    private const int Reading = 1;
    private const int Held = 2;

    private readonly Stream _inner = request.Body;

    // In HTTP/2 a caller may rightly leave its side open and wait for the answer, as two-way streams do; unless it said how much it would send.
    private readonly bool _isOwed = !HttpProtocol.IsHttp2(request.Protocol) || request.ContentLength is not null;
    private ExchangeDeadline? _deadline;
    private Stream? _outgoing;
    private bool _isReading;
    private int _state;
    private byte[] _kept = [];
    private int _keptLength;
    private int _resent;
    private bool _isWhole = true;
    private bool _ended;

    /// <summary>True while, or when the exchange ended while, the next bytes were the caller's to send.</summary>
    public bool WasOwed => _isOwed && Volatile.Read(ref _isReading);

    /// <summary>True when another instance could have the body from its first byte on: none has been read, or all that has is kept.</summary>
    public bool CanBeginAgain => Volatile.Read(ref _isWhole) && Volatile.Read(ref _state) != Reading;

    /// <summary>
    /// Keeps the attempt that still copies the body from reading on: bytes that it took now would be missing in the next one. Ended by <see cref="LetGo"/>, or by <see cref="Begin"/>.
    /// </summary>
    /// <returns>False when it reads at this moment, or when the body cannot begin again.</returns>
    public bool TryHold()
    {
        if (Interlocked.CompareExchange(ref _state, Held, Resting) != Resting)
            return false;
        if (Volatile.Read(ref _isWhole))
            return true;
        LetGo();
        return false;
    }

    /// <summary>The attempt may read on.</summary>
    public void LetGo() => Volatile.Write(ref _state, Resting);

    /// <summary>The body goes to an instance, from its beginning.</summary>
    /// <param name="deadline">The clock of the exchange; null when it has none.</param>
    public void Begin(ExchangeDeadline? deadline)
    {
        (_deadline, _outgoing, _resent, _isReading) = (deadline, null, 0, false);
        LetGo();
    }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>What is told of the request afterwards; null when nobody will.</summary>
    public RequestRecord? Record { get; init; }

    /// <summary>Says where the body is written to. See <see cref="Connections.OutgoingBody"/>.</summary>
    public void GoesTo(Stream outgoing) => _outgoing = outgoing;

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (Volatile.Read(ref _state) == Held)
            return ValueTask.FromException<int>(new OperationCanceledException("Another instance gets the body."));
        if (_resent < _keptLength)
            return new ValueTask<int>(Resend(buffer));
        return _ended ? new ValueTask<int>(0) : ReadOnAsync(buffer, cancellationToken);
    }

    private int Resend(Memory<byte> buffer)
    {
        var count = Math.Min(buffer.Length, _keptLength - _resent);
        _kept.AsSpan(_resent, count).CopyTo(buffer.Span);
        _resent += count;
        if (_ended && _resent == _keptLength)
            _deadline?.Sent();
        else
            _deadline?.Progress();
        return count;
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> ReadOnAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (Interlocked.CompareExchange(ref _state, Reading, Resting) != Resting)
            throw new OperationCanceledException("Another instance gets the body.");
        _deadline?.Progress();
        var reading = _inner.ReadAsync(buffer, cancellationToken);
        if (!reading.IsCompleted && _outgoing is not null)
            await FlushOutgoingAsync(_outgoing, cancellationToken);
        // Stays set when the reading fails: that is what WasOwed is asked for.
        Volatile.Write(ref _isReading, true);
        int read;
        try
        {
            read = await reading;
        }
        catch (OperationCanceledException)
        {
            // Nothing has been taken out: who reads next gets what this read would have.
            LetGo();
            throw;
        }

        Volatile.Write(ref _isReading, false);
        if (read > 0)
            Keep(buffer.Span[..read]);
        LetGo();
        live.CountReceived(read);
        Record?.CountIn(read);
        if (read == 0 && buffer.Length > 0)
        {
            _ended = true;
            _deadline?.Sent();
        }
        else
        {
            _deadline?.Progress();
        }

        return read;
    }

    private void Keep(ReadOnlySpan<byte> bytes)
    {
        if (!_isWhole)
            return;
        if (bytes.Length > mostKept - _keptLength)
        {
            (_isWhole, _kept, _keptLength, _resent) = (false, [], 0, 0);
            return;
        }

        if (_kept.Length < _keptLength + bytes.Length)
            Array.Resize(ref _kept, Math.Min(mostKept, Math.Max(2 * _kept.Length, Math.Max(_keptLength + bytes.Length, (int)Math.Min(request.ContentLength ?? 0, mostKept)))));
        bytes.CopyTo(_kept.AsSpan(_keptLength));
        _keptLength += bytes.Length;
        _resent = _keptLength;
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush() => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    private static async Task FlushOutgoingAsync(Stream outgoing, CancellationToken cancellationToken)
    {
        try
        {
            await outgoing.FlushAsync(cancellationToken);
        }
        catch (Exception e) when (e is IOException or HttpRequestException or ObjectDisposedException or OperationCanceledException)
        {
            // The instance's fault. Thrown from here it would be taken for the caller's; whoever writes next meets it again.
        }
    }
}

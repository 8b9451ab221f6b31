using System.Runtime.CompilerServices;
using Alicia.Proxy.Live;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// The caller's body on its way to an instance: sends on what is there before it waits for more, tells the exchange's clock about it, and remembers whether the caller still owed bytes, so that a caller that falls
/// silent in its body is not taken for an instance that does not answer.
/// </summary>
internal sealed class CallerBody(HttpRequest request, ServiceLive live, ExchangeDeadline? deadline) : Stream
{
    private readonly Stream _inner = request.Body;

    // In HTTP/2 a caller may rightly leave its side open and wait for the answer, as two-way streams do; unless it said how much it would send.
    private readonly bool _isOwed = !HttpProtocol.IsHttp2(request.Protocol) || request.ContentLength is not null;
    private Stream? _outgoing;
    private bool _isReading;

    /// <summary>True while, or when the exchange ended while, the next bytes were the caller's to send.</summary>
    public bool WasOwed => _isOwed && Volatile.Read(ref _isReading);

    /// <summary>True once bytes have been read: nobody else can have them.</summary>
    public bool WasRead { get; private set; }

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

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        deadline?.Progress();
        var reading = _inner.ReadAsync(buffer, cancellationToken);
        if (!reading.IsCompleted && _outgoing is not null)
            await FlushOutgoingAsync(_outgoing, cancellationToken);
        Volatile.Write(ref _isReading, true);
        // Stays set when the reading fails: that is what WasOwed is asked for.
        var read = await reading;
        Volatile.Write(ref _isReading, false);
        WasRead |= read > 0;
        live.CountReceived(read);
        Record?.CountIn(read);
        if (read == 0 && buffer.Length > 0)
            deadline?.Sent();
        else
            deadline?.Progress();
        return read;
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

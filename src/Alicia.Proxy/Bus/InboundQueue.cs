using System.Buffers;
using System.Threading.Channels;

namespace Alicia.Proxy.Bus;

/// <summary>
/// Holds received messages between the connection, which must never wait, and the one reader. Bounded in messages and in bytes; what does not fit is dropped and
/// counted, the newest first: what came before it may be what it builds on.
/// </summary>
internal sealed class InboundQueue(BusCounters counters)
{
    /// <summary>Messages that may wait.</summary>
    public const int Length = 4096;

    /// <summary>Bytes that may wait, all messages together: room for any number of ordinary ones, not for 4096 of the largest.</summary>
    public const long MaxWaitingBytes = 8 * 1024 * 1024;

    private readonly Channel<RawMessage> _channel = Channel.CreateBounded<RawMessage>(new BoundedChannelOptions(Length) { SingleReader = true });
    private long _waitingBytes;

    /// <summary>Takes a message. Never waits; copies the payload, which is the caller's only for the moment.</summary>
    /// <returns>False when it was dropped.</returns>
    public bool Offer(string topic, ReadOnlySequence<byte> payload, bool retained)
    {
        counters.CountReceived();
        var kept = payload.Length > Envelope.MaxBytes ? 0 : payload.Length;
        if (Interlocked.Add(ref _waitingBytes, kept) <= MaxWaitingBytes
            && _channel.Writer.TryWrite(new RawMessage(topic, kept == 0 ? ReadOnlyMemory<byte>.Empty : payload.ToArray(), payload.Length, retained)))
            return true;
        Interlocked.Add(ref _waitingBytes, -kept);
        counters.Count(BusReason.QueueFull);
        return false;
    }

    public ValueTask<bool> WaitAsync(CancellationToken cancellation) => _channel.Reader.WaitToReadAsync(cancellation);

    public bool TryTake(out RawMessage message)
    {
        if (!_channel.Reader.TryRead(out message))
            return false;
        Interlocked.Add(ref _waitingBytes, -message.Payload.Length);
        return true;
    }
}

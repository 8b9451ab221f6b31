using System.Threading.Channels;
using MQTTnet.Protocol;

namespace Alicia.Proxy.Bus;

/// <summary>A message on its way to the broker.</summary>
internal sealed record OutgoingMessage(string Topic, byte[] Payload, MqttQualityOfServiceLevel QualityOfService, bool Retain = false);

/// <summary>What waits to be published. Bounded: the oldest is dropped, and counted, when the broker is away or slow; whoever publishes never waits.</summary>
internal sealed class OutgoingQueue(BusCounters counters)
{
    /// <summary>Messages that may wait.</summary>
    public const int Length = 1024;

    private readonly Channel<OutgoingMessage> _channel = Channel.CreateBounded<OutgoingMessage>(
        new BoundedChannelOptions(Length) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true }, _ => counters.CountDropped());

    public int Waiting => _channel.Reader.Count;

    public void Add(OutgoingMessage message) => _channel.Writer.TryWrite(message);

    public ValueTask<OutgoingMessage> TakeAsync(CancellationToken cancellation) => _channel.Reader.ReadAsync(cancellation);
}

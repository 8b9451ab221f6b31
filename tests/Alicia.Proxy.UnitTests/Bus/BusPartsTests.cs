using System.Text.Json;
using Alicia.Proxy.Bus;
using Microsoft.Extensions.Time.Testing;
using MQTTnet.Protocol;
using static Alicia.Proxy.UnitTests.Bus.Messages;

namespace Alicia.Proxy.UnitTests.Bus;

/// <summary>The small parts: envelope, waits between tries, rationed log lines, bounded queues.</summary>
public sealed class BusPartsTests
{
    [Fact]
    public void What_the_proxy_says_has_the_stock_envelope()
    {
        var written = JsonElement.Parse(Envelope.Write("the-id", "event", null, Noon.AddMilliseconds(123), 300, json => json.WriteString("word", "höchst")));

        written.GetProperty("message_id").GetString().Should().Be("the-id");
        written.GetProperty("timestamp").GetDouble().Should().Be(Noon.ToUnixTimeSeconds() + 0.123);
        written.GetProperty("source").GetString().Should().Be("load_balancer");
        written.GetProperty("destination").GetString().Should().Be("broadcast");
        written.GetProperty("message_type").GetString().Should().Be("event");
        written.GetProperty("priority").GetString().Should().Be("normal");
        written.GetProperty("ttl").GetInt32().Should().Be(300);
        written.GetProperty("payload").GetProperty("word").GetString().Should().Be("höchst");
        written.GetProperty("routing").GetProperty("hops").GetInt32().Should().Be(0);
        written.GetProperty("routing").GetProperty("max_hops").GetInt32().Should().Be(10);
    }

    [Fact]
    public void Waits_double_from_one_second_to_a_minute_and_differ_by_chance()
    {
        var backOff = new BackOff(new Random(3));
        var waits = Enumerable.Range(0, 12).Select(_ => backOff.Next().TotalSeconds).ToArray();

        double[] ceilings = [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60];
        for (var i = 0; i < waits.Length; i++)
            waits[i].Should().BeInRange(ceilings[i] / 2, ceilings[i]);
        waits[6..].Distinct().Should().HaveCountGreaterThan(3, "a fleet must not come back in step");

        backOff.Reset();
        backOff.Next().TotalSeconds.Should().BeInRange(0.5, 1);
    }

    [Fact]
    public void One_line_a_minute_passes_per_topic_and_reason()
    {
        var time = new FakeTimeProvider();
        var log = new RateLimitedLog(time);
        log.TryPass("a", BusReason.BadJson, out _).Should().BeTrue();
        log.TryPass("a", BusReason.BadJson, out _).Should().BeFalse();
        log.TryPass("a", BusReason.Expired, out _).Should().BeTrue("another reason has a line of its own");
        log.TryPass("b", BusReason.BadJson, out _).Should().BeTrue("and so has another topic");

        time.Advance(TimeSpan.FromSeconds(59));
        log.TryPass("a", BusReason.BadJson, out _).Should().BeFalse();
        time.Advance(TimeSpan.FromSeconds(1));
        log.TryPass("a", BusReason.BadJson, out var suppressed).Should().BeTrue();
        suppressed.Should().Be(2);
    }

    [Fact]
    public void A_stranger_with_ever_new_topics_gets_a_bounded_number_of_lines()
    {
        var time = new FakeTimeProvider();
        var log = new RateLimitedLog(time);
        Enumerable.Range(0, 100_000).Count(i => log.TryPass($"topic-{i}", BusReason.BadJson, out _)).Should().Be(RateLimitedLog.MaxKeys + 1);

        time.Advance(TimeSpan.FromMinutes(1));
        log.TryPass("another", BusReason.BadJson, out _).Should().BeTrue("what is quiet is forgotten");
    }

    [Fact]
    public void The_inbound_queue_drops_the_newest_and_counts()
    {
        var counters = new BusCounters();
        var queue = new InboundQueue(counters);
        for (var i = 0; i < InboundQueue.Length + 10; i++)
            queue.Offer($"t{i}", Bytes(10), false).Should().Be(i < InboundQueue.Length);

        counters.Received.Should().Be(InboundQueue.Length + 10);
        counters.Of(BusReason.QueueFull).Should().Be(10);
        queue.TryTake(out var first).Should().BeTrue();
        first.Topic.Should().Be("t0");
    }

    [Fact]
    public void The_inbound_queue_is_bounded_in_bytes_too_and_keeps_none_of_what_is_too_large()
    {
        var counters = new BusCounters();
        var queue = new InboundQueue(counters);
        queue.Offer("huge", Bytes(1024 * 1024), false).Should().BeTrue();
        queue.TryTake(out var huge).Should().BeTrue();
        (huge.Payload.Length, huge.Length).Should().Be((0, 1024 * 1024));

        var taken = Enumerable.Range(0, 1000).Count(_ => queue.Offer("large", Bytes(64 * 1024), false));
        taken.Should().Be((int)(InboundQueue.MaxWaitingBytes / (64 * 1024)));
        counters.Of(BusReason.QueueFull).Should().Be(1000 - taken);

        queue.TryTake(out _).Should().BeTrue();
        queue.Offer("large", Bytes(64 * 1024), false).Should().BeTrue("there is room again");
    }

    [Fact]
    public async Task The_outgoing_queue_drops_the_oldest_and_counts()
    {
        var counters = new BusCounters();
        var queue = new OutgoingQueue(counters);
        for (var i = 0; i < OutgoingQueue.Length + 5; i++)
            queue.Add(new OutgoingMessage($"t{i}", [], MqttQualityOfServiceLevel.AtMostOnce));

        counters.Dropped.Should().Be(5);
        queue.Waiting.Should().Be(OutgoingQueue.Length);
        (await queue.TakeAsync(default)).Topic.Should().Be("t5");
    }

    [Fact]
    public void Every_reason_has_a_name_and_a_counter()
    {
        var counters = new BusCounters();
        foreach (var reason in Enum.GetValues<BusReason>())
            counters.Count(reason);
        counters.ByReason.Should().OnlyContain(r => r.Count == 1).And.OnlyHaveUniqueItems(r => r.Reason).And.HaveCount(Enum.GetValues<BusReason>().Length);
        counters.Errors.Should().Be(Enum.GetValues<BusReason>().Count(r => r.IsFault()));
    }
}

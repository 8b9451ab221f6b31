using Alicia.Proxy.Forwarding;
using static Alicia.Proxy.UnitTests.Forwarding.WebSocketFrames;

namespace Alicia.Proxy.UnitTests.Forwarding;

public sealed class WebSocketFrameTrackerTests
{
    private static readonly byte[] Key = [0x81, 0x88, 0, 0xff];

    [Fact]
    public void It_begins_between_two_frames() => new WebSocketFrameTracker().AtBoundary.Should().BeTrue();

    public static TheoryData<int, bool, int> Shapes()
    {
        var shapes = new TheoryData<int, bool, int>();
        foreach (var masked in new[] { false, true })
        {
            foreach (var (length, bytes) in new[] { (0, 0), (1, 0), (125, 0), (0, 2), (126, 2), (65_535, 2), (0, 8), (7, 8), (65_536, 8) })
                shapes.Add(length, masked, bytes);
        }

        return shapes;
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void A_frame_ends_with_its_last_byte_and_not_before(int length, bool masked, int lengthBytes)
    {
        // A payload of bytes that would be a close frame, were they a header.
        var payload = new byte[length];
        Array.Fill(payload, (byte)0x88);
        var frame = Frame(Text, payload, masked ? Key : null, lengthBytes: lengthBytes);
        var tracker = new WebSocketFrameTracker();

        for (var i = 0; i < frame.Length; i++)
        {
            tracker.Take(frame.AsSpan(i, 1));
            tracker.AtBoundary.Should().Be(i == frame.Length - 1, "after byte {0} of {1}", i + 1, frame.Length);
        }

        tracker.Closed.Should().BeFalse();
    }

    [Fact]
    public void Random_frames_are_told_apart_wherever_they_are_split()
    {
        const int Seed = 20;
        var random = new Random(Seed);
        for (var round = 0; round < 40; round++)
        {
            var frames = Enumerable.Range(0, random.Next(1, 8)).Select(_ => RandomFrame(random)).ToList();
            var stream = frames.SelectMany(f => f).ToArray();
            var ends = frames.Aggregate(new List<int> { 0 }, (ends, f) => [.. ends, ends[^1] + f.Length]).ToHashSet();

            for (var split = 0; split <= stream.Length; split++)
            {
                var tracker = new WebSocketFrameTracker();
                tracker.Take(stream.AsSpan(0, split));
                tracker.AtBoundary.Should().Be(ends.Contains(split), "round {0}, split at {1}", round, split);
                tracker.Take(stream.AsSpan(split));
                tracker.AtBoundary.Should().BeTrue();
                tracker.Closed.Should().BeFalse();
            }
        }
    }

    [Fact]
    public void Taking_frame_by_frame_stops_at_each_end_however_the_bytes_come()
    {
        const int Seed = 21;
        var random = new Random(Seed);
        for (var round = 0; round < 200; round++)
        {
            var frames = Enumerable.Range(0, 6).Select(_ => RandomFrame(random)).ToList();
            var stream = frames.SelectMany(f => f).ToArray();
            var tracker = new WebSocketFrameTracker();
            var ends = new List<int>();
            var at = 0;
            while (at < stream.Length)
            {
                var chunk = stream.AsSpan(at, Math.Min(random.Next(1, 200), stream.Length - at));
                while (!chunk.IsEmpty)
                {
                    var taken = tracker.TakeFrame(chunk);
                    taken.Should().BeInRange(1, chunk.Length);
                    at += taken;
                    chunk = chunk[taken..];
                    if (tracker.AtBoundary)
                        ends.Add(at);
                }
            }

            ends.Should().Equal(frames.Select((_, i) => frames.Take(i + 1).Sum(f => f.Length)));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_close_frame_counts_when_it_is_whole(bool masked)
    {
        var tracker = new WebSocketFrameTracker();
        tracker.Take(Frame(Text, "hi"u8));
        var close = Frame(Close, [0x03, 0xe9], masked ? Key : null);
        tracker.Take(close.AsSpan(0, close.Length - 1));
        tracker.Closed.Should().BeFalse();

        tracker.Take(close.AsSpan(close.Length - 1));

        tracker.Closed.Should().BeTrue();
        tracker.AtBoundary.Should().BeTrue();
    }

    [Fact]
    public void A_close_frame_between_the_fragments_of_a_message_is_seen()
    {
        var tracker = new WebSocketFrameTracker();
        tracker.Take(Frame(Text, "one"u8, fin: false));
        tracker.AtBoundary.Should().BeTrue("control frames may stand between fragments");

        tracker.Take(Frame(Close, []));

        tracker.Closed.Should().BeTrue();
    }

    [Fact]
    public void A_length_that_no_frame_may_have_never_ends()
    {
        var tracker = new WebSocketFrameTracker();
        tracker.Take([0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        for (var i = 0; i < 100; i++)
            tracker.Take(new byte[10_000]);

        tracker.AtBoundary.Should().BeFalse();
    }

    private static byte[] RandomFrame(Random random)
    {
        // 65,536 and more are in the theory above: split at every byte they would take minutes.
        int[] lengths = [0, 1, random.Next(2, 126), 126, random.Next(127, 700)];
        var payload = new byte[lengths[random.Next(lengths.Length)]];
        random.NextBytes(payload);
        int[] opcodes = [0, Text, 0x2, 0x9, 0xa];
        return Frame(opcodes[random.Next(opcodes.Length)], payload, random.Next(2) == 0 ? Key : null, random.Next(2) == 0, random.Next(4) == 0 ? 8 : null);
    }
}

using System.Buffers;
using System.Text;
using Alicia.Proxy.Http1;

namespace Alicia.Proxy.Corpus;

/// <summary>Reads a whole input through <see cref="StrictRequests"/>, cut into pieces, each piece a segment of its own behind what was not taken before.</summary>
internal static class StrictReading
{
    public static readonly RequestLimits Limits = new(32 * 1024, 64 * 1024, 500, null);

    /// <summary>Where every whole request ended, what is wrong with the next, if anything is, and how much could have gone on.</summary>
    internal sealed record Reading(IReadOnlyList<long> Ends, RequestFault? Fault, long Safe, bool EndsBetweenRequests);

    public static Reading Read(string input, IReadOnlyList<int> cuts)
    {
        var bytes = Encoding.Latin1.GetBytes(input);
        var requests = new StrictRequests(Limits);
        var ends = new List<long>();
        var segments = new List<Segment>();
        for (var i = 0; i <= cuts.Count && requests.Fault is null; i++)
        {
            var (from, to) = (i == 0 ? 0 : cuts[i - 1], i < cuts.Count ? cuts[i] : bytes.Length);
            segments.Add(new Segment(bytes.AsMemory(from, to - from), segments.LastOrDefault()));
            var all = new ReadOnlySequence<byte>(segments[0], 0, segments[^1], segments[^1].Memory.Length);
            Feed(requests, all, ends);
        }

        return new(ends, requests.Fault, requests.Safe, requests.IsBetweenRequests && requests.Taken == bytes.Length);
    }

    /// <summary>One request at a time, so that the end of each shows.</summary>
    private static void Feed(StrictRequests requests, in ReadOnlySequence<byte> all, List<long> ends)
    {
        while (true)
        {
            var before = (requests.Taken, requests.RequestStart);
            requests.Read(all.Slice(requests.Taken));
            var waits = requests.AwaitsUpgrade;
            if (waits)
                requests.NotUpgraded();
            if (requests.RequestStart > before.RequestStart)
                ends.Add(requests.RequestStart);
            if (!waits)
                return;
        }
    }

    private sealed class Segment : ReadOnlySequenceSegment<byte>
    {
        public Segment(ReadOnlyMemory<byte> memory, Segment? previous)
        {
            Memory = memory;
            if (previous is null)
                return;
            RunningIndex = previous.RunningIndex + previous.Memory.Length;
            previous.Next = this;
        }
    }
}

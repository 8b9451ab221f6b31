using System.Collections;
using System.Runtime.InteropServices;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Live;
using Yarp.ReverseProxy.Model;

namespace Alicia.Proxy.Balancing;

/// <summary>One instance as the request path sees it: what it is doing, how to reach it, its YARP destination, and whether it may be used.</summary>
internal sealed record PoolMember(InstanceLive Live, UpstreamEndpoint Endpoint, DestinationState Destination, InstanceGate Gate)
{
    /// <summary>0–100; see <see cref="Tier"/>.</summary>
    public int Priority { get; init; }
}

/// <summary>
/// The instances of one service that take traffic, in the form that balancing policies work on. Immutable but for the cursors; a change of the set or of a
/// weight builds a new pool, ordered least recently picked first, so that a rotation goes on where the old one stood.
/// </summary>
internal sealed class Pool : IReadOnlyList<DestinationState>
{
    public static readonly Pool Empty = new([]);

    private readonly PoolMember[] _members;
    private readonly InstanceLive[] _lives;
    private readonly int[] _weights;
    private readonly long _firstTicket;
    private readonly long[]? _ownTickets;
    private readonly Lazy<WeightedSchedule> _schedule;
    private readonly Lazy<int[]> _cumulativeWeights;
    private Cursor _cursor;

    /// <param name="members">Instances that take traffic, in any order.</param>
    /// <param name="apart">True for a rotation of its own that leaves no trace on the instances: picks for others than the proxy's own requests.</param>
    public Pool(IEnumerable<PoolMember> members, bool apart = false)
    {
        _members = [.. members];
        // Tickets of picks begin at 2, because 0 is "never picked" and 1 is what the first newcomers get.
        _firstTicket = 1 + _members.Select(m => m.Live.RotationTicket).Append(1).Max();
        // A newcomer has no turn behind it; it is treated as picked just now. Put first, an instance that keeps coming back would get every request.
        foreach (var member in _members)
        {
            if (member.Live.RotationTicket == 0)
                member.Live.RotationTicket = _firstTicket - 1;
        }

        _members = [.. _members.OrderBy(m => m.Live.RotationTicket).ThenBy(m => m.Live.Epoch)];
        _lives = [.. _members.Select(m => m.Live)];
        _ownTickets = apart ? [.. _lives.Select(l => l.RotationTicket)] : null;
        _weights = [.. _lives.Select(l => l.Weight)];
        _schedule = new Lazy<WeightedSchedule>(() => new WeightedSchedule(_weights, MostDue()));
        _cumulativeWeights = new Lazy<int[]>(() =>
        {
            var sum = 0;
            return [.. _weights.Select(w => sum += w)];
        });
    }

    public int Count => _members.Length;

    public DestinationState this[int index] => _members[index].Destination;

    public ReadOnlySpan<PoolMember> Members => _members;

    public ReadOnlySpan<InstanceLive> Lives => _lives;

    /// <summary>Weights as they were when the pool was built, 1–1000.</summary>
    public ReadOnlySpan<int> Weights => _weights;

    /// <summary>The order in which weighted round robin serves this pool.</summary>
    public WeightedSchedule Schedule => _schedule.Value;

    /// <summary>Running sums of the weights; the last is their total.</summary>
    public ReadOnlySpan<int> CumulativeWeights => _cumulativeWeights.Value;

    /// <summary>True when a pool of these members would be the same as this one: the same instances with the same weights.</summary>
    public bool SameAs(IReadOnlyCollection<PoolMember> members)
    {
        if (members.Count != _members.Length)
            return false;
        foreach (var member in members)
        {
            var index = Array.FindIndex(_members, m => ReferenceEquals(m.Live, member.Live));
            if (index < 0 || _weights[index] != member.Live.Weight || !ReferenceEquals(_members[index].Destination, member.Destination)
                || !ReferenceEquals(_members[index].Endpoint, member.Endpoint))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Position of the next pick, counting from zero and for ever. Safe under any concurrency.</summary>
    public long NextTurn() => Interlocked.Increment(ref _cursor.Value) - 1;

    /// <summary>Notes that the member at <paramref name="index"/> was picked at <paramref name="turn"/>.</summary>
    public void Picked(int index, long turn)
    {
        if (_ownTickets is null)
            _lives[index].RotationTicket = _firstTicket + turn;
        else
            Volatile.Write(ref _ownTickets[index], _firstTicket + turn);
    }

    /// <summary>When the member at <paramref name="index"/> was last picked; less is longer ago.</summary>
    public long TicketOf(int index) => _ownTickets is null ? _lives[index].RotationTicket : Volatile.Read(ref _ownTickets[index]);

    public IEnumerator<DestinationState> GetEnumerator() => _members.Select(m => m.Destination).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>
    /// Index of the member whose next turn is due first, counted from its last one at its present share. A new schedule begins with it; beginning with
    /// the heaviest every time, a set that changes faster than its period would never come to its light members.
    /// </summary>
    private int MostDue()
    {
        var total = _weights.Sum(w => (long)w);
        var due = 0;
        for (var i = 1; i < _lives.Length; i++)
        {
            // (total − waited·weight) / weight picks are left until the turn; compared without the division.
            if (Left(i) * _weights[due] < Left(due) * _weights[i])
                due = i;
        }

        return due;

        long Left(int i) => total - ((_firstTicket - 1 - _lives[i].RotationTicket) * _weights[i]);
    }

    /// <summary>A counter alone on its cache lines: every request of the service writes it.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Cursor
    {
        [FieldOffset(128)]
        public long Value;
    }
}

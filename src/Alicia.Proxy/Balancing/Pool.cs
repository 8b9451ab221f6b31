using System.Collections;
using System.Runtime.InteropServices;
using Alicia.Proxy.Circuit;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry.Settings;
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
    private readonly int[] _warmths;
    private readonly int[] _shares;
    private readonly long _sharesInAll;
    private readonly long _firstTicket;
    private readonly long[]? _ownTickets;
    private readonly Lazy<WeightedSchedule> _schedule;
    private readonly Lazy<WeightedSchedule> _warmSchedule;
    private readonly Lazy<int[]> _cumulativeWeights;
    private readonly Lazy<int[]> _cumulativeShares;
    private readonly Lazy<double[]> _hefts;
    private readonly Lazy<RendezvousTable> _rendezvous;
    private int _boundPercent = SettingKeys.HashBoundPercent.Default;
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
        _warmths = [.. _lives.Select(l => l.Warmth)];
        WeightsAreEqual = _weights.Distinct().Count() <= 1;
        Warmest = _warmths.Append(1).Max();
        Warming = _warmths.Any(w => w < Warmest);
        _shares = Warming ? [.. _weights.Zip(_warmths, (weight, warmth) => weight * warmth)] : _weights;
        _sharesInAll = _shares.Sum(s => (long)s);
        _schedule = new Lazy<WeightedSchedule>(() => new WeightedSchedule(_shares, MostDue(_shares)));
        _warmSchedule = new Lazy<WeightedSchedule>(() => new WeightedSchedule(_warmths, MostDue(_warmths)));
        _cumulativeWeights = new Lazy<int[]>(() => Sums(_weights));
        _cumulativeShares = new Lazy<int[]>(() => Sums(_shares));
        _hefts = new Lazy<double[]>(() =>
        {
            var mean = _weights.Average();
            return [.. _weights.Select(w => w / mean)];
        });
        _rendezvous = new Lazy<RendezvousTable>(() => new RendezvousTable(_members.Select(NameOf), _shares));
    }

    public int Count => _members.Length;

    public DestinationState this[int index] => _members[index].Destination;

    public ReadOnlySpan<PoolMember> Members => _members;

    public ReadOnlySpan<InstanceLive> Lives => _lives;

    /// <summary>Weights as they were when the pool was built, 1–1000.</summary>
    public ReadOnlySpan<int> Weights => _weights;

    public bool WeightsAreEqual { get; }

    /// <summary>How warm each member was when the pool was built; see <see cref="InstanceLive.Warmth"/>.</summary>
    public ReadOnlySpan<int> Warmths => _warmths;

    /// <summary>The greatest of <see cref="Warmths"/>. What counts is warmth relative to it: where all are equally new, nobody is held back.</summary>
    public int Warmest { get; }

    /// <summary>True while a member gets less than its share because it is newer than others.</summary>
    public bool Warming { get; }

    /// <summary>Weights as warmth leaves them, in proportion to each other; the weights themselves while nobody warms up.</summary>
    public ReadOnlySpan<int> Shares => _shares;

    /// <summary>The order in which weighted round robin serves this pool.</summary>
    public WeightedSchedule Schedule => _schedule.Value;

    /// <summary>The order in which round robin serves this pool while it is <see cref="Warming"/>: by warmth, without weights.</summary>
    public WeightedSchedule WarmSchedule => _warmSchedule.Value;

    /// <summary>Running sums of the weights; the last is their total.</summary>
    public ReadOnlySpan<int> CumulativeWeights => _cumulativeWeights.Value;

    /// <summary>Running sums of the shares; the last is their total.</summary>
    public ReadOnlySpan<int> CumulativeShares => _cumulativeShares.Value;

    /// <summary>Who owns which keys.</summary>
    public RendezvousTable Rendezvous => _rendezvous.Value;

    /// <summary>How far above its fair share of the requests in flight a key's owner may go before the next choice serves, in percent of that share; 101 or more.</summary>
    public int BoundPercent
    {
        get => Volatile.Read(ref _boundPercent);
        set => Volatile.Write(ref _boundPercent, value);
    }

    /// <summary>Weight of a member relative to the mean of all.</summary>
    public double Heft(int index) => WeightsAreEqual ? 1 : _hefts.Value[index];

    /// <summary>True when the member at <paramref name="index"/> has waited for as long as its share of turns says, which those at full warmth need not.</summary>
    public bool IsDue(int index, long turn) =>
        _warmths[index] == Warmest || (_firstTicket + turn - TicketOf(index)) * _shares[index] >= _sharesInAll;

    /// <summary>The member whose turn it is by <see cref="Schedule"/>.</summary>
    public int PickByWeight()
    {
        var turn = NextTurn();
        var index = Schedule.At(turn);
        Picked(index, turn);
        return index;
    }

    /// <summary>True when a pool of these members would be the same as this one: the same instances with the same weights, as warm as they were.</summary>
    public bool SameAs(IReadOnlyCollection<PoolMember> members)
    {
        if (members.Count != _members.Length)
            return false;
        foreach (var member in members)
        {
            var index = Array.FindIndex(_members, m => ReferenceEquals(m.Live, member.Live));
            if (index < 0 || _weights[index] != member.Live.Weight || _warmths[index] != member.Live.Warmth
                || !ReferenceEquals(_members[index].Destination, member.Destination)
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
    private int MostDue(int[] shares)
    {
        var total = shares.Sum(w => (long)w);
        var due = 0;
        for (var i = 1; i < _lives.Length; i++)
        {
            // (total − waited·weight) / weight picks are left until the turn; compared without the division.
            if (Left(i) * shares[due] < Left(due) * shares[i])
                due = i;
        }

        return due;

        long Left(int i) => total - ((_firstTicket - 1 - _lives[i].RotationTicket) * shares[i]);
    }

    private static int[] Sums(int[] values)
    {
        var sum = 0;
        return [.. values.Select(v => sum += v)];
    }

    /// <summary>The instance's own name, which outlives epochs; an instance that only YARP knows has none but the epoch.</summary>
    private static string NameOf(PoolMember member) => member.Endpoint.InstanceId is { Length: > 0 } name ? name : DestinationIds.Of(member.Live.Epoch);

    /// <summary>A counter alone on its cache lines: every request of the service writes it.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Cursor
    {
        [FieldOffset(128)]
        public long Value;
    }
}

namespace Alicia.Proxy.Balancing;

/// <summary>
/// The order of weighted round robin: at every prefix of k picks each member has been picked within one of its exact share k·w/W. A pick is an array
/// look-up at the turn's position in the period.
/// </summary>
/// <remarks>
/// This is the chairman assignment problem (R. Tijdeman, "The chairman assignment problem", Discrete Mathematics 32, 1980): a member's j-th turn must fall
/// between the picks at which its share passes j−1 and j, and serving the open turn with the earliest deadline meets all of these windows. The usual "smooth"
/// algorithm (add the weight, take the largest, subtract the total) drifts to one and a half requests at forty members.
/// </remarks>
internal sealed class WeightedSchedule
{
    /// <summary>Longest period that is laid out in full: 128 KiB. Only odd weights over many members make longer ones.</summary>
    private const int MaxLaidOut = 65536;

    private readonly ushort[]? _period;
    private readonly WeightedTurns? _turns;
    private readonly Lock _lock = new();

    /// <param name="weights">At least one, each at least 1.</param>
    /// <param name="first">Member to begin with, or -1 for the one with the earliest deadline. Beginning with any keeps the bound.</param>
    public WeightedSchedule(ReadOnlySpan<int> weights, int first = -1)
    {
        var turns = new WeightedTurns(weights, first);
        if (turns.Period > MaxLaidOut || weights.Length > ushort.MaxValue)
        {
            _turns = turns;
            return;
        }

        _period = new ushort[turns.Period];
        for (var i = 0; i < _period.Length; i++)
            _period[i] = (ushort)turns.Next();
    }

    /// <summary>Index of the member whose turn it is.</summary>
    /// <param name="turn">Number of the pick, from 0.</param>
    public int At(long turn)
    {
        if (_period is not null)
            return _period[(int)((ulong)turn % (ulong)_period.Length)];
        lock (_lock)
            return _turns!.Next();
    }
}

/// <summary>Generates the turns of a <see cref="WeightedSchedule"/> one after the other. Not thread-safe.</summary>
internal sealed class WeightedTurns
{
    private readonly long[] _weights;
    private readonly long _total;
    private readonly long[] _served;
    private readonly PriorityQueue<int, (long Deadline, int Index)> _open = new();
    private readonly PriorityQueue<int, long> _later = new();
    private long _slot;

    public WeightedTurns(ReadOnlySpan<int> weights, int first = -1)
    {
        ArgumentOutOfRangeException.ThrowIfZero(weights.Length);
        long divisor = 0;
        foreach (var weight in weights)
            divisor = Gcd(weight, divisor);
        _weights = new long[weights.Length];
        for (var i = 0; i < weights.Length; i++)
            _total += _weights[i] = weights[i] / divisor;
        _served = new long[weights.Length];
        Restart(first);
    }

    /// <summary>After so many turns every share is exact and the sequence repeats.</summary>
    public long Period => _total;

    public int Next()
    {
        if (_slot == _total)
            Restart(first: -1);
        _slot++;
        while (_later.TryPeek(out var due, out var release) && release <= _slot)
        {
            _later.Dequeue();
            _open.Enqueue(due, (Deadline(due), due));
        }

        var index = _open.Dequeue();
        _served[index]++;
        if (_served[index] < _weights[index])
            _later.Enqueue(index, Release(index));
        return index;
    }

    private void Restart(int first)
    {
        _slot = 0;
        Array.Clear(_served);
        _open.Clear();
        _later.Clear();
        for (var i = 0; i < _weights.Length; i++)
            _open.Enqueue(i, (i == first ? 0 : Deadline(i), i));
    }

    /// <summary>The last slot at which the member's next turn keeps its count from falling a whole request behind.</summary>
    private long Deadline(int index) => (((_served[index] + 1) * _total) + _weights[index] - 1) / _weights[index];

    /// <summary>The first slot at which the member's next turn does not put it a whole request ahead.</summary>
    private long Release(int index) => (_served[index] * _total / _weights[index]) + 1;

    private static long Gcd(long a, long b) => b == 0 ? a : Gcd(b, a % b);
}

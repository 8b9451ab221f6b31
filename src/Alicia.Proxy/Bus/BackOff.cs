namespace Alicia.Proxy.Bus;

/// <summary>
/// How long to wait before the next try to reach the broker: one second, doubling to a minute. Each wait is between half of that and all of it, by chance, so
/// that a fleet that lost its broker at one moment does not come back at one moment.
/// </summary>
/// <param name="random">Chance.</param>
internal sealed class BackOff(Random random)
{
    public static readonly TimeSpan First = TimeSpan.FromSeconds(1);
    public static readonly TimeSpan Longest = TimeSpan.FromSeconds(60);

    private TimeSpan _ceiling = First;

    /// <summary>The next wait.</summary>
    public TimeSpan Next()
    {
        var wait = _ceiling * (0.5 + (random.NextDouble() / 2));
        _ceiling = _ceiling * 2 < Longest ? _ceiling * 2 : Longest;
        return wait;
    }

    /// <summary>It went well: the next failure begins anew.</summary>
    public void Reset() => _ceiling = First;
}

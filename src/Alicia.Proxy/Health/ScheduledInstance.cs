namespace Alicia.Proxy.Health;

/// <summary>One instance on the schedule. What changes is the schedule's lock's, but for <see cref="HasThrown"/>, which is the running probe's.</summary>
internal sealed class ScheduledInstance(long epoch, ProbeSettings settings, Func<CancellationToken, Task<TimeSpan>> probe)
{
    /// <summary>Urgent ones first, then by time; no two of a schedule are equal.</summary>
    public static readonly IComparer<ScheduledInstance> ByTurn = new TurnComparer();

    // Never disposed: it has no timer, and a probe may still hold its token.
    private readonly CancellationTokenSource _gone = new();

    public long Epoch { get; } = epoch;

    public ProbeSettings Settings { get; set; } = settings;

    public Func<CancellationToken, Task<TimeSpan>> Probe { get; } = probe;

    public CancellationToken Token => _gone.Token;

    /// <summary>When its turn is, or since when it is urgent.</summary>
    public TimeSpan Due { get; set; }

    public TimeSpan StartedAt { get; set; }

    /// <summary>What the last probe asked to wait; zero before the first has ended.</summary>
    public TimeSpan Delay { get; set; }

    /// <summary>Somebody asked for a probe that has not begun.</summary>
    public bool Urgent { get; set; }

    /// <summary>It had its random part of an interval.</summary>
    public bool HasPhase { get; set; }

    /// <summary>The last probe threw.</summary>
    public bool HasThrown { get; set; }

    /// <summary>What hangs on the token is told on other threads: whoever removes an instance need not wait for it.</summary>
    public void End() => _ = _gone.CancelAsync();

    private sealed class TurnComparer : IComparer<ScheduledInstance>
    {
        public int Compare(ScheduledInstance? x, ScheduledInstance? y)
        {
            var urgent = y!.Urgent.CompareTo(x!.Urgent);
            var due = urgent != 0 ? urgent : x.Due.CompareTo(y.Due);
            return due != 0 ? due : x.Epoch.CompareTo(y.Epoch);
        }
    }
}

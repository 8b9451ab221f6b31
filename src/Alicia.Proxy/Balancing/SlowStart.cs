using Alicia.Proxy.Live;

namespace Alicia.Proxy.Balancing;

/// <summary>
/// Lets share and cap of an instance grow while it warms up: one service's newcomers and those that recovered, over <c>SlowStart</c>, in ten steps. Between two steps nothing is worked
/// out; a step makes new pools, as any change of weights does.
/// </summary>
/// <remarks>
/// Warmth is linear in time: 5 % in the first tenth, 15 % in the second, …, 95 % in the last: in the mean what a straight line gives. What counts is warmth relative to the warmest
/// instance beside it, so that the first instance of a service, and all of them after the proxy's own start, get everything at once. Not thread-safe: the publisher's, which
/// does one thing at a time.
/// </remarks>
internal sealed class SlowStart(TimeProvider time, Action due) : IDisposable
{
    private const int Steps = 10;

    private HashSet<InstanceLive> _used = [];
    private ITimer? _timer;

    /// <summary>Warmth after a time in use, 1–<see cref="InstanceLive.FullWarmth"/>.</summary>
    public static int WarmthAt(TimeSpan used, TimeSpan window) => used >= window ? InstanceLive.FullWarmth : (2 * Math.Max(0, StepAt(used, window))) + 1;

    /// <summary>How long until warmth rises, from a time in use below the window.</summary>
    public static TimeSpan UntilNextStep(TimeSpan used, TimeSpan window) => (window * (StepAt(used, window) + 1) / Steps) - used;

    /// <summary>
    /// Brings the warmth of every instance up to date, and asks for the next step. Called before pools are made.
    /// </summary>
    /// <param name="tiers">The usable instances, those of one priority together.</param>
    /// <param name="window">The service's <c>SlowStart</c>; null when there is none.</param>
    /// <param name="starting">True while the proxy starts: what it finds in the registry served before.</param>
    public void Arrange(IReadOnlyCollection<PoolMember[]> tiers, TimeSpan? window, bool starting)
    {
        var used = new HashSet<InstanceLive>();
        var next = TimeSpan.MaxValue;
        foreach (var tier in tiers)
        {
            var warmths = new int[tier.Length];
            for (var i = 0; i < tier.Length; i++)
            {
                var live = tier[i].Live;
                used.Add(live);
                // Suspicion that a probe took back was no absence: the instance is as warm as it was.
                if (!_used.Contains(live) && !starting && !tier[i].Gate.WasOnlySuspected)
                    live.WarmingSince = Math.Max(1, time.GetTimestamp());
                warmths[i] = Warmth(live, window, ref next);
            }

            var warmest = warmths.Append(1).Max();
            for (var i = 0; i < tier.Length; i++)
                tier[i].Live.Warm(warmths[i], warmest);
        }

        _used = used;
        Schedule(next);
    }

    public void Dispose() => _timer?.Dispose();

    private int Warmth(InstanceLive live, TimeSpan? window, ref TimeSpan next)
    {
        if (live.WarmingSince == 0)
            return InstanceLive.FullWarmth;
        var since = time.GetElapsedTime(live.WarmingSince);
        if (window is not { } length || since >= length)
        {
            live.WarmingSince = 0;
            return InstanceLive.FullWarmth;
        }

        var left = UntilNextStep(since, length);
        if (left < next)
            next = left;
        return WarmthAt(since, length);
    }

    private void Schedule(TimeSpan next)
    {
        if (next == TimeSpan.MaxValue)
        {
            _timer?.Dispose();
            _timer = null;
            return;
        }

        _timer ??= time.CreateTimer(static slow => ((SlowStart)slow!).Due(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        // A timer may fire a little early; the step would then be missed until the next.
        _timer.Change(next + TimeSpan.FromMilliseconds(1), Timeout.InfiniteTimeSpan);
    }

    private void Due() => due();

    private static int StepAt(TimeSpan used, TimeSpan window) => (int)(used.Ticks * Steps / window.Ticks);
}

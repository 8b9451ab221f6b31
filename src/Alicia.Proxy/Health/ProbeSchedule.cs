namespace Alicia.Proxy.Health;

/// <summary>
/// Says when each instance is probed. Every instance has a time of its own that nothing which happens to another moves; one ordered set and one timer serve all of them. A
/// bounded number of probes runs at once; the others wait their turn, the longest overdue first.
/// </summary>
/// <remarks>
/// The time from probe to probe counts from beginning to beginning, so that slow probes do not make an instance's probes rarer; a probe that takes longer than that is
/// followed by the next at once, and there are never two of one instance.
/// </remarks>
internal sealed partial class ProbeSchedule : IAsyncDisposable
{
    /// <summary>
    /// Probes at once in all. At a probe of 5 ms that is 12,800 a second, far beyond need; 64 instances that hang for 5 s each still let 12 others through in a second.
    /// </summary>
    public const int DefaultConcurrency = 64;

    /// <summary>A probe comes up to this much of its time earlier or later, so that proxies and instances that started together drift apart.</summary>
    private const double Jitter = 0.1;

    /// <summary>The shortest time from probe to probe, which is also the shortest that the settings allow.</summary>
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(10);

    /// <summary>Between the moments at which probes begin, as far as their intervals allow: 16 at once at 5,000 instances every 30 s.</summary>
    private static readonly TimeSpan LongestStep = TimeSpan.FromMilliseconds(100);

    /// <summary>How long disposal waits for probes that were told to end.</summary>
    private static readonly TimeSpan EndsWithin = TimeSpan.FromSeconds(1);

    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly ILogger<ProbeSchedule> _logger;
    private readonly int _concurrency;
    private readonly long _origin;
    private readonly ITimer _timer;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _lock = new();
    private readonly Dictionary<long, ScheduledInstance> _entries = [];
    private readonly SortedSet<ScheduledInstance> _waiting = new(ScheduledInstance.ByTurn);
    private int _running;
    private bool _stopping;

    /// <param name="time">Clock.</param>
    /// <param name="random">For jitter and phases; used by one thread at a time.</param>
    /// <param name="logger">Hears of probes that throw.</param>
    /// <param name="concurrency">Probes at once in all, at least 1.</param>
    public ProbeSchedule(TimeProvider time, Random random, ILogger<ProbeSchedule> logger, int concurrency = DefaultConcurrency)
    {
        (_time, _random, _logger, _concurrency) = (time, random, logger, concurrency);
        _origin = time.GetTimestamp();
        _timer = time.CreateTimer(static schedule => ((ProbeSchedule)schedule!).StartDue(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    private TimeSpan Now => _time.GetElapsedTime(_origin);

    /// <summary>
    /// Puts an instance on the schedule; its first probe comes at once. The first time that it is to wait for its whole interval it waits for a random part of it: what
    /// came together, as at a start, goes its own way from then on.
    /// </summary>
    /// <param name="epoch">The instance.</param>
    /// <param name="settings">Its interval counts.</param>
    /// <param name="probe">
    /// Probes, and says after how long to do so again, counted from the beginning of this probe; at most the interval. Never called twice at once, nor on the thread of a caller of this class.
    /// Its token is cancelled when the instance is removed, and at the end.
    /// </param>
    /// <exception cref="ArgumentException">The epoch is on the schedule already.</exception>
    public void Add(long epoch, ProbeSettings settings, Func<CancellationToken, Task<TimeSpan>> probe)
    {
        lock (_lock)
        {
            if (_stopping)
                return;
            var entry = new ScheduledInstance(epoch, settings, probe) { Due = Now };
            _entries.Add(epoch, entry);
            _waiting.Add(entry);
        }

        Wake();
    }

    /// <summary>Takes over new settings. An instance that waits by a longer interval than the new one is probed within the new one; any other keeps its time.</summary>
    /// <returns>False when the epoch is not on the schedule.</returns>
    public bool Change(long epoch, ProbeSettings settings)
    {
        lock (_lock)
        {
            if (!_entries.TryGetValue(epoch, out var entry))
                return false;
            var wait = entry.Delay <= entry.Settings.Fast ? settings.Fast : settings.Interval;
            entry.Settings = settings;
            // A shorter interval often comes to many at once; each gets a random part of the first.
            if (wait < entry.Delay && _waiting.Remove(entry))
            {
                var soon = Now + (wait * _random.NextDouble());
                entry.Due = soon < entry.Due ? soon : entry.Due;
                _waiting.Add(entry);
            }
        }

        Wake();
        return true;
    }

    /// <summary>Takes an instance off the schedule, and cancels its probe if one runs. Without effect when it is not there.</summary>
    public void Remove(long epoch)
    {
        ScheduledInstance? entry;
        lock (_lock)
        {
            if (!_entries.Remove(epoch, out entry))
                return;
            _waiting.Remove(entry);
        }

        entry.End();
    }

    /// <summary>
    /// Probes an instance as soon as there is room, ahead of all that is due by time; when its probe is running, once more right after it. Asking again before that probe has
    /// begun changes nothing. Without effect when the instance is not on the schedule.
    /// </summary>
    public void ProbeNow(long epoch)
    {
        lock (_lock)
        {
            if (!_entries.TryGetValue(epoch, out var entry) || entry.Urgent)
                return;
            var waits = _waiting.Remove(entry);
            entry.Urgent = true;
            entry.Due = Now;
            if (!waits)
                return;
            _waiting.Add(entry);
        }

        Wake();
    }

    /// <summary>No probe begins any more; those that run are cancelled and waited for, at most for a second.</summary>
    public async ValueTask DisposeAsync()
    {
        ScheduledInstance[] entries;
        lock (_lock)
        {
            if (_stopping)
                return;
            _stopping = true;
            entries = [.. _entries.Values];
            _entries.Clear();
            _waiting.Clear();
            if (_running == 0)
                _ended.SetResult();
        }

        await _timer.DisposeAsync();
        foreach (var entry in entries)
            entry.End();
        try
        {
            await _ended.Task.WaitAsync(EndsWithin, _time);
        }
        catch (TimeoutException)
        {
            LogLeftBehind(_logger, Volatile.Read(ref _running));
        }
    }

    /// <summary>
    /// Sets the timer to the next turn. Not under the lock, because a clock may run a timer that is due right here; so two callers may overtake each other, and each looks once
    /// more whether what it set is still soon enough.
    /// </summary>
    private void Wake()
    {
        for (TimeSpan? wait = Next(), set = null; wait is { } next && (set is null || next < set); wait = Next())
        {
            // Rounded up to what timers can tell apart, or the timer would come too early again and again. A disposed timer is not set.
            var milliseconds = next <= TimeSpan.Zero ? 0 : Math.Ceiling((next - Now).TotalMilliseconds);
            _timer.Change(TimeSpan.FromMilliseconds(Math.Max(0, milliseconds)), Timeout.InfiniteTimeSpan);
            set = next;
        }
    }

    /// <returns>When the next turn is due; null when there is none, or no room: then whoever makes room goes on.</returns>
    private TimeSpan? Next()
    {
        lock (_lock)
            return _running < _concurrency && _waiting.Min is { } first ? first.Due : null;
    }

    private void StartDue()
    {
        while (true)
        {
            ScheduledInstance? entry;
            lock (_lock)
            {
                if (_running == _concurrency || (entry = TakeDue_NeedsLock()) is null)
                    break;
                _running++;
            }

            _ = WorkAsync(entry);
        }

        Wake();
    }

    /// <summary>One of the probes that run at once: this one, and when it is done the next that is due.</summary>
    private async Task WorkAsync(ScheduledInstance first)
    {
        for (var entry = first; entry is not null;)
            entry = FinishAndTake(entry, await RunAsync(entry));
        Wake();
    }

    /// <returns>What the probe asks to wait; as long as may be when it did not come to that.</returns>
    private async Task<TimeSpan> RunAsync(ScheduledInstance entry)
    {
        try
        {
            var delay = await entry.Probe(entry.Token);
            entry.HasThrown = false;
            return delay;
        }
        catch (OperationCanceledException) when (entry.Token.IsCancellationRequested)
        {
            return TimeSpan.MaxValue;
        }
        catch (Exception e)
        {
            // Once in a row: it may throw every two seconds for days.
            if (!entry.HasThrown)
                LogThrew(_logger, entry.Epoch, e);
            entry.HasThrown = true;
            return TimeSpan.MaxValue;
        }
    }

    private ScheduledInstance? FinishAndTake(ScheduledInstance done, TimeSpan delay)
    {
        lock (_lock)
        {
            // The settings may have changed while it ran.
            var interval = done.Settings.Interval;
            done.Delay = delay > interval ? interval : delay > Shortest ? delay : Shortest;
            // The same object: an epoch may have left and come back while it was probed.
            if (_entries.TryGetValue(done.Epoch, out var current) && current == done)
            {
                if (!done.Urgent)
                    done.Due = Together(done.StartedAt + Wait_NeedsLock(done), done.Delay);
                _waiting.Add(done);
            }

            var next = TakeDue_NeedsLock();
            if (next is null && --_running == 0 && _stopping)
                _ended.SetResult();
            return next;
        }
    }

    private TimeSpan Wait_NeedsLock(ScheduledInstance entry)
    {
        if (!entry.HasPhase && entry.Delay >= entry.Settings.Interval)
        {
            entry.HasPhase = true;
            return entry.Delay * _random.NextDouble();
        }

        return entry.Delay * (1 - Jitter + (2 * Jitter * _random.NextDouble()));
    }

    /// <summary>
    /// Moves a turn to a moment that it shares with others, at most a twentieth of its time later. Waking up for each probe alone costs several times as much as the probe.
    /// </summary>
    private static TimeSpan Together(TimeSpan due, TimeSpan delay)
    {
        var step = Math.Min(delay.Ticks / 20, LongestStep.Ticks);
        return TimeSpan.FromTicks((due.Ticks + step - 1) / step * step);
    }

    private ScheduledInstance? TakeDue_NeedsLock()
    {
        if (_waiting.Min is not { } first || (!first.Urgent && first.Due > Now))
            return null;
        _waiting.Remove(first);
        first.Urgent = false;
        first.StartedAt = Now;
        return first;
    }

    [LoggerMessage(LogLevel.Error, "The probe of epoch {Epoch} failed within the proxy; it is tried again after its interval")]
    private static partial void LogThrew(ILogger logger, long epoch, Exception error);

    [LoggerMessage(LogLevel.Warning, "{Count} probes did not end when they were told to, and were left behind")]
    private static partial void LogLeftBehind(ILogger logger, int count);
}

namespace Alicia.Proxy.Direct;

/// <summary>
/// Ends an exchange in which nothing has moved for too long. A timer that is set anew by every exchange and every piece of a body would cost more than the pieces: here each of them only
/// writes down a later time, and a timer that rings too early is set again for the rest.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="expired">Called once per exchange at most, when its time is up, on a thread of the timer's.</param>
internal sealed class SilenceClock(TimeProvider time, Action expired) : IDisposable
{
    /// <summary>Nothing is being watched.</summary>
    private const long Idle = long.MaxValue;

    /// <summary>The time of the exchange that is being watched is up.</summary>
    private const long Over = long.MinValue;

    private readonly Lock _timerLock = new();
    private ITimer? _timer;
    private long _due = Idle;
    private long _rings = Idle;
    private long _span;
    private bool _disposed;

    /// <summary>True when the time of the exchange was up.</summary>
    public bool IsOver => Volatile.Read(ref _due) == Over;

    /// <summary>Begins to watch: <paramref name="silence"/> from now, and again from each <see cref="Progress"/>.</summary>
    public void Begin(TimeSpan silence)
    {
        _span = (long)(silence.TotalSeconds * time.TimestampFrequency);
        var due = time.GetTimestamp() + _span;
        // A full fence before the look at the timer; Ring does the same the other way round, so that one of them sees the other.
        Interlocked.Exchange(ref _due, due);
        if (Volatile.Read(ref _rings) > due)
            Set(due);
    }

    /// <summary>Something has moved.</summary>
    public void Progress()
    {
        var due = Volatile.Read(ref _due);
        if (due is not (Over or Idle))
            Interlocked.CompareExchange(ref _due, time.GetTimestamp() + _span, due);
    }

    /// <summary>Ends the watch.</summary>
    /// <returns>False when time was up before.</returns>
    public bool End() => Interlocked.Exchange(ref _due, Idle) != Over;

    public void Dispose()
    {
        lock (_timerLock)
        {
            _disposed = true;
            _timer?.Dispose();
        }
    }

    private void Set(long due)
    {
        lock (_timerLock)
        {
            if (_disposed || Volatile.Read(ref _rings) <= due)
                return;
            Volatile.Write(ref _rings, due);
            var left = time.GetElapsedTime(time.GetTimestamp(), due);
            if (left < TimeSpan.Zero)
                left = TimeSpan.Zero;
            if (_timer is null)
                _timer = time.CreateTimer(static clock => ((SilenceClock)clock!).Ring(), this, left, Timeout.InfiniteTimeSpan);
            else
                _timer.Change(left, Timeout.InfiniteTimeSpan);
        }
    }

    private void Ring()
    {
        Interlocked.Exchange(ref _rings, Idle);
        var due = Volatile.Read(ref _due);
        if (due is Idle or Over)
            return;
        if (time.GetTimestamp() < due)
            Set(due);
        else if (Interlocked.CompareExchange(ref _due, Over, due) == due)
            expired();
        else if (Volatile.Read(ref _due) is not (Idle or Over) and var later)
            Set(later);
    }
}

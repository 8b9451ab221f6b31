namespace Alicia.Proxy.Live;

/// <summary>When the process began, and how much of the recent past the windows cover.</summary>
internal sealed class ProcessClock(TimeProvider time)
{
    private readonly long _startedAt = time.GetTimestamp();

    public DateTimeOffset Now => time.GetUtcNow();

    /// <summary>Time since start.</summary>
    public TimeSpan Uptime => time.GetElapsedTime(_startedAt);

    /// <summary>Seconds that a <see cref="RecentWindow"/> covers now: twelve full slots and a part of one, or less after a start. At least one.</summary>
    public double RecentSeconds
    {
        get
        {
            var uptime = Uptime.TotalSeconds;
            var slot = RecentWindow.SlotLength.TotalSeconds;
            return Math.Max(1, uptime < 13 * slot ? uptime : (12 * slot) + (uptime % slot));
        }
    }
}

/// <summary>Moves every service's <see cref="RecentWindow"/> on, once per slot.</summary>
internal sealed class RecentWindowTicker(LiveTable lives, ProcessClock clock, TimeProvider time) : BackgroundService
{
    /// <summary>The clock that the windows are read by. Held here so that it starts with the process and not with the first question.</summary>
    public ProcessClock Clock { get; } = clock;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(RecentWindow.SlotLength, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
                lives.Advance();
        }
        catch (OperationCanceledException)
        {
            // Stopping.
        }
    }
}

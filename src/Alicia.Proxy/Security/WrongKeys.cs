namespace Alicia.Proxy.Security;

/// <summary>
/// Makes whoever tries keys at the status page's sign-in wait for the answer. Waiting costs a timer, no thread, and only so many wait at once; the others are
/// turned away. A right key never waits, so that nobody is locked out by somebody else's guesses.
/// </summary>
internal sealed partial class WrongKeys(TimeProvider time, ILogger<WrongKeys> logger)
{
    /// <summary>Those who wait at once: guesses get no faster than so many a second.</summary>
    public const int MaxWaiting = 16;

    /// <summary>How long each of them waits.</summary>
    public static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private int _waiting;
    private long _count;

    /// <summary>Wrong keys since start.</summary>
    public long Count => Volatile.Read(ref _count);

    /// <summary>Counts a wrong key and holds its answer back.</summary>
    /// <returns>False, at once, when too many wait already.</returns>
    public async Task<bool> HoldAsync(System.Net.IPAddress? caller, CancellationToken cancellation)
    {
        Interlocked.Increment(ref _count);
        try
        {
            if (Interlocked.Increment(ref _waiting) > MaxWaiting)
                return false;
            // Only those who wait are logged: a flood of guesses is no flood of lines.
            LogWrongKey(logger, caller);
            await Task.Delay(Pause, time, cancellation);
            return true;
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
    }

    [LoggerMessage(LogLevel.Warning, "Somebody at {Address} tried to sign in to the status page with a wrong API key")]
    private static partial void LogWrongKey(ILogger logger, System.Net.IPAddress? address);
}

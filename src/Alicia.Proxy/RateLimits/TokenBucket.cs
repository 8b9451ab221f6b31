namespace Alicia.Proxy.RateLimits;

/// <summary>
/// One token bucket in one word: the moment at which it will be full again (the generic cell rate algorithm). Exact at any rate and without a timer, a lock or an allocation; the
/// bucket of System.Threading.RateLimiting takes a lock for each request and knows no <see cref="TimeProvider"/>, so that it could not be tested without waiting.
/// </summary>
internal sealed class TokenBucket
{
    /// <summary>Timestamp; in the past when the bucket is full. 0 is full from the beginning.</summary>
    private long _fullAt;

    /// <summary>True when nobody would see a difference if the bucket were made anew.</summary>
    public bool IsFull(long now) => Volatile.Read(ref _fullAt) <= now;

    /// <summary>Takes a token.</summary>
    /// <param name="now">The moment, in ticks of the clock; it may be behind that of another caller.</param>
    /// <param name="perToken">Ticks in which one token comes, at least 1.</param>
    /// <param name="burst">Tokens that a full bucket holds, at least 1.</param>
    /// <param name="wait">Ticks until there will be one, when there is none.</param>
    public bool TryTake(long now, long perToken, long burst, out long wait)
    {
        while (true)
        {
            var fullAt = Volatile.Read(ref _fullAt);
            var after = Math.Max(fullAt, now) + perToken;
            wait = after - now - (burst * perToken);
            if (wait > 0)
                return false;
            if (Interlocked.CompareExchange(ref _fullAt, after, fullAt) == fullAt)
                return true;
        }
    }
}

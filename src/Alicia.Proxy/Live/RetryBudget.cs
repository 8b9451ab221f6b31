namespace Alicia.Proxy.Live;

/// <summary>
/// How many retries a service may still make: a share of its requests, and a few a second beyond that. While everything fails, it keeps the retries from doubling the load on
/// instances that are in trouble already.
/// </summary>
/// <remarks>
/// Two buckets. One gains a part of a token with each request, the other fills with time. Neither is touched before a retry asks: what has come in since the last one did is worked out then, so
/// that a request that needs no retry pays nothing.
/// </remarks>
internal sealed class RetryBudget(TimeProvider time)
{
    /// <summary>
    /// Most retries that requests can save up. An instance that dies takes its requests in flight with it, all in the same moment: the bucket must hold more than one instance's usual cap of 100, and not
    /// so many that a quiet day pays for an hour of doubled load.
    /// </summary>
    public const int Capacity = 1000;

    private readonly Lock _lock = new();
    private long _requestsSeen;
    private long _saved;
    private double _reserve = double.NaN;
    private long _reserveAt;

    /// <summary>Takes one retry out, if there is one.</summary>
    /// <param name="requests">The service's requests since start.</param>
    /// <param name="percent">Retries that a hundred requests earn, 0–100.</param>
    /// <param name="perSecond">Retries that each second earns; as many are kept at most, and there are as many at the start.</param>
    public bool TryTake(long requests, int percent, int perSecond)
    {
        lock (_lock)
        {
            // In hundredths of a retry. A percentage that changes counts from the next look on.
            var earning = Math.Max(0, requests - _requestsSeen);
            _saved = Math.Min(_saved + (earning * percent), Capacity * 100L);
            _requestsSeen += earning;
            var now = time.GetTimestamp();
            _reserve = double.IsNaN(_reserve) ? perSecond : Math.Min(_reserve + (time.GetElapsedTime(_reserveAt, now).TotalSeconds * perSecond), perSecond);
            _reserveAt = now;
            if (_saved >= 100)
            {
                _saved -= 100;
                return true;
            }

            if (_reserve < 1)
                return false;
            _reserve--;
            return true;
        }
    }
}

using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Threading.RateLimiting;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.RateLimits;

/// <summary>Whose requests share a bucket.</summary>
internal enum RateLimitBy
{
    /// <summary>All of the service's.</summary>
    Service,

    /// <summary>Those of one address.</summary>
    Client,

    /// <summary>Those with one value of a field, such as an API key.</summary>
    Field,
}

/// <summary>What a service's settings say of its rate; compared by value, so that buckets outlive changes of other settings.</summary>
/// <param name="Tokens">Requests that <see cref="Per"/> lets through on average.</param>
/// <param name="Burst">Requests that may come at once after a pause.</param>
/// <param name="By">Whose requests share a bucket.</param>
/// <param name="Field">With <see cref="RateLimitBy.Field"/>, the field.</param>
/// <param name="Partitions">Callers that have a bucket of their own at once.</param>
internal sealed record RateLimitRule(int Tokens, int Burst, RateLimitBy By, string? Field, int Partitions)
{
    /// <summary>In which time <see cref="Tokens"/> come. Settings know seconds only.</summary>
    public TimeSpan Per { get; init; } = TimeSpan.FromSeconds(1);

    /// <returns>Null when the service has no limit.</returns>
    public static RateLimitRule? Of(ServiceSettings settings, int partitions)
    {
        var perSecond = settings.Get(SettingKeys.RateLimitPerSecond);
        if (perSecond == 0)
            return null;
        var burst = settings.Get(SettingKeys.RateLimitBurst);
        return new RateLimitRule(perSecond, burst == 0 ? perSecond : burst, settings.Get(SettingKeys.RateLimitBy) switch
        {
            "client" => RateLimitBy.Client,
            "field" => RateLimitBy.Field,
            _ => RateLimitBy.Service,
        }, settings.Get(SettingKeys.RateLimitField), partitions);
    }
}

/// <summary>
/// Lets a service's requests through at a rate, in the token buckets of System.Threading.RateLimiting: one for all, or one for each caller. The number of buckets is bounded: full ones, which say nothing, go
/// when there are too many, and callers beyond the bound share one bucket among them. So a flood of made-up callers costs no memory, and takes nothing from those that are known. The library's own table of
/// limiters has no bound, and a timer for each; hence this one.
/// </summary>
internal sealed class RateLimit
{
    private readonly TokenBucketRateLimiterOptions _options;
    private readonly TimeSpan _step;
    private readonly Lazy<Bucket> _shared;
    private readonly ConcurrentDictionary<UInt128, Bucket> _buckets = [];
    private int _count;
    private long _sweptAt = -1;

    private RateLimit(RateLimitRule rule)
    {
        Rule = rule;
        _options = new TokenBucketRateLimiterOptions { TokenLimit = rule.Burst, TokensPerPeriod = rule.Tokens, ReplenishmentPeriod = rule.Per, AutoReplenishment = false, QueueLimit = 0 };
        _step = TimeSpan.FromTicks(Math.Clamp(rule.Per.Ticks / rule.Tokens, MinStep.Ticks, MaxStep.Ticks));
        // The library's bucket takes the time from its making to its first use for time in which tokens came, though it was full.
        _shared = new Lazy<Bucket>(() => new Bucket(_options));
    }

    /// <summary>The library counts time in whole ticks of 100 ns; asked for tokens more often than this, it would lose a part of them.</summary>
    private static readonly TimeSpan MinStep = TimeSpan.FromMicroseconds(10);
    private static readonly TimeSpan MaxStep = TimeSpan.FromMilliseconds(1);

    public RateLimitRule Rule { get; }

    /// <summary>Buckets of callers.</summary>
    public int Buckets => Volatile.Read(ref _count);

    /// <summary>The limiter for a rule: the one that is there when it is for the same rule.</summary>
    public static RateLimit? For(RateLimitRule? rule, RateLimit? current) => rule is null ? null : rule == current?.Rule ? current : new RateLimit(rule);

    /// <summary>Takes a token for a request.</summary>
    /// <param name="client">Whose it is; read only where each has a bucket.</param>
    /// <param name="field">Value of the rule's field, or null; read only with <see cref="RateLimitBy.Field"/>.</param>
    /// <param name="retryAfterSeconds">When it may come again, when it may not pass: 1 or more.</param>
    public bool TryTake(IPAddress? client, string? field, out int retryAfterSeconds)
    {
        var bucket = Rule.By switch
        {
            RateLimitBy.Client => Find(KeyOf(client)),
            RateLimitBy.Field => Find(KeyOf(field)),
            _ => _shared.Value,
        };
        using var lease = bucket.Take(_step);
        retryAfterSeconds = 0;
        if (lease.IsAcquired)
            return true;
        var wait = lease.TryGetMetadata(MetadataName.RetryAfter, out var known) ? known : Rule.Per;
        retryAfterSeconds = (int)Math.Clamp(Math.Ceiling(wait.TotalSeconds), 1, int.MaxValue);
        return false;
    }

    private Bucket Find(UInt128 key)
    {
        if (_buckets.TryGetValue(key, out var known))
            return known;
        if (Volatile.Read(ref _count) >= Rule.Partitions)
            Sweep();
        // Reserved before it is added, so that many who come at once do not pass the bound together.
        if (Interlocked.Increment(ref _count) > Rule.Partitions)
        {
            Interlocked.Decrement(ref _count);
            return _shared.Value;
        }

        var bucket = new Bucket(_options);
        if (_buckets.TryAdd(key, bucket))
            return bucket;
        Interlocked.Decrement(ref _count);
        return _buckets.GetValueOrDefault(key, bucket);
    }

    /// <summary>Takes full buckets away, at most once a second: with as many callers as may be, every request of a new one comes by here.</summary>
    private void Sweep()
    {
        var now = Environment.TickCount64;
        var last = Volatile.Read(ref _sweptAt);
        if ((last >= 0 && now - last < 1000) || Interlocked.CompareExchange(ref _sweptAt, now, last) != last)
            return;
        foreach (var (key, bucket) in _buckets)
        {
            if (bucket.IsFull(_step) && _buckets.TryRemove(key, out _))
                Interlocked.Decrement(ref _count);
        }
    }

    private static UInt128 KeyOf(IPAddress? client)
    {
        Span<byte> bytes = stackalloc byte[16];
        NetworkRules.CustomerOf(client).MapToIPv6().TryWriteBytes(bytes, out _);
        return BinaryPrimitives.ReadUInt128BigEndian(bytes);
    }

    /// <summary>A hash: the value may be a secret, and of any length.</summary>
    private static UInt128 KeyOf(string? field)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(field ?? ""), hash);
        return BinaryPrimitives.ReadUInt128BigEndian(hash);
    }

    /// <summary>A bucket of the library, that gets its tokens when somebody wants one. It holds nothing that would have to be freed.</summary>
    private sealed class Bucket(TokenBucketRateLimiterOptions options)
    {
        private readonly TokenBucketRateLimiter _limiter = new(options);
        private long _filledAt = Stopwatch.GetTimestamp();

        public RateLimitLease Take(TimeSpan step)
        {
            Fill(step);
            return _limiter.AttemptAcquire();
        }

        /// <summary>True when nobody would see a difference if the bucket were made anew.</summary>
        public bool IsFull(TimeSpan step)
        {
            Fill(step);
            return _limiter.IdleDuration is not null;
        }

        private void Fill(TimeSpan step)
        {
            var last = Volatile.Read(ref _filledAt);
            var now = Stopwatch.GetTimestamp();
            if (Stopwatch.GetElapsedTime(last, now) >= step && Interlocked.CompareExchange(ref _filledAt, now, last) == last)
                _limiter.TryReplenish();
        }
    }
}

using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Text;
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
internal sealed record RateLimitRule(int PerSecond, int Burst, RateLimitBy By, string? Field, int Partitions)
{
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
/// Lets a service's requests through at a rate, in token buckets: one for all, or one for each caller. The number of buckets is bounded: full ones, which say nothing, go when there
/// are too many, and callers beyond the bound share one bucket among them. So a flood of made-up callers costs no memory, and takes nothing from those that are known.
/// </summary>
internal sealed class RateLimit
{
    private readonly TimeProvider _time;
    private readonly long _perToken;
    private readonly TokenBucket _shared = new();
    private readonly ConcurrentDictionary<UInt128, TokenBucket> _buckets = [];
    private int _count;
    private long _sweptAt;

    private RateLimit(RateLimitRule rule, TimeProvider time)
    {
        (Rule, _time) = (rule, time);
        _perToken = Math.Max(1, time.TimestampFrequency / rule.PerSecond);
        _sweptAt = time.GetTimestamp() - time.TimestampFrequency;
    }

    public RateLimitRule Rule { get; }

    /// <summary>Buckets of callers.</summary>
    public int Buckets => Volatile.Read(ref _count);

    /// <summary>The limiter for a rule: the one that is there when it is for the same rule.</summary>
    public static RateLimit? For(RateLimitRule? rule, RateLimit? current, TimeProvider time) =>
        rule is null ? null : rule == current?.Rule ? current : new RateLimit(rule, time);

    /// <summary>Takes a token for a request.</summary>
    /// <param name="client">Whose it is; read only where each has a bucket.</param>
    /// <param name="field">Value of the rule's field, or null; read only with <see cref="RateLimitBy.Field"/>.</param>
    /// <param name="retryAfterSeconds">When it may come again, when it may not pass: 1 or more.</param>
    public bool TryTake(IPAddress? client, string? field, out int retryAfterSeconds)
    {
        var now = _time.GetTimestamp();
        var bucket = Rule.By switch
        {
            RateLimitBy.Client => Find(KeyOf(client), now),
            RateLimitBy.Field => Find(KeyOf(field), now),
            _ => _shared,
        };
        if (bucket.TryTake(now, _perToken, Rule.Burst, out var wait))
        {
            retryAfterSeconds = 0;
            return true;
        }

        retryAfterSeconds = (int)Math.Clamp((wait + _time.TimestampFrequency - 1) / _time.TimestampFrequency, 1, int.MaxValue);
        return false;
    }

    private TokenBucket Find(UInt128 key, long now)
    {
        if (_buckets.TryGetValue(key, out var known))
            return known;
        if (Volatile.Read(ref _count) >= Rule.Partitions)
            Sweep(now);
        // Reserved before it is added, so that many who come at once do not pass the bound together.
        if (Interlocked.Increment(ref _count) > Rule.Partitions)
        {
            Interlocked.Decrement(ref _count);
            return _shared;
        }

        var bucket = new TokenBucket();
        if (_buckets.TryAdd(key, bucket))
            return bucket;
        Interlocked.Decrement(ref _count);
        return _buckets.GetValueOrDefault(key, bucket);
    }

    /// <summary>Takes full buckets away, at most once a second: with as many callers as may be, every request of a new one comes by here.</summary>
    private void Sweep(long now)
    {
        var last = Volatile.Read(ref _sweptAt);
        if (now - last < _time.TimestampFrequency || Interlocked.CompareExchange(ref _sweptAt, now, last) != last)
            return;
        foreach (var (key, bucket) in _buckets)
        {
            if (bucket.IsFull(now) && _buckets.TryRemove(key, out _))
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
}

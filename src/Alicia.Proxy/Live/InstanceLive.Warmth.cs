namespace Alicia.Proxy.Live;

/// <summary>How much of its cap an instance gets while it is new.</summary>
internal sealed partial class InstanceLive
{
    private int _warmth = FullWarmth;
    private int _warmest = FullWarmth;
    private volatile bool _isHeldBack;

    /// <summary>Warmth of an instance that is not new.</summary>
    public const int FullWarmth = 20;

    /// <summary>How much of its share the instance is ready for, 1–<see cref="FullWarmth"/>, by the time that it has been in use.</summary>
    public int Warmth => Volatile.Read(ref _warmth);

    /// <summary>When the instance came into use, as a <see cref="TimeProvider"/> timestamp, while it warms up; else 0. The publisher's.</summary>
    public long WarmingSince { get; set; }

    /// <summary>True while the instance gets less than its weight and cap because others are warmer.</summary>
    public bool IsHeldBack => _isHeldBack;

    /// <summary>Share of its weight and cap that the instance gets now, above 0 and below 1; null when it gets all.</summary>
    public double? WarmShare
    {
        get
        {
            lock (_limitsLock)
                return _warmth < _warmest ? (double)_warmth / _warmest : null;
        }
    }

    /// <summary>Takes over how warm the instance is. Its cap follows.</summary>
    /// <param name="warmth">1–<see cref="FullWarmth"/>.</param>
    /// <param name="warmest">The warmth of the warmest instance beside it: cap and share are relative to that, so that where all are new nobody is held back.</param>
    public void Warm(int warmth, int warmest)
    {
        lock (_limitsLock)
        {
            Volatile.Write(ref _warmth, warmth);
            _warmest = warmest;
            _isHeldBack = warmth < warmest;
            ApplyLimits_NeedsLock();
        }
    }

    /// <summary>Takes a slot within the whole cap of an instance that is held back while it warms up; none while it is shut.</summary>
    public bool TryReserveBeyondWarmth()
    {
        if (Slots == 0 || !TryReserveTrial())
            return false;
        if (Slots > 0)
            return true;
        // Shut between the look and the taking.
        Release();
        return false;
    }

    /// <summary>The cap as warmth leaves it, rounded up: at least 1 where the cap is, or an instance would never get warm.</summary>
    private int WarmCap_NeedsLock() => _warmth >= _warmest ? _maxConnections : (int)((((long)_maxConnections * _warmth) + _warmest - 1) / _warmest);
}

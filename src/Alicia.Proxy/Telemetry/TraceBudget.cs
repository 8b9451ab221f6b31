namespace Alicia.Proxy.Telemetry;

/// <summary>
/// Bounds what tracing may cost: so many requests of a second are traced, and the rest as if nobody listened. At the traffic of a house that is every one; at full load spans would
/// cost more than half as much as the requests themselves, whoever asks for them.
/// </summary>
internal sealed class TraceBudget(TimeProvider time)
{
    /// <summary>Second in the upper half, requests traced in it in the lower: one word, so that both change together.</summary>
    private ulong _state;

    /// <summary>Takes one of the second's traces.</summary>
    /// <param name="perSecond">How many there are; 0 and up.</param>
    /// <returns>False when they are used up.</returns>
    public bool TryTake(int perSecond)
    {
        var second = (uint)(time.GetTimestamp() / time.TimestampFrequency);
        while (true)
        {
            var state = Volatile.Read(ref _state);
            var taken = (uint)(state >> 32) == second ? (uint)state : 0;
            if (taken >= perSecond)
                return false;
            if (Interlocked.CompareExchange(ref _state, ((ulong)second << 32) | (taken + 1), state) == state)
                return true;
        }
    }

    /// <summary>Gives one back that was not needed. After the end of its second it is worth nothing.</summary>
    public void GiveBack()
    {
        var state = Volatile.Read(ref _state);
        if ((uint)state > 0)
            Interlocked.CompareExchange(ref _state, state - 1, state);
    }
}

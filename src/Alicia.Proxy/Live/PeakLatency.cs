namespace Alicia.Proxy.Live;

/// <summary>
/// How slow an instance is just now: a moving average of response times that jumps up to whatever was slower, and comes down over <see cref="Decay"/>, with answers or without.
/// One word holds the average and when it was last told, so that a reader never sees one without the other. Safe under any concurrency; neither side allocates or waits.
/// </summary>
/// <remarks>The weighing is Finagle's (<c>PeakEwma.scala</c>), which Linkerd took over: an old average counts e^(−age/decay), the new answer the rest.</remarks>
internal sealed class PeakLatency(TimeProvider time)
{
    /// <summary>After so long without a slow answer a peak has lost 63 % of its height. As Finagle and Linkerd have it.</summary>
    public static readonly TimeSpan Decay = TimeSpan.FromSeconds(10);

    /// <summary>What a failed attempt counts as at least, in seconds: an instance that fails fast must not look fast.</summary>
    public const float FailureSeconds = 1;

    /// <summary>Where failures stop adding up, in seconds. From here it takes 70 s without failures to come down to 50 ms.</summary>
    public const float MostFailureSeconds = 60;

    private const float DecayMillis = 10_000;

    /// <summary>The least that an answer counts as, in seconds; above zero, because an empty word means that nothing was measured.</summary>
    private const float Least = 1e-6f;

    private readonly double _millisPerTick = 1000.0 / time.TimestampFrequency;
    private Padded _padded;

    /// <summary>The time that averages are told by: milliseconds modulo 2³², which only differences are taken of.</summary>
    public static uint Millis(TimeProvider time) => Millis(time, 1000.0 / time.TimestampFrequency);

    /// <summary>The average in seconds as it has decayed until <paramref name="millis"/>; NaN before the first answer.</summary>
    public float At(uint millis)
    {
        var word = Volatile.Read(ref _padded.Word);
        return word == 0 ? float.NaN : CostOf(word) * Kept(word, millis);
    }

    /// <summary>An answer took so many seconds.</summary>
    public void Answered(double seconds)
    {
        var sample = Math.Max(Least, (float)seconds);
        var now = Millis(time, _millisPerTick);
        var word = Volatile.Read(ref _padded.Word);
        while (true)
        {
            float cost;
            if (word == 0 || sample >= CostOf(word))
            {
                cost = sample;
            }
            else
            {
                var kept = Kept(word, now);
                cost = (CostOf(word) * kept) + (sample * (1 - kept));
            }

            if (TryWrite(ref word, cost, now))
                return;
        }
    }

    /// <summary>A caller went away after so many seconds without an answer: that the instance takes longer is all that is known, and what was slower already stays.</summary>
    public void Outlasted(double seconds)
    {
        var sample = (float)seconds;
        var now = Millis(time, _millisPerTick);
        var word = Volatile.Read(ref _padded.Word);
        while (sample > (word == 0 ? 0 : CostOf(word) * Kept(word, now)))
        {
            if (TryWrite(ref word, sample, now))
                return;
        }
    }

    /// <summary>An attempt failed, however fast: it counts as slow, and each further one as twice as slow.</summary>
    public void Failed()
    {
        var now = Millis(time, _millisPerTick);
        var word = Volatile.Read(ref _padded.Word);
        while (true)
        {
            var before = word == 0 ? 0 : CostOf(word) * Kept(word, now);
            // Above the limit only by an answer that really took so long; a failure does not make that better.
            var cost = Math.Max(before, Math.Clamp(2 * before, FailureSeconds, MostFailureSeconds));
            if (TryWrite(ref word, cost, now))
                return;
        }
    }

    private bool TryWrite(ref long word, float cost, uint now)
    {
        var seen = Interlocked.CompareExchange(ref _padded.Word, ((long)BitConverter.SingleToUInt32Bits(Math.Max(Least, cost)) << 32) | now, word);
        if (seen == word)
            return true;
        word = seen;
        return false;
    }

    private static uint Millis(TimeProvider time, double millisPerTick) => unchecked((uint)(long)(time.GetTimestamp() * millisPerTick));

    private static float CostOf(long word) => BitConverter.UInt32BitsToSingle((uint)(word >>> 32));

    /// <summary>Share of the average that is left.</summary>
    private static float Kept(long word, uint now)
    {
        // Negative when another thread was later and quicker: no time has passed, then.
        var age = unchecked((int)(now - (uint)word));
        return age <= 0 ? 1 : MathF.Exp(-age / DecayMillis);
    }

    /// <summary>Alone on its cache lines: every answer of the instance writes it, and every pick reads it.</summary>
    [System.Runtime.InteropServices.StructLayout(System.Runtime.InteropServices.LayoutKind.Explicit, Size = 264)]
    private struct Padded
    {
        [System.Runtime.InteropServices.FieldOffset(128)]
        public long Word;
    }
}

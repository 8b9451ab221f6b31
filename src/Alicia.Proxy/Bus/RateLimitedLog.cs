namespace Alicia.Proxy.Bus;

/// <summary>
/// Lets one line a minute through per topic and reason, so that a service that says nonsense a thousand times a second fills no disk. Topics come from outside
/// and are as many as a stranger likes: beyond <see cref="MaxKeys"/> they share one line per reason.
/// </summary>
internal sealed class RateLimitedLog(TimeProvider time)
{
    public static readonly TimeSpan Pause = TimeSpan.FromMinutes(1);

    /// <summary>Pairs of topic and reason that are told apart within a minute.</summary>
    public const int MaxKeys = 512;

    private readonly Lock _lock = new();
    private readonly Dictionary<(string Topic, BusReason Reason), Line> _lines = [];

    /// <summary>True when the line may be written now.</summary>
    /// <param name="topic">Where the message came from.</param>
    /// <param name="reason">What was wrong.</param>
    /// <param name="suppressed">Lines for the same pair that were held back since the last one.</param>
    public bool TryPass(string topic, BusReason reason, out long suppressed)
    {
        var now = time.GetTimestamp();
        lock (_lock)
        {
            if (!_lines.TryGetValue((topic, reason), out var line))
            {
                if (_lines.Count >= MaxKeys)
                    Forget(now);
                var key = _lines.Count >= MaxKeys ? ("", reason) : (topic, reason);
                if (!_lines.TryGetValue(key, out line))
                {
                    _lines[key] = new Line { At = now };
                    suppressed = 0;
                    return true;
                }
            }

            if (time.GetElapsedTime(line.At, now) < Pause)
            {
                line.Suppressed++;
                suppressed = 0;
                return false;
            }

            (suppressed, line.Suppressed, line.At) = (line.Suppressed, 0, now);
            return true;
        }
    }

    /// <summary>Drops what has been quiet for a minute.</summary>
    private void Forget(long now)
    {
        foreach (var old in _lines.Where(l => time.GetElapsedTime(l.Value.At, now) >= Pause).Select(l => l.Key).ToArray())
            _lines.Remove(old);
    }

    private sealed class Line
    {
        public long At { get; set; }

        public long Suppressed { get; set; }
    }
}

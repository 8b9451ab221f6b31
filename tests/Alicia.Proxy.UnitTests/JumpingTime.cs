using Microsoft.Extensions.Time.Testing;

namespace Alicia.Proxy.UnitTests;

/// <summary>A fake time whose wall clock somebody sets, while time itself goes on as before: what happens when a machine learns the time by network.</summary>
internal sealed class JumpingTime : FakeTimeProvider
{
    /// <summary>How far the wall clock is off.</summary>
    public TimeSpan Offset { get; set; }

    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Offset;

    public override long GetTimestamp() => base.GetUtcNow().Ticks;
}

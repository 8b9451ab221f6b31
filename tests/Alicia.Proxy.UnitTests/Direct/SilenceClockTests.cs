using Alicia.Proxy.Direct;
using Microsoft.Extensions.Time.Testing;

namespace Alicia.Proxy.UnitTests.Direct;

public sealed class SilenceClockTests : IDisposable
{
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(10);

    private readonly FakeTimeProvider _time = new();
    private readonly SilenceClock _clock;
    private int _expired;

    public SilenceClockTests() => _clock = new SilenceClock(_time, () => _expired++);

    public void Dispose() => _clock.Dispose();

    [Fact]
    public void Silence_ends_an_exchange_once()
    {
        _clock.Begin(Silence);
        _time.Advance(TimeSpan.FromSeconds(9.9));
        _expired.Should().Be(0);
        _time.Advance(TimeSpan.FromSeconds(0.2));
        _time.Advance(Silence);

        (_expired, _clock.IsOver, _clock.End()).Should().Be((1, true, false));
    }

    [Fact]
    public void What_moves_is_not_silent()
    {
        _clock.Begin(Silence);
        for (var i = 0; i < 10; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(6));
            _clock.Progress();
        }

        (_expired, _clock.End()).Should().Be((0, true));
    }

    [Fact]
    public void Between_exchanges_nothing_is_watched_and_the_next_one_has_all_its_time()
    {
        _clock.Begin(Silence);
        _time.Advance(TimeSpan.FromSeconds(6));
        _clock.End().Should().BeTrue();
        _time.Advance(TimeSpan.FromMinutes(1));
        _clock.Progress();
        _clock.Begin(Silence);
        _time.Advance(TimeSpan.FromSeconds(9.9));
        _expired.Should().Be(0);
        _time.Advance(TimeSpan.FromSeconds(0.2));
        _expired.Should().Be(1);
    }

    [Fact]
    public void A_shorter_time_does_not_wait_for_a_longer_one_that_was_set_before()
    {
        _clock.Begin(TimeSpan.FromMinutes(10));
        _clock.End();
        _clock.Begin(TimeSpan.FromSeconds(1));
        _time.Advance(TimeSpan.FromSeconds(1.1));

        _expired.Should().Be(1);
    }
}

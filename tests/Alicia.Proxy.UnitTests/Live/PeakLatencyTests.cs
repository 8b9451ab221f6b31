using Alicia.Proxy.Live;
using Microsoft.Extensions.Time.Testing;
using static Alicia.Proxy.UnitTests.Balancing.Pools;

namespace Alicia.Proxy.UnitTests.Live;

public sealed class PeakLatencyTests
{
    private readonly FakeTimeProvider _time = new(DateTimeOffset.UnixEpoch.AddYears(50));
    private readonly PeakLatency _peak;

    public PeakLatencyTests() => _peak = new PeakLatency(_time);

    private double Now => _peak.At(PeakLatency.Millis(_time));

    [Fact]
    public void Before_the_first_answer_there_is_no_figure()
    {
        Now.Should().Be(double.NaN);
        _peak.Answered(0.02);
        Now.Should().BeApproximately(0.02, 1e-6);
    }

    [Fact]
    public void A_slower_answer_counts_at_once_and_in_full()
    {
        _peak.Answered(0.01);
        _peak.Answered(2);
        Now.Should().BeApproximately(2, 1e-6);
    }

    [Fact]
    public void Without_answers_a_peak_loses_63_percent_in_the_decay_time()
    {
        _peak.Answered(1);
        _time.Advance(PeakLatency.Decay);
        Now.Should().BeApproximately(Math.Exp(-1), 1e-3);
        _time.Advance(PeakLatency.Decay);
        Now.Should().BeApproximately(Math.Exp(-2), 1e-3);
    }

    [Fact]
    public void Faster_answers_pull_a_peak_down_to_them_and_no_further()
    {
        _peak.Answered(1);
        for (var i = 0; i < 600; i++)
        {
            _time.Advance(TimeSpan.FromMilliseconds(100));
            _peak.Answered(0.05);
        }

        Now.Should().BeApproximately(0.05, 0.005, "60 s are six decay times");
    }

    [Fact]
    public void Answers_that_come_together_move_the_average_as_little_as_the_time_that_passes()
    {
        _peak.Answered(1);
        for (var i = 0; i < 10_000; i++)
            _peak.Answered(0.001);
        Now.Should().BeApproximately(1, 1e-3, "no time has passed");
    }

    [Fact]
    public void A_failure_counts_as_a_second_and_each_further_one_doubles_up_to_a_minute()
    {
        _peak.Answered(0.001);
        _peak.Failed();
        Now.Should().BeApproximately(1, 1e-6);
        _peak.Failed();
        Now.Should().BeApproximately(2, 1e-6);
        for (var i = 0; i < 20; i++)
            _peak.Failed();
        Now.Should().BeApproximately(PeakLatency.MostFailureSeconds, 1e-3);
    }

    [Fact]
    public void A_caller_that_left_unanswered_says_how_long_it_takes_at_least()
    {
        _peak.Answered(0.01);
        _peak.Outlasted(3);
        Now.Should().BeApproximately(3, 1e-3);
        _peak.Outlasted(0.5);
        Now.Should().BeApproximately(3, 1e-3, "half a second is no news");
        new PeakLatency(_time).At(0).Should().Be(float.NaN);
    }

    [Fact]
    public void A_failure_makes_an_instance_that_was_slower_than_that_no_better()
    {
        _peak.Answered(200);
        _peak.Failed();
        Now.Should().BeApproximately(200, 1e-3);
    }

    [Fact]
    public void Time_goes_on_past_the_end_of_the_counter()
    {
        // 2^32 ms are 49 days and 17 hours.
        _time.Advance(TimeSpan.FromMilliseconds(uint.MaxValue - (PeakLatency.Millis(_time) + 5_000.0)));
        _peak.Answered(1);
        _time.Advance(PeakLatency.Decay);
        Now.Should().BeApproximately(Math.Exp(-1), 1e-3);
    }

    [Fact]
    public void Under_many_threads_the_highest_peak_is_never_lost()
    {
        Together(8, thread =>
        {
            for (var i = 0; i < 5_000; i++)
                _peak.Answered(thread == 3 && i == 2_500 ? 9 : 0.001 * (thread + 1));
        });

        Now.Should().BeApproximately(9, 1e-3, "the clock stands still, so nothing has decayed");
    }
}

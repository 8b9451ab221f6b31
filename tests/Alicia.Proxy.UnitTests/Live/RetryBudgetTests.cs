using Alicia.Proxy.Live;
using Microsoft.Extensions.Time.Testing;

namespace Alicia.Proxy.UnitTests.Live;

public sealed class RetryBudgetTests
{
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void Requests_earn_their_share_and_no_more()
    {
        var budget = new RetryBudget(_time);

        Granted(budget, requests: 0, asked: 5, percent: 20, reserve: 0).Should().Be(0);
        Granted(budget, requests: 100, asked: 50, percent: 20, reserve: 0).Should().Be(20);
        Granted(budget, requests: 104, asked: 1, percent: 20, reserve: 0).Should().Be(0);
        Granted(budget, requests: 105, asked: 2, percent: 20, reserve: 0).Should().Be(1);
    }

    [Fact]
    public void The_reserve_fills_with_time_to_one_second_s_worth()
    {
        var budget = new RetryBudget(_time);

        Granted(budget, 0, asked: 50, percent: 20, reserve: 10).Should().Be(10);
        _time.Advance(TimeSpan.FromSeconds(0.5));
        Granted(budget, 0, asked: 50, percent: 20, reserve: 10).Should().Be(5);
        _time.Advance(TimeSpan.FromHours(1));
        Granted(budget, 0, asked: 50, percent: 20, reserve: 10).Should().Be(10);
    }

    [Fact]
    public void What_requests_save_up_is_bounded()
    {
        var budget = new RetryBudget(_time);

        Granted(budget, requests: 100_000_000, asked: 5000, percent: 20, reserve: 0).Should().Be(RetryBudget.Capacity);
    }

    [Fact]
    public void Without_percent_and_reserve_there_is_no_retry() => Granted(new RetryBudget(_time), 1_000_000, 10, percent: 0, reserve: 0).Should().Be(0);

    [Fact]
    public void A_count_that_was_read_before_another_s_earns_nothing_twice()
    {
        var budget = new RetryBudget(_time);
        Granted(budget, requests: 100, asked: 100, percent: 20, reserve: 0).Should().Be(20);

        Granted(budget, requests: 50, asked: 1, percent: 20, reserve: 0).Should().Be(0);
        Granted(budget, requests: 100, asked: 1, percent: 20, reserve: 0).Should().Be(0);
    }

    /// <summary>However requests and retries interleave, the retries stay below the share and the reserve of the time that has gone by.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void In_any_order_retries_stay_within_the_share_and_the_reserve(int seed)
    {
        var random = new Random(seed);
        var budget = new RetryBudget(_time);
        var (requests, retries, elapsed) = (0L, 0L, TimeSpan.Zero);
        for (var step = 0; step < 20_000; step++)
        {
            requests += random.Next(3);
            var pause = TimeSpan.FromMilliseconds(random.Next(5));
            _time.Advance(pause);
            elapsed += pause;
            for (var asked = random.Next(4); asked > 0; asked--)
                retries += budget.TryTake(requests, 20, 10) ? 1 : 0;

            retries.Should().BeLessThanOrEqualTo((long)((requests * 0.2) + ((elapsed.TotalSeconds + 1) * 10)));
        }

        retries.Should().BeGreaterThan((long)(requests * 0.19), "it is a budget, not a ban");
    }

    [Fact]
    public void Many_threads_together_take_no_more_than_there_is()
    {
        var budget = new RetryBudget(_time);
        var granted = 0;

        Parallel.For(0, 10_000, _ =>
        {
            if (budget.TryTake(1000, 20, 10))
                Interlocked.Increment(ref granted);
        });

        granted.Should().Be(210);
    }

    private static int Granted(RetryBudget budget, long requests, int asked, int percent, int reserve) =>
        Enumerable.Range(0, asked).Count(_ => budget.TryTake(requests, percent, reserve));
}

using Alicia.Proxy.Telemetry;
using Microsoft.Extensions.Time.Testing;

namespace Alicia.Proxy.UnitTests.Telemetry;

public sealed class TraceBudgetTests
{
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void Each_second_has_so_many_and_no_more()
    {
        var budget = new TraceBudget(_time);
        for (var second = 0; second < 3; second++)
        {
            Enumerable.Range(0, 250).Count(_ => budget.TryTake(100)).Should().Be(100);
            _time.Advance(TimeSpan.FromSeconds(1));
        }
    }

    [Fact]
    public void None_are_none() => new TraceBudget(_time).TryTake(0).Should().BeFalse();

    [Fact]
    public void What_is_given_back_can_be_taken_again()
    {
        var budget = new TraceBudget(_time);
        budget.TryTake(1).Should().BeTrue();
        budget.GiveBack();
        budget.TryTake(1).Should().BeTrue();
        budget.TryTake(1).Should().BeFalse();
    }

    [Fact]
    public void Many_threads_together_take_no_more()
    {
        var budget = new TraceBudget(_time);
        var taken = 0;
        Parallel.For(0, 4, _ =>
        {
            for (var i = 0; i < 10_000; i++)
            {
                if (budget.TryTake(5_000))
                    Interlocked.Increment(ref taken);
            }
        });
        taken.Should().Be(5_000);
    }
}

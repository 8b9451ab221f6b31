using Alicia.Proxy.Live;

namespace Alicia.Proxy.UnitTests.Live;

public sealed class RecentWindowTests
{
    private readonly RecentWindow _window = new();

    [Fact]
    public void A_window_that_saw_nothing_reads_as_nothing()
    {
        _window.Advance();
        var reading = _window.Read();
        (reading.Requests, reading.Responses, reading.Average, reading.Percentile(0.5)).Should().Be((0, 0, null, null));
    }

    [Fact]
    public void Sums_are_of_all_that_was_recorded()
    {
        for (var i = 1; i <= 10; i++)
        {
            _window.CountRequest();
            _window.Record(i / 10.0);
            _window.Advance();
        }

        _window.CountRequest();
        var reading = _window.Read();
        reading.Requests.Should().Be(11);
        reading.Responses.Should().Be(10);
        reading.Average.Should().BeApproximately(0.55, 1e-6);
    }

    [Fact]
    public void A_request_is_forgotten_after_a_minute_and_not_before()
    {
        _window.CountRequest();
        _window.Record(0.5);
        for (var step = 1; step <= 12; step++)
        {
            _window.Advance();
            _window.Read().Requests.Should().Be(1, "{0} seconds have passed at least", (step - 1) * RecentWindow.SlotLength.TotalSeconds);
        }

        _window.Advance();
        var reading = _window.Read();
        (reading.Requests, reading.Responses, reading.Percentile(0.99)).Should().Be((0, 0, null));
    }

    [Fact]
    public void The_window_slides_for_many_rounds()
    {
        for (var slot = 0; slot < 100; slot++)
        {
            for (var i = 0; i < slot; i++)
                _window.CountRequest();
            _window.Read().Requests.Should().Be(Enumerable.Range(Math.Max(0, slot - 12), Math.Min(slot, 12) + 1).Sum());
            _window.Advance();
        }
    }

    [Theory]
    [InlineData(0.5)]
    [InlineData(0.9)]
    [InlineData(0.99)]
    [InlineData(1.0)]
    public void Percentiles_are_never_too_low_and_at_most_an_eighth_too_high(double quantile)
    {
        var random = new Random(99);
        // From 100 µs to 100 s, evenly over the logarithm.
        var values = Enumerable.Range(0, 5000).Select(_ => Math.Round(Math.Pow(10, (random.NextDouble() * 6) - 4), 6)).ToList();
        values.ForEach(_window.Record);
        values.Sort();
        var exact = values[(int)Math.Ceiling(quantile * values.Count) - 1];

        var read = _window.Read().Percentile(quantile)!.Value;
        read.Should().BeGreaterThanOrEqualTo(exact);
        read.Should().BeLessThanOrEqualTo((exact * 1.125) + 1e-6);
    }

    [Fact]
    public void Readings_of_several_services_add_up()
    {
        var other = new RecentWindow();
        _window.CountRequest();
        _window.Record(1);
        other.CountRequest();
        other.CountRequest();
        other.Record(3);

        var sum = _window.Read();
        sum.Add(other.Read());
        (sum.Requests, sum.Responses, sum.Average).Should().Be((3, 2, 2));
        sum.Percentile(1).Should().BeInRange(3, 3.375);
        sum.Percentile(0.5).Should().BeInRange(1, 1.125);
    }

    [Fact]
    public void Recording_allocates_nothing_after_the_first()
    {
        _window.Record(0.001);
        _window.CountRequest();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 10_000; i++)
        {
            _window.CountRequest();
            _window.Record(0.003);
        }

        (GC.GetAllocatedBytesForCurrentThread() - before).Should().Be(0);
    }
}

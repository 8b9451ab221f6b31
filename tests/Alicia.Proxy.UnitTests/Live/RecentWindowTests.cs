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

    /// <summary>N = 20,000 a distribution, seed 99; the promise is 5 %, the buckets do 3.2 %.</summary>
    [Theory]
    [InlineData("log-uniform")]
    [InlineData("exponential")]
    [InlineData("normal")]
    [InlineData("constant")]
    [InlineData("fast with a slow tail")]
    [InlineData("two humps")]
    public void Percentiles_are_within_a_twentieth_of_the_truth(string distribution)
    {
        var random = new Random(99);
        var values = Enumerable.Range(0, 20_000).Select(_ => Draw(distribution, random)).ToList();
        values.ForEach(_window.Record);
        values.Sort();
        var reading = _window.Read();

        foreach (var quantile in new[] { 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 1 })
        {
            var exact = values[(int)Math.Ceiling(quantile * values.Count) - 1];
            reading.Percentile(quantile)!.Value.Should().BeInRange(exact * 0.95, exact * 1.05, "that is quantile {0} of {1}", quantile, distribution);
        }
    }

    /// <summary>A response time in seconds, 20 µs at least.</summary>
    private static double Draw(string distribution, Random random)
    {
        double Normal() => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
        var seconds = distribution switch
        {
            // From 100 µs to 100 s.
            "log-uniform" => Math.Pow(10, (random.NextDouble() * 6) - 4),
            "exponential" => -0.02 * Math.Log(1 - random.NextDouble()),
            "normal" => 0.25 + (0.03 * Normal()),
            "constant" => 0.0317,
            "fast with a slow tail" => random.NextDouble() < 0.98 ? 0.0004 + (0.0001 * random.NextDouble()) : 1 + (4 * random.NextDouble()),
            "two humps" => random.Next(2) == 0 ? 0.002 + (0.0002 * Normal()) : 0.4 + (0.05 * Normal()),
            _ => throw new ArgumentOutOfRangeException(nameof(distribution)),
        };
        return Math.Max(20e-6, seconds);
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
        sum.Percentile(1).Should().BeApproximately(3, 0.1);
        sum.Percentile(0.5).Should().BeApproximately(1, 0.035);
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

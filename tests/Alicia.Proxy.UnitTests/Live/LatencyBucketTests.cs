using Alicia.Proxy.Live;

namespace Alicia.Proxy.UnitTests.Live;

public sealed class LatencyBucketTests
{
    [Fact]
    public void Bounds_rise_and_every_bucket_begins_where_the_last_one_ended()
    {
        long begin = 0;
        for (var index = 0; index < LatencyBuckets.Count; index++)
        {
            var end = LatencyBuckets.UpperBoundMicros(index);
            end.Should().BeGreaterThan(begin);
            LatencyBuckets.IndexOf(begin).Should().Be(index);
            LatencyBuckets.IndexOf(end - 1).Should().Be(index);
            begin = end;
        }

        (begin / 1e6).Should().BeGreaterThan(3600, "the last bucket ends beyond an hour");
    }

    [Fact]
    public void The_middle_of_a_bucket_is_within_a_thirtieth_of_all_that_is_in_it()
    {
        for (var index = 16; index < LatencyBuckets.Count; index++)
        {
            double begin = LatencyBuckets.UpperBoundMicros(index - 1), last = LatencyBuckets.UpperBoundMicros(index) - 1;
            var middle = LatencyBuckets.MiddleMicros(index);
            (middle / begin).Should().BeInRange(1, 1 + (1 / 30d));
            (middle / last).Should().BeInRange(1 - (1 / 30d), 1 + (1 / 30d));
        }
    }

    [Theory]
    [InlineData(-5, 0)]
    [InlineData(0, 0)]
    [InlineData(long.MaxValue, LatencyBuckets.Count - 1)]
    [InlineData(1L << 32, LatencyBuckets.Count - 1)]
    public void What_lies_beyond_either_end_goes_into_the_bucket_there(long micros, int index) =>
        LatencyBuckets.IndexOf(micros).Should().Be(index);
}

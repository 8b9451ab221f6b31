using System.Diagnostics;
using System.Net;
using Alicia.Proxy.RateLimits;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.UnitTests.RateLimits;

/// <summary>
/// Rates and bursts hold, callers have buckets of their own, and the number of buckets is bounded. The library's buckets go by the machine's clock: where time must not matter a token takes a day, and where it
/// does, what passed is held against what the clock says.
/// </summary>
public sealed class RateLimitTests
{
    private static readonly TimeSpan Day = TimeSpan.FromDays(1);

    [Theory]
    [InlineData(1, 1)]
    [InlineData(10, 1)]
    [InlineData(1, 1000)]
    public void A_burst_passes_and_no_more(int tokens, int burst)
    {
        var limit = Limit(new RateLimitRule(tokens, burst, RateLimitBy.Service, null, 10) { Per = Day });

        Passed(limit, burst * 3).Should().Be(burst);
    }

    [Theory]
    [InlineData(10, 5)]
    [InlineData(100, 1)]
    [InlineData(1000, 10)]
    [InlineData(50_000, 500)]
    [InlineData(1_000_000, 100_000)]
    public void Then_so_many_a_second_pass_and_no_more_however_often_it_is_asked(int rate, int burst)
    {
        var limit = Limit(new RateLimitRule(rate, burst, RateLimitBy.Service, null, 10));
        var startedAt = Stopwatch.GetTimestamp();
        var passed = Passed(limit, 1);
        var goal = burst + Math.Min(rate / 10, 5000);

        while (passed < goal)
        {
            var asked = Stopwatch.GetTimestamp();
            if (Passed(limit, 1) == 0)
                continue;
            passed++;
            (passed - burst).Should().BeLessThanOrEqualTo((int)Math.Ceiling(Stopwatch.GetElapsedTime(startedAt).TotalSeconds * rate) + 1, "tokens come with time, of which {0} ticks are the last step", asked);
        }

        // Ten times what it should take: that is for the machine. Losing tokens to many askers would cost more.
        Stopwatch.GetElapsedTime(startedAt).TotalSeconds.Should().BeLessThan(1 + (10.0 * goal / rate));
    }

    [Fact]
    public void A_long_pause_fills_the_bucket_and_does_not_overfill_it()
    {
        var limit = Limit(new RateLimitRule(20_000, 3, RateLimitBy.Service, null, 10));
        for (var pause = 0; pause < 20; pause++)
        {
            Passed(limit, 1);
            SpinWait.SpinUntil(() => false, 1);
            var startedAt = Stopwatch.GetTimestamp();
            Passed(limit, 10).Should().BeLessThanOrEqualTo(3 + 1 + (int)(Stopwatch.GetElapsedTime(startedAt).TotalSeconds * 20_000));
        }
    }

    [Fact]
    public void Who_may_not_pass_is_told_when_to_come_again_and_may_then()
    {
        var limit = Limit(new RateLimitRule(1, 2, RateLimitBy.Service, null, 10) { Per = TimeSpan.FromMilliseconds(50) });
        while (limit.TryTake(null, null, out _))
        {
        }

        var wait = 0;
        while (!limit.TryTake(null, null, out var next))
            wait = next;

        wait.Should().Be(1, "seconds are the unit of Retry-After, and none is no wait");
        var slow = Limit(new RateLimitRule(1, 1, RateLimitBy.Service, null, 10) { Per = Day });
        slow.TryTake(null, null, out wait).Should().BeTrue();
        wait.Should().Be(0);
        slow.TryTake(null, null, out wait).Should().BeFalse();
        wait.Should().Be(86_400);
    }

    [Fact]
    public void Each_client_has_its_own_bucket_and_an_IPv6_customer_one_for_all_addresses()
    {
        var limit = Limit(new RateLimitRule(1, 1, RateLimitBy.Client, null, 10) { Per = Day });
        foreach (var address in new[] { "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1" })
            limit.TryTake(IPAddress.Parse(address), null, out _).Should().BeTrue(address);
        foreach (var address in new[] { "192.0.2.1", "::ffff:192.0.2.2", "2001:db8::2" })
            limit.TryTake(IPAddress.Parse(address), null, out _).Should().BeFalse(address);
    }

    [Fact]
    public void Each_value_of_a_field_has_its_own_bucket_and_those_without_share_one()
    {
        var limit = Limit(new RateLimitRule(1, 1, RateLimitBy.Field, "X-Api-Key", 10) { Per = Day });
        foreach (var (value, passes) in new[] { ("a", true), ("b", true), (null, true), ("a", false), (null, false), ("", false), (new string('x', 100_000), true) })
            limit.TryTake(null, value, out _).Should().Be(passes, value?.Length < 10 ? value : "none or long");
    }

    [Fact]
    public void Made_up_callers_cost_no_memory_and_take_nothing_from_those_that_are_known()
    {
        var limit = Limit(new RateLimitRule(10, 5, RateLimitBy.Field, "X-Api-Key", 100) { Per = Day });
        limit.TryTake(null, "known", out _).Should().BeTrue();

        var passed = Enumerable.Range(0, 10_000).Count(i => limit.TryTake(null, $"made up {i}", out _));

        limit.Buckets.Should().Be(100);
        passed.Should().Be(99 + 5, "those beyond the bound share one bucket");
        Enumerable.Range(0, 10).Count(_ => limit.TryTake(null, "known", out _)).Should().Be(4);
    }

    [Fact]
    public void Callers_that_are_quiet_make_room()
    {
        var limit = Limit(new RateLimitRule(1_000_000, 5, RateLimitBy.Field, "X-Api-Key", 100));
        for (var i = 0; i < 100; i++)
            limit.TryTake(null, $"first {i}", out _);
        limit.Buckets.Should().Be(100);

        // Full within microseconds, and looked for when the next comes.
        SpinWait.SpinUntil(() => limit.TryTake(null, "next", out _) && limit.Buckets == 1, TimeSpan.FromSeconds(30)).Should().BeTrue();
    }

    [Fact]
    public async Task Many_at_once_get_no_more_than_there_is()
    {
        var limit = Limit(new RateLimitRule(100, 1000, RateLimitBy.Service, null, 10) { Per = Day });

        var passed = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => Passed(limit, 1000))));

        passed.Sum().Should().Be(1000);
    }

    [Fact]
    public void Buckets_outlive_a_change_of_other_settings_and_a_limit_that_is_off_is_none()
    {
        var settings = ServiceSettings.Resolve(SettingOverrides.Empty.With(SettingKeys.RateLimitPerSecond, 3));
        var limit = RateLimit.For(RateLimitRule.Of(settings, 10), null)!;
        limit.Rule.Should().Be(new RateLimitRule(3, 3, RateLimitBy.Service, null, 10));

        RateLimit.For(RateLimitRule.Of(settings, 10), limit).Should().BeSameAs(limit);
        RateLimit.For(RateLimitRule.Of(ServiceSettings.BuiltIn, 10), limit).Should().BeNull();
    }

    private static RateLimit Limit(RateLimitRule rule) => RateLimit.For(rule, null)!;

    private static int Passed(RateLimit limit, int times) => Enumerable.Range(0, times).Count(_ => limit.TryTake(null, null, out int _));
}

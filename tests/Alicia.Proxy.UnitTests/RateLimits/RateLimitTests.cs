using System.Net;
using Alicia.Proxy.RateLimits;
using Alicia.Proxy.Registry.Settings;
using Microsoft.Extensions.Time.Testing;

namespace Alicia.Proxy.UnitTests.RateLimits;

/// <summary>Rates and bursts are exact, callers have buckets of their own, and the number of buckets is bounded.</summary>
public sealed class RateLimitTests
{
    private readonly FakeTimeProvider _time = new();

    [Theory]
    [InlineData(10, 10)]
    [InlineData(10, 1)]
    [InlineData(1, 5)]
    [InlineData(1000, 50)]
    public void A_burst_passes_and_then_so_many_a_second_and_no_more(int rate, int burst)
    {
        var limit = Limit(new RateLimitRule(rate, burst, RateLimitBy.Service, null, 10));
        Passed(limit, burst * 3).Should().Be(burst);

        // Ten seconds in steps, each asking for far more than there is.
        var passed = 0;
        for (var step = 0; step < 1000; step++)
        {
            _time.Advance(TimeSpan.FromMilliseconds(10));
            passed += Passed(limit, burst * 2);
        }

        passed.Should().Be(rate * 10);
        _time.Advance(TimeSpan.FromHours(1));
        Passed(limit, burst * 3).Should().Be(burst, "a long pause fills the bucket and does not overfill it");
    }

    [Fact]
    public void Who_may_not_pass_is_told_when_to_come_again()
    {
        var limit = Limit(new RateLimitRule(1, 2, RateLimitBy.Service, null, 10));
        Passed(limit, 2).Should().Be(2);
        limit.TryTake(null, null, out var wait).Should().BeFalse();
        wait.Should().Be(1);
        _time.Advance(TimeSpan.FromSeconds(wait));
        limit.TryTake(null, null, out wait).Should().BeTrue();
        wait.Should().Be(0);
    }

    [Fact]
    public void Each_client_has_its_own_bucket_and_an_IPv6_customer_one_for_all_addresses()
    {
        var limit = Limit(new RateLimitRule(1, 1, RateLimitBy.Client, null, 10));
        foreach (var address in new[] { "192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1" })
            limit.TryTake(IPAddress.Parse(address), null, out _).Should().BeTrue(address);
        foreach (var address in new[] { "192.0.2.1", "::ffff:192.0.2.2", "2001:db8::2" })
            limit.TryTake(IPAddress.Parse(address), null, out _).Should().BeFalse(address);
    }

    [Fact]
    public void Each_value_of_a_field_has_its_own_bucket_and_those_without_share_one()
    {
        var limit = Limit(new RateLimitRule(1, 1, RateLimitBy.Field, "X-Api-Key", 10));
        foreach (var (value, passes) in new[] { ("a", true), ("b", true), (null, true), ("a", false), (null, false), ("", false), (new string('x', 100_000), true) })
            limit.TryTake(null, value, out _).Should().Be(passes, value?.Length < 10 ? value : "none or long");
    }

    [Fact]
    public void Made_up_callers_cost_no_memory_and_take_nothing_from_those_that_are_known()
    {
        var limit = Limit(new RateLimitRule(10, 5, RateLimitBy.Field, "X-Api-Key", 100));
        limit.TryTake(null, "known", out _).Should().BeTrue();

        var passed = Enumerable.Range(0, 10_000).Count(i => limit.TryTake(null, $"made up {i}", out _));

        limit.Buckets.Should().Be(100);
        passed.Should().Be(99 + 5, "those beyond the bound share one bucket");
        Enumerable.Range(0, 10).Count(_ => limit.TryTake(null, "known", out _)).Should().Be(4);
    }

    [Fact]
    public void Callers_that_are_quiet_make_room()
    {
        var limit = Limit(new RateLimitRule(10, 5, RateLimitBy.Field, "X-Api-Key", 100));
        for (var i = 0; i < 200; i++)
            limit.TryTake(null, $"first {i}", out _);
        _time.Advance(TimeSpan.FromSeconds(2));

        limit.TryTake(null, "next", out _).Should().BeTrue();

        limit.Buckets.Should().Be(1);
    }

    [Fact]
    public async Task Many_at_once_get_no_more_than_there_is()
    {
        var limit = Limit(new RateLimitRule(100, 1000, RateLimitBy.Service, null, 10));

        var passed = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => Passed(limit, 1000))));

        passed.Sum().Should().Be(1000);
    }

    [Fact]
    public void Buckets_outlive_a_change_of_other_settings_and_a_limit_that_is_off_is_none()
    {
        var settings = ServiceSettings.Resolve(SettingOverrides.Empty.With(SettingKeys.RateLimitPerSecond, 3));
        var limit = RateLimit.For(RateLimitRule.Of(settings, 10), null, _time)!;
        limit.Rule.Should().Be(new RateLimitRule(3, 3, RateLimitBy.Service, null, 10));

        RateLimit.For(RateLimitRule.Of(settings, 10), limit, _time).Should().BeSameAs(limit);
        RateLimit.For(RateLimitRule.Of(ServiceSettings.BuiltIn, 10), limit, _time).Should().BeNull();
    }

    private RateLimit Limit(RateLimitRule rule) => RateLimit.For(rule, null, _time)!;

    private static int Passed(RateLimit limit, int times) => Enumerable.Range(0, times).Count(_ => limit.TryTake(null, null, out int _));
}

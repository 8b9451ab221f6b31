using Alicia.Proxy.Registry.Settings;
using static Alicia.Proxy.UnitTests.Registry.Drafts;

namespace Alicia.Proxy.UnitTests.Registry;

public sealed class ServiceSettingsTests
{
    private static readonly SettingOverrides ShortInterval = Settings(SettingKeys.HealthCheckInterval, TimeSpan.FromSeconds(1));
    private static readonly SettingOverrides LongTimeout = Settings(SettingKeys.HealthCheckTimeout, TimeSpan.FromMinutes(1));

    [Fact]
    public void A_built_in_timeout_is_cut_to_a_shorter_interval()
    {
        var settings = ServiceSettings.Resolve(ShortInterval);
        (settings.Get(SettingKeys.HealthCheckTimeout), settings.Get(SettingKeys.HealthCheckFast)).Should().Be((TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1)));
        settings.CrossFaults().Should().BeEmpty();
    }

    [Fact]
    public void A_timeout_of_an_earlier_layer_is_cut_and_one_of_the_same_or_a_later_layer_is_a_fault()
    {
        var fits = Settings(SettingKeys.HealthCheckTimeout, TimeSpan.FromSeconds(20));
        ServiceSettings.Resolve(fits, ShortInterval).CrossFaults().Should().BeEmpty();
        ServiceSettings.Resolve(fits, ShortInterval).Get(SettingKeys.HealthCheckTimeout).Should().Be(TimeSpan.FromSeconds(1));

        ServiceSettings.Resolve(ShortInterval, fits).CrossFaults().Select(f => f.Key).Should().Equal(SettingKeys.HealthCheckTimeout);
        ServiceSettings.Resolve(ShortInterval.With(SettingKeys.HealthCheckTimeout, TimeSpan.FromSeconds(2))).CrossFaults().Should().ContainSingle()
            .Which.Fault.Should().Contain("00:00:01");
        ServiceSettings.Resolve(LongTimeout).CrossFaults().Select(f => f.Key).Should().Equal(SettingKeys.HealthCheckTimeout);
    }

    [Fact]
    public void A_timeout_as_long_as_the_interval_is_no_fault() =>
        ServiceSettings.Resolve(ShortInterval.With(SettingKeys.HealthCheckTimeout, TimeSpan.FromSeconds(1))).CrossFaults().Should().BeEmpty();

    [Theory]
    [InlineData("field")]
    [InlineData("cookie")]
    public void Hashing_by_something_that_has_a_name_needs_the_name(string by)
    {
        var settings = Settings(SettingKeys.HashBy, by);
        ServiceSettings.Resolve(settings).CrossFaults().Should().ContainSingle().Which.Should().Match<(SettingKey Key, string Fault)>(f => f.Key == SettingKeys.HashName && f.Fault.Contains(by));
        ServiceSettings.Resolve(settings.With(SettingKeys.HashName, "x-user")).CrossFaults().Should().BeEmpty();
    }

    [Fact]
    public void A_cookie_for_other_sites_must_go_over_TLS_only()
    {
        var settings = Settings(SettingKeys.AffinitySameSite, "none");
        ServiceSettings.Resolve(settings).CrossFaults().Select(f => f.Key).Should().Equal(SettingKeys.AffinitySecure);
        ServiceSettings.Resolve(settings.With(SettingKeys.AffinitySecure, "always")).CrossFaults().Should().BeEmpty();
    }

    [Fact]
    public void An_explicit_none_wins_over_an_earlier_value()
    {
        var ttl = Settings(SettingKeys.Ttl, TimeSpan.FromMinutes(1));
        ServiceSettings.Resolve(ttl, SettingOverrides.Empty.With(SettingKeys.Ttl, null)).Get(SettingKeys.Ttl).Should().BeNull();
        ServiceSettings.Resolve(ttl, SettingOverrides.Empty.With(SettingKeys.Ttl, null).Without(SettingKeys.Ttl)).Get(SettingKeys.Ttl).Should().Be(TimeSpan.FromMinutes(1));
    }

    [Fact]
    public void Overrides_are_equal_by_value()
    {
        var a = Settings<IReadOnlyList<int>>(SettingKeys.RetryStatuses, [502, 503]).With(SettingKeys.Ttl, null);
        var b = SettingOverrides.Empty.With(SettingKeys.Ttl, null).With(SettingKeys.RetryStatuses, new List<int> { 502, 503 });
        a.Should().Be(b);
        a.GetHashCode().Should().Be(b.GetHashCode());
        a.Should().NotBe(b.With(SettingKeys.RetryStatuses, new List<int> { 503, 502 }));
        a.Should().NotBe(b.Without(SettingKeys.Ttl));
    }

    [Theory]
    [InlineData(500, true)]
    [InlineData(504, true)]
    [InlineData(501, false)]
    [InlineData(200, false)]
    [InlineData(-1, false)]
    [InlineData(600, false)]
    [InlineData(int.MaxValue, false)]
    public void Failure_statuses_are_as_listed(int status, bool failure) => ServiceSettings.BuiltIn.FailureStatus(status).Should().Be(failure);
}

using Alicia.Proxy.Health;
using Alicia.Proxy.Registry.Settings;

namespace Alicia.Proxy.UnitTests.Health;

public sealed class ProbeSettingsTests
{
    [Fact]
    public void The_defaults_are_those_of_the_contract()
    {
        var settings = ProbeSettings.Resolve(ServiceSettings.BuiltIn, SettingOverrides.Empty);

        (settings.Enabled, settings.Type, settings.Path, settings.Body, settings.Host).Should().Be((true, ProbeType.Http, "/health", null, null));
        (settings.Interval, settings.Timeout, settings.Fast).Should().Be((Seconds(30), Seconds(5), Seconds(2)));
        (settings.Rise, settings.Fall).Should().Be((2, 3));
        Enumerable.Range(100, 500).Where(settings.IsAlive).Should().BeEquivalentTo(Enumerable.Range(200, 200).Concat([404, 405, 501]));
    }

    [Fact]
    public void An_instance_s_own_settings_win_over_its_service_s_and_the_rest_stays()
    {
        var service = ServiceSettings.Resolve(SettingOverrides.Empty
            .With(SettingKeys.HealthCheckType, "tcp").With(SettingKeys.HealthCheckBody, "ready").With(SettingKeys.HealthCheckFall, 7));
        var own = SettingOverrides.Empty
            .With(SettingKeys.HealthCheckType, "grpc").With(SettingKeys.HealthCheckBody, null).With(SettingKeys.HealthCheckHost, "a.test").With(SettingKeys.HealthCheckEnabled, false);

        var settings = ProbeSettings.Resolve(service, own);

        (settings.Enabled, settings.Type, settings.Body, settings.Host, settings.Fall).Should().Be((false, ProbeType.Grpc, null, "a.test", 7));
    }

    [Fact]
    public void Timeout_and_fast_are_never_above_the_interval_whoever_gave_which()
    {
        var service = ServiceSettings.Resolve(SettingOverrides.Empty.With(SettingKeys.HealthCheckTimeout, Seconds(10)).With(SettingKeys.HealthCheckFast, Seconds(9)));

        var settings = ProbeSettings.Resolve(service, SettingOverrides.Empty.With(SettingKeys.HealthCheckInterval, Seconds(1)));

        (settings.Interval, settings.Timeout, settings.Fast).Should().Be((Seconds(1), Seconds(1), Seconds(1)));
    }

    [Theory]
    [InlineData("/healthz")]
    [InlineData("/health/")]
    [InlineData("/")]
    public void A_path_that_somebody_chose_must_exist(string path)
    {
        var settings = ProbeSettings.Resolve(ServiceSettings.BuiltIn, SettingOverrides.Empty.With(SettingKeys.HealthCheckPath, path));

        new[] { 404, 405, 501, 500, 100, 199, 400 }.Where(settings.IsAlive).Should().BeEmpty();
        new[] { 200, 302, 399 }.Should().OnlyContain(s => settings.IsAlive(s));
    }

    [Theory]
    [InlineData("204", "204")]
    [InlineData("200, 301-303 ,599", "200 301 302 303 599")]
    [InlineData("404-404", "404")]
    public void Ranges_hold_their_ends_and_nothing_else(string text, string expected)
    {
        new StatusRangesCodec().TryParseText(text, out var stored).Should().BeTrue();

        var ranges = new StatusRanges(stored);

        Enumerable.Range(100, 500).Where(ranges.Contains).Should().Equal(expected.Split(' ').Select(int.Parse));
    }

    [Fact]
    public void Settings_without_a_difference_are_equal()
    {
        var own = SettingOverrides.Empty.With(SettingKeys.HealthCheckStatus, "200,204");
        var one = ProbeSettings.Resolve(ServiceSettings.BuiltIn, own);

        ProbeSettings.Resolve(ServiceSettings.Resolve(), own).Should().Be(one);
        ProbeSettings.Resolve(ServiceSettings.BuiltIn, own.With(SettingKeys.HealthCheckStatus, "200")).Should().NotBe(one);
        ProbeSettings.Resolve(ServiceSettings.BuiltIn, own.With(SettingKeys.HealthCheckRise, 3)).Should().NotBe(one);
    }

    private static TimeSpan Seconds(int seconds) => TimeSpan.FromSeconds(seconds);
}

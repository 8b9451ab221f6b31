using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Changes;
using Alicia.Proxy.Registry.Settings;
using static Alicia.Proxy.UnitTests.Registry.Drafts;

namespace Alicia.Proxy.UnitTests.Registry;

public sealed class ChangeServiceTests
{
    private readonly Drafts _registry = new();

    [Fact]
    public void PUT_creates_then_replaces_and_leaves_instances_alone()
    {
        _registry.Do(Put("tts", Settings(SettingKeys.Algorithm, "random"), Route("/v1/{**rest}"))).Created.Should().BeTrue();
        _registry.Do(Register("tts"));

        var replaced = _registry.Do(Put("tts", Settings(SettingKeys.MaxConnections, 5)));

        replaced.Created.Should().BeFalse();
        (replaced.Service.Settings.Get(SettingKeys.Algorithm), replaced.Service.Settings.Get(SettingKeys.MaxConnections), replaced.Service.Routes.Length, replaced.Service.Instances.Length)
            .Should().Be(("round_robin", 5, 0, 1));
        _registry.Draft.Changes[^1].Should().BeOfType<StoreChange.PutService>().Which.Service.Revision.Should().Be(replaced.Service.Revision);
    }

    [Fact]
    public void PATCH_merges_clears_and_keeps_the_routes()
    {
        _registry.Do(Put("tts", Settings(SettingKeys.Algorithm, "random").With(SettingKeys.MaxConnections, 5), Route("/v1/{**rest}")));

        var service = _registry.Do(PatchSettings("tts", Settings(SettingKeys.Ttl, TimeSpan.FromMinutes(1)), SettingKeys.Algorithm)).Service;

        (service.Settings.Get(SettingKeys.Algorithm), service.Settings.Get(SettingKeys.MaxConnections), service.Settings.Get(SettingKeys.Ttl), service.Routes.Length)
            .Should().Be(("round_robin", 5, TimeSpan.FromMinutes(1), 1));
    }

    [Fact]
    public void PATCH_of_an_unknown_service_is_not_found() =>
        _registry.Refused(PatchSettings("tts", SettingOverrides.Empty), RejectionKind.NotFound);

    [Theory]
    [InlineData("")]
    [InlineData("TTS")]
    [InlineData("-tts")]
    public void A_bad_name_is_refused_under_service_name(string name) =>
        _registry.Refused(Put(name), RejectionKind.Invalid).Errors!.Keys.Should().Equal("service_name");

    [Fact]
    public void Each_change_of_settings_or_routes_moves_the_revision_to_the_registrys()
    {
        var first = _registry.Do(Put("tts")).Service.Revision;
        _registry.Do(Register("tts"));
        var second = _registry.Do(PatchSettings("tts", Settings(SettingKeys.Algorithm, "random"))).Service.Revision;

        second.Should().BeGreaterThan(first).And.Be(_registry.Snapshot.Revision);
    }

    [Fact]
    public void Preconditions_are_checked_before_anything_changes()
    {
        _registry.Refused(With(mustExist: true), RejectionKind.PreconditionFailed);
        _registry.Refused(With(1), RejectionKind.PreconditionFailed);
        var revision = _registry.Do(With(mustNotExist: true)).Service.Revision;
        _registry.Refused(With(mustNotExist: true), RejectionKind.PreconditionFailed);
        _registry.Refused(With(revision + 1), RejectionKind.PreconditionFailed);
        _registry.Do(With(revision)).Service.Revision.Should().BeGreaterThan(revision);
        _registry.Refused(With(revision), RejectionKind.PreconditionFailed);
        _registry.Do(With(mustExist: true));

        static ChangeService With(long? revision = null, bool mustExist = false, bool mustNotExist = false) => new(
            "tts", new ServiceEdit(SettingOverrides.Empty, [], []), replace: true,
            new Precondition(revision is { } r ? [r] : null, mustExist, mustNotExist));
    }

    [Fact]
    public void Rules_between_settings_and_of_routes_are_all_reported()
    {
        var settings = Settings(SettingKeys.HealthCheckInterval, TimeSpan.FromSeconds(3))
            .With(SettingKeys.HealthCheckTimeout, TimeSpan.FromSeconds(4)).With(SettingKeys.HealthCheckFast, TimeSpan.FromSeconds(5));
        _registry.Refused(Put("tts", settings, Route("no-slash"), Route("/{any}"), Route("/ok")), RejectionKind.Invalid)
            .Errors!.Keys.Should().BeEquivalentTo("health_check.timeout", "health_check.fast", "routes[0].path", "routes[1].path");
        _registry.Snapshot.Services.Should().BeEmpty();
    }

    [Fact]
    public void What_configuration_sets_is_refused_with_its_key_unless_it_stays_the_same()
    {
        _registry.Do(Configure(new StaticService("tts", Settings(SettingKeys.Algorithm, "random").With(SettingKeys.HealthCheckPath, "/up"), [Route("/v1/{**rest}")], [])));

        _registry.Refused(PatchSettings("tts", Settings(SettingKeys.Algorithm, "round_robin")), RejectionKind.Conflict).Detail.Should().Contain("Services:tts:Algorithm");
        _registry.Refused(PatchSettings("tts", SettingOverrides.Empty, SettingKeys.HealthCheckPath), RejectionKind.Conflict).Detail.Should().Contain("Services:tts:HealthCheck:Path");
        _registry.Refused(Put("tts", null, Route("/v2")), RejectionKind.Conflict).Detail.Should().Contain("Services:tts:Routes");
        _registry.Do(PatchSettings("tts", Settings(SettingKeys.Algorithm, "random").With(SettingKeys.MaxConnections, 7))).Service
            .Settings.Get(SettingKeys.MaxConnections).Should().Be(7);
    }

    [Fact]
    public void PUT_takes_a_leaving_service_back_as_new_and_what_drains_goes_on_draining()
    {
        _registry.Do(Put("tts", Settings(SettingKeys.Algorithm, "random")));
        _registry.Do(Register("tts"));
        _registry.Do(new RemoveService("tts", Precondition.None));
        _registry.Refused(PatchSettings("tts", SettingOverrides.Empty), RejectionKind.NotFound);

        var back = _registry.Do(Put("tts"));

        (back.Created, back.Service.Leaving, back.Service.Settings.Get(SettingKeys.Algorithm)).Should().Be((true, false, "round_robin"));
        back.Service.Instances.Should().ContainSingle().Which.Leaving.Should().BeTrue();
    }
}

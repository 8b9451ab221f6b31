using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Changes;
using Alicia.Proxy.Registry.Settings;
using Alicia.Proxy.Registry.Validation;
using static Alicia.Proxy.UnitTests.Registry.Drafts;

namespace Alicia.Proxy.UnitTests.Registry;

public sealed class ApplyConfigurationTests
{
    private readonly Drafts _registry = new();

    [Fact]
    public void Static_instances_get_epochs_of_their_own_and_the_revision_moves_past_them()
    {
        _registry.Do(Configure(Static("tts", Request("a"), Request("b")), Static("stt", Request("c"))));

        var epochs = _registry.Snapshot.Services.Values.SelectMany(s => s.Instances).Select(i => i.Epoch).ToList();
        epochs.Should().HaveCount(3).And.OnlyHaveUniqueItems();
        _registry.Do(Register("x")).Instance.Epoch.Should().BeGreaterThan(epochs.Max());
        _registry.Draft.Changes.OfType<StoreChange.PutInstance>().Should().OnlyContain(c => c.Instance.ServiceName == "x");
    }

    [Fact]
    public void Applying_again_keeps_epochs_where_the_address_stays_and_the_operators_drain()
    {
        _registry.Do(Configure(Static("tts", Request("a"), Request("b"), Request("c"))));
        _registry.Do(Patch("tts", "a", state: Given("draining")));
        var before = _registry.Service("tts");

        _registry.Do(Configure(Static("tts", Request("a") with { Weight = 9 }, Request("b", port: 1), Request("d"))));

        var after = _registry.Service("tts");
        (after.Find("a")!.Epoch, after.Find("a")!.Weight, after.Find("a")!.OperatorDrain).Should().Be((before.Find("a")!.Epoch, 9, true));
        after.Find("b")!.Epoch.Should().BeGreaterThan(before.Find("c")!.Epoch);
        after.Find("c").Should().Match<Instance>(i => i.Leaving && i.Epoch == before.Find("c")!.Epoch);
        (after.Find("b")!.State, after.Find("d")!.State).Should().Be((InstanceState.Pending, InstanceState.Pending), "newcomers prove themselves first");
        after.Revision.Should().Be(before.Revision, "instances do not move it");
        after.Instances.Select(i => i.Epoch).Should().OnlyHaveUniqueItems();
    }

    [Fact]
    public void What_configuration_names_at_start_serves_at_once_and_what_a_reload_adds_proves_itself_first()
    {
        var loaded = RegistrySnapshot.Of(5, RegistryRules.BeforeConfiguration, []);
        var draft = new RegistryDraft(loaded, Start);
        Configure(Static("tts", Request("a"))).Apply(draft).Rejection.Should().BeNull();
        draft.Find("tts")!.Find("a")!.State.Should().Be(InstanceState.Active);

        Configure(Static("tts", Request("a"), Request("b"))).Apply(draft).Rejection.Should().BeNull();

        draft.Find("tts")!.Instances.Select(i => i.State).Should().Equal(InstanceState.Active, InstanceState.Pending);
    }

    [Fact]
    public void Faults_anywhere_refuse_the_whole_and_are_all_named_by_key()
    {
        _registry.Do(Configure(Static("tts", Request("a"))));
        var snapshot = _registry.Snapshot;

        var rejection = _registry.Refused(
            Configure(
                Static("tts", Request("a", host: "8.8.8.8", port: 0), Request("b")),
                Static("stt", Request("x"), Request("x")),
                new StaticService("nlp", SettingOverrides.Empty, [Route("x")], [])),
            RejectionKind.Invalid);

        rejection.Errors!.Keys.Should().BeEquivalentTo(
            "Services:tts:Instances:0:host", "Services:tts:Instances:0:port", "Services:stt:Instances:1:instance_id", "Services:nlp:Routes[0].path");
        _registry.Snapshot.Should().BeSameAs(snapshot);
    }

    [Fact]
    public void Configuration_takes_an_id_over_from_whoever_registered_it()
    {
        var old = _registry.Do(Register("tts")).Instance;
        _registry.Do(Register("tts", "other"));

        _registry.Do(Configure(Static("tts", Request())));

        var taken = _registry.Instance("tts", "a");
        (taken.Source, taken.Epoch > old.Epoch).Should().Be((RegistrationSource.Config, true));
        _registry.Draft.Changes.Should().Contain(new StoreChange.DeleteInstance("tts", "a"));
        _registry.Instance("tts", "other").Source.Should().Be(RegistrationSource.Api);
    }

    [Fact]
    public void A_dropped_service_leaves_with_its_last_instance_but_one_that_is_stored_stays()
    {
        _registry.Do(Register("stored"));
        _registry.Do(Configure(Static("stored", Request("static")), Static("static", Request()), Static("empty")));
        var epoch = _registry.Instance("static", "a").Epoch;

        _registry.Do(Configure());

        _registry.Snapshot.Services.Keys.Should().BeEquivalentTo("stored", "static");
        _registry.Service("stored").Should().Match<Service>(s => !s.Leaving && !s.InConfig);
        _registry.Service("stored").Instances.Select(i => (i.InstanceId, i.Leaving)).Should().BeEquivalentTo([("a", false), ("static", true)]);
        _registry.Service("static").Leaving.Should().BeTrue();
        _registry.Do(new FinishDeparture("static", epoch));
        _registry.Snapshot.Services.Should().NotContainKey("static");
    }

    [Fact]
    public void Settings_are_layered_defaults_then_API_then_the_services_own_section()
    {
        _registry.Do(Put("tts", Settings(SettingKeys.MaxConnections, 20).With(SettingKeys.Algorithm, "random")));
        var rules = RegistryRules.Default with { Defaults = Settings(SettingKeys.MaxConnections, 10).With(SettingKeys.QueueLength, 3).With(SettingKeys.Algorithm, "least_connections") };
        _registry.Do(new ApplyConfiguration(rules, [new StaticService("tts", Settings(SettingKeys.Algorithm, "weighted_round_robin"), null, [])]));
        _registry.Do(Register("later"));

        var (tts, later) = (_registry.Service("tts").Settings, _registry.Service("later").Settings);
        (tts.Get(SettingKeys.Algorithm), tts.Get(SettingKeys.MaxConnections), tts.Get(SettingKeys.QueueLength)).Should().Be(("weighted_round_robin", 20, 3));
        (later.Get(SettingKeys.Algorithm), later.Get(SettingKeys.MaxConnections)).Should().Be(("least_connections", 10));
    }

    [Fact]
    public void A_changed_default_moves_the_revision_of_the_services_that_it_changes_only()
    {
        _registry.Do(Put("own", Settings(SettingKeys.MaxConnections, 20)));
        _registry.Do(Put("tts"));
        var (own, tts) = (_registry.Service("own").Revision, _registry.Service("tts").Revision);

        _registry.Do(new ApplyConfiguration(RegistryRules.Default with { Defaults = Settings(SettingKeys.MaxConnections, 10) }, []));

        _registry.Service("own").Revision.Should().Be(own);
        _registry.Service("tts").Revision.Should().BeGreaterThan(tts).And.BeLessThanOrEqualTo(_registry.Snapshot.Revision);
    }

    [Fact]
    public void Routes_replace_the_APIs_while_configuration_names_them_and_collisions_are_refused_by_key()
    {
        _registry.Do(Put("tts", null, Route("/v1/{**rest}")));
        _registry.Do(Configure(new StaticService("tts", SettingOverrides.Empty, [Route("/v2/{**rest}")], [])));
        _registry.Service("tts").Routes.Select(r => r.Path).Should().Equal("/v2/{**rest}");

        _registry.Refused(Configure(new StaticService("stt", SettingOverrides.Empty, [Route("/v1/{**x}")], [])), RejectionKind.Invalid)
            .Errors!.Should().ContainKey("Services:stt:Routes");
        _registry.Do(Configure());
        _registry.Service("tts").Routes.Select(r => r.Path).Should().Equal("/v1/{**rest}");
    }

    [Fact]
    public void A_deleted_service_that_configuration_declares_while_it_drains_does_not_get_its_old_settings_back()
    {
        _registry.Do(Put("tts", Settings(SettingKeys.MaxConnections, 20), Route("/v1/{**rest}")));
        _registry.Do(Register("tts"));
        _registry.Do(new RemoveService("tts", Precondition.None));

        _registry.Do(Configure(Static("tts", Request("static"))));

        var service = _registry.Service("tts");
        (service.Leaving, service.Settings.Get(SettingKeys.MaxConnections), service.Routes.Length).Should().Be((false, 100, 0));
        service.Find("a")!.Leaving.Should().BeTrue();
    }

    [Fact]
    public void Nothing_that_is_wrong_with_a_reload_shows_in_the_rules()
    {
        _registry.Refused(new ApplyConfiguration(RegistryRules.Default with { Domain = "other" }, [Static("tts", Request(port: 0))]), RejectionKind.Invalid);
        _registry.Snapshot.Rules.Domain.Should().Be("alicia.local");
        _registry.Do(new ApplyConfiguration(RegistryRules.Default with { Domain = "other" }, []));
        _registry.Snapshot.Rules.Domain.Should().Be("other");
    }

    [Fact]
    public void Static_instances_are_validated_against_the_new_networks()
    {
        var rules = RegistryRules.Default with { AllowedNetworks = [System.Net.IPNetwork.Parse("8.0.0.0/8")] };
        _registry.Do(new ApplyConfiguration(rules, [Static("tts", Request(host: "8.8.8.8"))]));
        _registry.Refused(Register("tts", "b"), RejectionKind.Invalid).Errors!.Keys.Should().Equal("host");
        InstanceRules.WireName(_registry.Instance("tts", "a").Protocol).Should().Be("http1");
    }
}

using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Changes;
using Alicia.Proxy.Registry.Settings;
using Alicia.Proxy.Registry.Validation;
using static Alicia.Proxy.UnitTests.Registry.Drafts;

namespace Alicia.Proxy.UnitTests.Registry;

public sealed class RegisterInstanceTests
{
    private static readonly RegistrationRequest Full = new()
    {
        InstanceId = "a",
        Host = "10.0.0.5",
        Port = 8003,
        Scheme = "https",
        Protocol = "http2",
        Weight = 7,
        MaxConnections = 9,
        TtlSeconds = 60,
        HealthCheck = Settings(SettingKeys.HealthCheckType, "tcp"),
        Metadata = new Dictionary<string, string> { ["zone"] = "kitchen" },
    };

    private readonly Drafts _registry = new();

    [Fact]
    public void A_first_registration_creates_the_service_and_the_instance_and_stores_both()
    {
        var registered = _registry.Do(Register("tts", Request() with { Weight = 3 }));

        registered.Created.Should().BeTrue();
        var instance = _registry.Instance("tts", "a");
        (instance.Host, instance.Port, instance.Scheme, instance.Protocol, instance.Weight, instance.MaxConnections, instance.State, instance.RegisteredAt)
            .Should().Be(("10.0.0.5", 8003, "http", UpstreamProtocol.Http1, 3, null, InstanceState.Pending, Start));
        _registry.Draft.Changes.Should().HaveCount(2);
        _registry.Draft.Changes[0].Should().BeOfType<StoreChange.PutService>();
        _registry.Draft.Changes[1].Should().BeOfType<StoreChange.PutInstance>().Which.Instance.Should().Be(instance);
    }

    [Fact]
    public void Repeating_a_registration_changes_nothing_and_writes_nothing()
    {
        _registry.Do(Register("tts", Full));
        var (snapshot, changes) = (_registry.Snapshot, _registry.Draft.Changes.Count);

        var again = _registry.Do(Register("tts", Full with { Metadata = new Dictionary<string, string> { ["zone"] = "kitchen" } }));

        again.Created.Should().BeFalse();
        _registry.Snapshot.Should().BeSameAs(snapshot);
        _registry.Draft.Changes.Should().HaveCount(changes);
    }

    [Fact]
    public void Fields_that_are_left_out_stay_as_they_were()
    {
        var before = _registry.Do(Register("tts", Full)).Instance;

        var after = _registry.Do(Register("tts", Request()));

        after.Created.Should().BeFalse("scheme and protocol are fields that were left out, too");
        after.Instance.Should().Be(before);
    }

    [Fact]
    public void A_left_out_scheme_stays_only_while_host_and_port_do()
    {
        _registry.Do(Register("tts", Full with { Protocol = null }));
        _registry.Do(Register("tts", Request(port: 9000))).Instance.Scheme.Should().Be("http");
        _registry.Do(Register("tts", Request(port: 9000) with { Protocol = "http2" })).Instance.Scheme.Should().Be("https", "http2 needs it");
    }

    [Fact]
    public void Fields_that_are_given_are_applied_in_place()
    {
        var before = _registry.Do(Register("tts")).Instance;
        var after = _registry.Do(Register("tts", Full with { Scheme = "http", Protocol = "h2c" }));

        after.Created.Should().BeFalse();
        after.Instance.Epoch.Should().Be(before.Epoch);
        (after.Instance.Weight, after.Instance.MaxConnections, after.Instance.TtlSeconds, after.Instance.Protocol, after.Instance.Metadata["zone"])
            .Should().Be((7, 9, 60, UpstreamProtocol.H2c, "kitchen"));
        after.Instance.HealthCheck.Should().Be(Full.HealthCheck);
        after.Instance.RegisteredAt.Should().Be(before.RegisteredAt);
    }

    [Theory]
    [InlineData("10.0.0.6", 8003, null)]
    [InlineData("10.0.0.5", 8004, null)]
    [InlineData("10.0.0.5", 8003, "https")]
    public void The_same_id_at_another_address_is_a_new_instance_that_inherits_nothing(string host, int port, string? scheme)
    {
        var before = _registry.Do(Register("tts", Full with { Scheme = "http", Protocol = null })).Instance;
        _registry.Do(Patch("tts", "a", weight: Given<int?>(500), state: Given("draining")));

        var after = _registry.Do(Register("tts", Request(host: host, port: port) with { Scheme = scheme }));

        after.Created.Should().BeTrue();
        after.Instance.Epoch.Should().BeGreaterThan(before.Epoch);
        (after.Instance.Weight, after.Instance.OperatorDrain, after.Instance.MaxConnections, after.Instance.Metadata.Count).Should().Be((1, false, null, 0));
        after.Service.Instances.Should().ContainSingle();
    }

    [Fact]
    public void The_same_id_while_the_old_one_is_leaving_is_a_new_instance()
    {
        var before = _registry.Do(Register("tts")).Instance;
        _registry.Do(new RemoveInstance("tts", "a"));
        _registry.Instance("tts", "a").Leaving.Should().BeTrue();

        var after = _registry.Do(Register("tts"));

        after.Created.Should().BeTrue();
        after.Instance.Epoch.Should().BeGreaterThan(before.Epoch);
        after.Instance.State.Should().Be(InstanceState.Pending);
    }

    [Fact]
    public void Admission_is_stored_once_and_only_for_the_epoch_that_passed()
    {
        var pending = _registry.Do(Register("tts")).Instance;
        _registry.Do(new AdmitInstance("tts", pending.Epoch + 1)).Should().BeFalse();
        _registry.Instance("tts", "a").State.Should().Be(InstanceState.Pending);

        _registry.Do(new AdmitInstance("tts", pending.Epoch)).Should().BeTrue();

        _registry.Instance("tts", "a").State.Should().Be(InstanceState.Active);
        _registry.Draft.Changes[^1].Should().BeOfType<StoreChange.PutInstance>().Which.Instance.Admitted.Should().BeTrue();
        _registry.Do(new AdmitInstance("tts", pending.Epoch)).Should().BeFalse("it is in already");
        _registry.Do(Register("tts")).Instance.Admitted.Should().BeTrue("repeating a registration changes nothing");
    }

    [Fact]
    public void What_is_not_probed_is_active_at_once()
    {
        _registry.Do(Register("tts", Request("own") with { HealthCheck = Settings(SettingKeys.HealthCheckEnabled, false) })).Instance.State.Should().Be(InstanceState.Active);
        _registry.Do(PatchSettings("tts", Settings(SettingKeys.HealthCheckEnabled, false)));
        _registry.Do(Register("tts", "b")).Instance.State.Should().Be(InstanceState.Active);
        _registry.Do(Register("tts", Request("c") with { HealthCheck = Settings(SettingKeys.HealthCheckEnabled, true) })).Instance.State.Should().Be(InstanceState.Pending);
    }

    [Theory]
    [InlineData(-1, false)]
    [InlineData(0, true)]
    [InlineData(100, true)]
    [InlineData(101, false)]
    public void A_priority_is_a_number_from_0_to_100(int priority, bool valid)
    {
        var result = new RegisterInstance("tts", Request() with { Priority = priority }, RegistrationSource.Api).Apply(_registry.Draft);
        (result.Rejection is null).Should().Be(valid);
        if (!valid)
            result.Rejection!.Errors!.Keys.Should().Equal("priority");
        else
            result.Value!.Instance.Priority.Should().Be(priority);
    }

    [Fact]
    public void An_operators_weight_and_drain_stay_and_a_null_weight_gives_the_registered_one_back()
    {
        _registry.Do(new AdmitInstance("tts", _registry.Do(Register("tts", Request() with { Weight = 3 })).Instance.Epoch));
        _registry.Do(Patch("tts", "a", weight: Given<int?>(50), state: Given("draining")));

        var again = _registry.Do(Register("tts", Request() with { Weight = 4 }));
        again.Created.Should().BeFalse();
        (again.Instance.Weight, again.Instance.State).Should().Be((50, InstanceState.Draining));

        var back = _registry.Do(Patch("tts", "a", weight: Given<int?>(null), state: Given("active"))).Instance;
        (back.Weight, back.State).Should().Be((4, InstanceState.Active));
    }

    [Theory]
    [InlineData("10.0.0.5")]
    [InlineData("fd00::1")]
    [InlineData("[fd00::1]")]
    [InlineData("::1")]
    [InlineData("_redis.internal")]
    [InlineData("tts_service")]
    [InlineData("TTS.Example.org.")]
    public void A_left_out_id_is_derived_from_the_address_and_repeating_is_idempotent(string host)
    {
        var first = _registry.Do(Register("tts", Request(id: null, host: host)));
        var second = _registry.Do(Register("tts", Request(id: null, host: host)));

        Names.IsInstance(first.Instance.InstanceId).Should().BeTrue(first.Instance.InstanceId);
        (first.Created, second.Created, second.Instance.Epoch).Should().Be((true, false, first.Instance.Epoch));
        _registry.Do(Register("tts", Request(id: null, host: host, port: 8004))).Created.Should().BeTrue();
    }

    [Fact]
    public void Long_names_that_differ_only_at_their_end_get_ids_of_their_own()
    {
        var stem = string.Join('.', Enumerable.Repeat(new string('x', 60), 4));
        var ids = new[] { stem + ".aa", stem + ".bb", "_" + stem[1..] }.Select(host => InstanceRules.DeriveId(host, 65535)).ToList();

        ids.Should().OnlyHaveUniqueItems();
        ids.Should().OnlyContain(id => Names.IsInstance(id));
    }

    [Fact]
    public void Two_ids_at_one_address_are_two_instances()
    {
        _registry.Do(Register("tts", "a"));
        _registry.Do(Register("tts", "b"));
        _registry.Do(Register("tts", "A"));
        _registry.Service("tts").Instances.Select(i => i.Epoch).Should().HaveCount(3).And.OnlyHaveUniqueItems();
    }

    [Fact]
    public void Registrations_do_not_move_the_services_revision()
    {
        var revision = _registry.Do(Register("tts", "a")).Service.Revision;
        _registry.Do(Register("tts", "b"));
        _registry.Do(Register("tts", "a", port: 9999));
        _registry.Do(Patch("tts", "b", weight: Given<int?>(3)));
        _registry.Do(new RemoveInstance("tts", "b"));
        _registry.Service("tts").Revision.Should().Be(revision);
        _registry.Snapshot.Revision.Should().Be(revision + 4);
    }

    [Fact]
    public void A_registration_brings_a_service_that_is_leaving_back_with_default_settings()
    {
        _registry.Do(Put("tts", Settings(SettingKeys.Algorithm, "random"), Route("/v1/{**rest}")));
        _registry.Do(Register("tts", "old"));
        _registry.Do(new RemoveService("tts", Precondition.None));
        _registry.Service("tts").Leaving.Should().BeTrue();

        _registry.Do(Register("tts", "new"));

        var service = _registry.Service("tts");
        (service.Leaving, service.Stored, service.Settings.Get(SettingKeys.Algorithm), service.Routes.Length).Should().Be((false, true, "round_robin", 0));
        service.Instances.Select(i => (i.InstanceId, i.Leaving)).Should().Equal(("old", true), ("new", false));
    }

    [Fact]
    public void Every_fault_is_reported_at_once_under_its_wire_name()
    {
        var request = new RegistrationRequest
        {
            InstanceId = "register",
            Host = "http://10.0.0.5/",
            Port = 0,
            Scheme = "ftp",
            Protocol = "spdy",
            Weight = 1001,
            MaxConnections = 0,
            TtlSeconds = 4,
            Metadata = Enumerable.Range(0, 33).ToDictionary(i => $"k{i}", i => new string('v', 200)),
            HealthCheck = Settings(SettingKeys.HealthCheckTimeout, TimeSpan.FromMinutes(1)).With(SettingKeys.HealthCheckInterval, TimeSpan.FromSeconds(5)),
        };

        var rejection = _registry.Refused(Register("TTS", request), RejectionKind.Invalid);

        rejection.Errors!.Keys.Should().BeEquivalentTo("service_name", "instance_id", "host", "port", "scheme", "protocol", "weight", "max_connections",
            "ttl_seconds", "metadata", "health_check.timeout");
        rejection.Errors["metadata"].Should().HaveCount(2, "both the number and the size are wrong");
        _registry.Snapshot.Services.Should().BeEmpty();
    }

    [Fact]
    public void Host_and_port_are_required() =>
        _registry.Refused(Register("tts", new RegistrationRequest()), RejectionKind.Invalid).Errors!.Keys.Should().BeEquivalentTo("host", "port");

    [Fact]
    public void What_configuration_declares_is_refused_with_its_key()
    {
        _registry.Do(Configure(Static("tts", Request())));
        _registry.Refused(Register("tts"), RejectionKind.Conflict).Detail.Should().Contain("Services:tts:Instances");
        _registry.Refused(new RemoveInstance("tts", "a"), RejectionKind.Conflict).Detail.Should().Contain("Services:tts:Instances");
        _registry.Do(Register("tts", "b")).Created.Should().BeTrue("others may join a configured service");
    }
}

using Alicia.Proxy.Bus;
using Alicia.Proxy.Registry;
using Alicia.Proxy.Registry.Changes;
using Alicia.Proxy.Registry.Settings;
using static Alicia.Proxy.UnitTests.Bus.Messages;

namespace Alicia.Proxy.UnitTests.Bus;

/// <summary>What received messages do to the registry, and what they do not.</summary>
public sealed class InboundHandlingTests : IAsyncLifetime
{
    private const string StockId = "alicia_tts_service:8003";
    private House _house = null!;

    public async Task InitializeAsync() => _house = await House.OpenAsync();

    public async Task DisposeAsync() => await _house.DisposeAsync();

    private Task RegisterAsync(string service, string id, string extra = "") =>
        _house.HearAsync(Register, Enveloped($$"""{ "service_name": "{{service}}", "instance_id": "{{id}}", "host": "10.0.0.7", "port": 8003 {{extra}} }""", ttl: 0));

    [Fact]
    public async Task A_service_without_an_address_gets_that_of_the_table()
    {
        await _house.HearAsync(Register, Enveloped("""{ "service_name": "tts_service", "status": "online", "capabilities": [], "version": "1" }"""));

        var instance = _house.Find("tts_service", StockId)!;
        (instance.Host, instance.Port, instance.Scheme, instance.Source).Should().Be(("alicia_tts_service", 8003, "http", RegistrationSource.Mqtt));
        _house.Counters.Processed.Should().Be(1);
    }

    [Fact]
    public async Task A_service_without_an_address_and_not_in_the_table_is_refused_and_counted()
    {
        await _house.HearAsync(Register, Enveloped("""{ "service_name": "unheard_of", "status": "online" }"""));

        _house.Registry.Snapshot.Services.Should().BeEmpty();
        _house.Counters.Of(BusReason.NoAddress).Should().Be(1);
        _house.Lines.Should().ContainSingle().Which.Should().Contain("no_address").And.Contain("unheard_of");
    }

    [Fact]
    public async Task A_host_without_a_port_is_at_fault_as_over_REST()
    {
        await _house.HearAsync(Register, """{ "service_name": "tts_service", "host": "10.0.0.7" }""");

        _house.Counters.Of(BusReason.BadField).Should().Be(1);
        _house.Lines.Single().Should().Contain("port is required");
    }

    [Theory]
    [InlineData("\"host\": \"169.254.169.254\", \"port\": 80")]
    [InlineData("\"host\": \"8.8.8.8\", \"port\": 80")]
    [InlineData("\"host\": \"10.0.0.1\", \"port\": 0")]
    [InlineData("\"host\": \"10.0.0.1\", \"port\": 80, \"weight\": 5000")]
    [InlineData("\"host\": \"10.0.0.1\", \"port\": 80, \"instance_id\": \"balance\"")]
    public async Task The_rules_are_those_of_REST(string fields)
    {
        await _house.HearAsync(Register, $$"""{ "service_name": "tts", {{fields}} }""");

        _house.Registry.Snapshot.Services.Should().BeEmpty();
        _house.Counters.Of(BusReason.BadField).Should().Be(1);
    }

    [Fact]
    public async Task Announcing_again_changes_nothing_and_renews_the_lease()
    {
        await RegisterAsync("tts", "one", ", \"ttl_seconds\": 60");
        var before = _house.Registry.Snapshot;
        var live = _house.Lives.GetOrAdd(_house.Find("tts", "one")!.Epoch);
        _house.Time.Advance(TimeSpan.FromSeconds(50));

        await RegisterAsync("tts", "one", ", \"ttl_seconds\": 60");

        _house.Registry.Snapshot.Should().BeSameAs(before);
        live.LeaseRenewedAt.Should().Be(_house.Time.GetUtcNow().UtcTicks);
        _house.Counters.Processed.Should().Be(2);
    }

    [Fact]
    public async Task An_announcement_from_another_address_is_a_new_epoch()
    {
        await RegisterAsync("tts", "one");
        var before = _house.Find("tts", "one")!.Epoch;
        await _house.HearAsync(Register, """{ "service_name": "tts", "instance_id": "one", "host": "10.0.0.8", "port": 8003 }""");

        _house.Find("tts", "one")!.Epoch.Should().NotBe(before);
    }

    [Fact]
    public async Task What_configuration_declares_is_in_the_way_of_nobody_and_is_not_overwritten()
    {
        var declared = new StaticService("tts", SettingOverrides.Empty, null, [new RegistrationRequest { InstanceId = "one", Host = "10.0.0.9", Port = 1 }]);
        await _house.Registry.SubmitAsync(new ApplyConfiguration(new RegistryRules(), [declared]), default);
        await RegisterAsync("tts", "one");

        _house.Find("tts", "one")!.Host.Should().Be("10.0.0.9");
        _house.Counters.Of(BusReason.Conflict).Should().Be(1);
    }

    [Theory]
    [InlineData("""{ "service_name": "tts", "instance_id": "one" }""")]
    [InlineData("""{ "service_name": "tts" }""")]
    public async Task Unregistering_drains_and_removes(string payload)
    {
        await RegisterAsync("tts", "one");
        await _house.HearAsync(Unregister, Enveloped(payload));

        _house.Find("tts", "one")!.Leaving.Should().BeTrue();
        _house.Suspected.Should().BeEmpty();
    }

    [Fact]
    public async Task Unregistering_without_an_id_means_the_services_own_instance_and_nobody_elses()
    {
        await _house.Registry.SubmitAsync(new RegisterInstance("tts", new RegistrationRequest { InstanceId = "rest", Host = "10.0.0.1", Port = 1 }, RegistrationSource.Api), default);
        await _house.HearAsync(Unregister, """{ "service_name": "tts" }""");
        _house.Counters.Of(BusReason.UnknownInstance).Should().Be(1);

        await RegisterAsync("tts", "one");
        await RegisterAsync("tts", "two");
        await _house.HearAsync(Unregister, """{ "service_name": "tts" }""");
        _house.Counters.Of(BusReason.AmbiguousInstance).Should().Be(1);
        _house.Registry.Snapshot.Services["tts"].Instances.Should().OnlyContain(i => !i.Leaving);
    }

    [Fact]
    public async Task Among_several_the_one_that_registered_without_words_leaves_without_words()
    {
        await _house.HearAsync(Register, """{ "service_name": "tts_service" }""");
        await RegisterAsync("tts_service", "two");
        await _house.HearAsync(Unregister, """{ "service_name": "tts_service" }""");

        _house.Find("tts_service", StockId)!.Leaving.Should().BeTrue();
        _house.Find("tts_service", "two")!.Leaving.Should().BeFalse();
    }

    [Fact]
    public async Task A_will_that_fires_ten_minutes_after_connecting_is_a_suspicion_and_a_failed_probe_its_proof()
    {
        await RegisterAsync("tts", "one");
        var will = Enveloped("""{ "service_name": "tts", "will": true }""", ttl: 300);
        _house.Time.Advance(TimeSpan.FromMinutes(10));

        await _house.HearAsync(Unregister, will);

        await House.UntilAsync("suspected", () => _house.Suspected.Count == 1);
        _house.Suspected.Single().Should().Be(("one", "mqtt_will"));
        _house.Find("tts", "one")!.Leaving.Should().BeFalse("it is not a verdict");

        _house.Verdict.SetResult(false);
        await House.UntilAsync("removed", () => _house.Find("tts", "one")!.Leaving);
        _house.Counters.Of(BusReason.Expired).Should().Be(0);
    }

    [Fact]
    public async Task A_will_whose_probe_passes_removes_nothing()
    {
        await RegisterAsync("tts", "one");
        _house.Verdict.SetResult(true);
        await _house.HearAsync(Unregister, """{ "service_name": "tts", "will": true }""");
        await House.UntilAsync("suspected", () => _house.Suspected.Count == 1);

        // A second will finds no suspicion open: the first has ended.
        await House.UntilAsync("ended", () =>
        {
            _house.HearAsync(Unregister, """{ "service_name": "tts", "will": true }""").GetAwaiter().GetResult();
            return _house.Suspected.Count >= 2;
        });
        _house.Find("tts", "one")!.Leaving.Should().BeFalse();
    }

    [Fact]
    public async Task One_that_announces_itself_again_before_the_probe_ends_is_not_removed()
    {
        await RegisterAsync("tts", "one");
        await _house.HearAsync(Unregister, """{ "service_name": "tts", "will": true }""");
        await House.UntilAsync("suspected", () => _house.Suspected.Count == 1);
        await RegisterAsync("tts", "one");
        _house.Verdict.SetResult(false);
        _house.Verdict = new TaskCompletionSource<bool>();

        await House.UntilAsync("ended", () =>
        {
            _house.HearAsync("alicia/system/health/tts", """{ "status": "offline" }""").GetAwaiter().GetResult();
            return _house.Suspected.Count >= 2;
        });
        _house.Find("tts", "one")!.Leaving.Should().BeFalse();
    }

    [Fact]
    public async Task Bad_news_is_followed_once_however_often_it_comes_and_removes_nothing()
    {
        await RegisterAsync("tts", "one");
        for (var i = 0; i < 20; i++)
            await _house.HearAsync("alicia/system/health/tts", """{ "status": "unhealthy" }""");
        await House.UntilAsync("suspected", () => !_house.Suspected.IsEmpty);
        _house.Verdict.SetResult(false);
        _house.Verdict = new TaskCompletionSource<bool>();
        await House.UntilAsync("ended", () =>
        {
            _house.HearAsync("alicia/system/health/tts", """{ "status": "offline" }""").GetAwaiter().GetResult();
            return _house.Suspected.Count >= 2;
        });

        _house.Suspected.Should().BeEquivalentTo([("one", "mqtt_unhealthy"), ("one", "mqtt_offline")]);
        _house.Find("tts", "one")!.Leaving.Should().BeFalse();
    }

    [Fact]
    public async Task Good_news_renews_the_lease_of_what_registered_over_the_bus_only()
    {
        await RegisterAsync("tts", "one");
        await _house.Registry.SubmitAsync(new RegisterInstance("tts", new RegistrationRequest { InstanceId = "rest", Host = "10.0.0.1", Port = 1 }, RegistrationSource.Api), default);
        var (own, rest) = (_house.Lives.GetOrAdd(_house.Find("tts", "one")!.Epoch), _house.Lives.GetOrAdd(_house.Find("tts", "rest")!.Epoch));

        await _house.HearAsync("alicia/system/health/tts", """{ "status": "healthy" }""");
        await _house.HearAsync("alicia/system/health/tts", """{ "status": "healthy", "instance_id": "rest" }""");

        own.LeaseRenewedAt.Should().Be(_house.Time.GetUtcNow().UtcTicks);
        rest.LeaseRenewedAt.Should().Be(0);
        _house.Suspected.Should().BeEmpty();
    }

    [Fact]
    public async Task News_of_nobody_in_particular_counts_only_where_there_is_one()
    {
        await RegisterAsync("tts", "one");
        await RegisterAsync("tts", "two");
        await _house.HearAsync("alicia/system/health/tts", """{ "status": "unhealthy" }""");

        _house.Suspected.Should().BeEmpty();
        _house.Counters.Of(BusReason.UnclearEvidence).Should().Be(1);
        await _house.HearAsync("alicia/system/health/tts", """{ "status": "unhealthy", "instance_id": "two" }""");
        await House.UntilAsync("suspected", () => _house.Suspected.Count == 1);
        _house.Suspected.Single().Instance.Should().Be("two");
    }

    [Theory]
    [InlineData(Unregister, """{ "service_name": "nobody" }""", BusReason.UnknownService)]
    [InlineData(Unregister, """{ "service_name": "tts", "instance_id": "nobody" }""", BusReason.UnknownInstance)]
    [InlineData("alicia/system/health/nobody", """{ "status": "unhealthy" }""", BusReason.UnknownService)]
    [InlineData("alicia/system/health/tts", """{ "status": "unhealthy", "instance_id": "nobody" }""", BusReason.UnknownInstance)]
    [InlineData(Register, "nonsense", BusReason.BadJson)]
    public async Task What_has_no_effect_is_counted_each_time_and_told_once_a_minute(string topic, string text, object reason)
    {
        await RegisterAsync("tts", "one");
        var before = _house.Registry.Snapshot;
        for (var i = 0; i < 1000; i++)
            await _house.HearAsync(topic, text);

        _house.Registry.Snapshot.Should().BeSameAs(before);
        _house.Counters.Of((BusReason)reason).Should().Be(1000);
        _house.Lines.Should().ContainSingle();
        _house.Time.Advance(TimeSpan.FromMinutes(1));
        await _house.HearAsync(topic, text);
        _house.Lines.Should().HaveCount(2).And.Contain(line => line.Contains("999 more", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_log_line_never_holds_more_than_one_line_of_a_stranger()
    {
        await _house.HearAsync(Unregister, """{ "service_name": "x\n19:00 ERR forged\u2028" }""");
        _house.Lines.Single().Should().NotContain("\n").And.NotContain("\u2028");
    }

    [Fact]
    public async Task Set_algorithm_takes_effect_and_its_sender_is_told()
    {
        await RegisterAsync("tts", "one");
        await _house.HearAsync(Command, Enveloped("""{ "command": "set_algorithm", "service_name": "tts", "algorithm": "least_connections" }"""));

        _house.Registry.Snapshot.Services["tts"].Settings.Get(SettingKeys.Algorithm).Should().Be("least_connections");
        var result = (await _house.SaidAsync()).Single();
        result.Topic.Should().Be("alicia/loadbalancer/command/result");
        PayloadOf(result).GetProperty("success").GetBoolean().Should().BeTrue();
        PayloadOf(result).GetProperty("message_id").GetString().Should().Be("5b1f7c6e-7b2f-4f4e-9a83-2f7b7e0c1a55");
    }

    [Fact]
    public async Task Weights_change_together_or_not_at_all()
    {
        await RegisterAsync("tts", "one");
        await RegisterAsync("tts", "two");
        await _house.HearAsync(Command, """{ "message_id": "m1", "command": "update_weights", "service_name": "tts", "weights": { "one": 7, "nobody": 3 } }""");
        _house.Find("tts", "one")!.Weight.Should().Be(1);
        await _house.HearAsync(Command, """{ "message_id": "m2", "command": "update_weights", "service_name": "tts", "weights": { "one": 7, "two": 0 } }""");
        _house.Find("tts", "one")!.Weight.Should().Be(1);
        await _house.HearAsync(Command, """{ "message_id": "m3", "command": "update_weights", "service_name": "tts", "weights": { "one": 7, "two": 3 } }""");
        (_house.Find("tts", "one")!.Weight, _house.Find("tts", "two")!.Weight).Should().Be((7, 3));

        (await _house.SaidAsync()).Select(m => (PayloadOf(m).GetProperty("message_id").GetString(), PayloadOf(m).GetProperty("error").GetString()))
            .Should().Equal(("m1", "unknown_instance"), ("m2", "bad_field"), ("m3", null));
    }

    [Fact]
    public async Task Drain_takes_an_instance_out_of_rotation()
    {
        await RegisterAsync("tts", "one");
        await _house.HearAsync("alicia/load_balancer/command", """{ "command": "drain", "service_name": "tts", "instance_id": "one" }""");

        _house.Find("tts", "one")!.InRotation.Should().BeFalse();
        await RegisterAsync("tts", "one");
        _house.Find("tts", "one")!.InRotation.Should().BeFalse("a registration does not bring back what an operator took out");
    }

    [Theory]
    [InlineData("""{ "message_id": "m", "command": "explode" }""", "unknown_command")]
    [InlineData("""{ "message_id": "m", "command": "set_algorithm", "service_name": "tts", "algorithm": "magic" }""", "bad_field")]
    [InlineData("""{ "message_id": "m", "command": "set_algorithm", "service_name": "nobody", "algorithm": "random" }""", "unknown_service")]
    [InlineData("""{ "message_id": "m", "command": "drain", "service_name": "tts", "instance_id": "nobody" }""", "unknown_instance")]
    public async Task A_command_without_effect_is_answered_with_its_fault(string text, string error)
    {
        await RegisterAsync("tts", "one");
        var before = _house.Registry.Snapshot;
        await _house.HearAsync(Command, text);

        _house.Registry.Snapshot.Should().BeSameAs(before);
        var payload = PayloadOf((await _house.SaidAsync()).Single());
        (payload.GetProperty("message_id").GetString(), payload.GetProperty("success").GetBoolean(), payload.GetProperty("error").GetString()).Should().Be(("m", false, error));
        _house.Counters.Errors.Should().Be(1);
    }
}

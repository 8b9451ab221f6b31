using System.Text;
using Alicia.Proxy.Bus;
using Alicia.Proxy.Registry.Settings;
using static Alicia.Proxy.UnitTests.Bus.Messages;

namespace Alicia.Proxy.UnitTests.Bus;

/// <summary>What a stranger's bytes mean, or why they mean nothing.</summary>
public sealed class InboundMessagesTests
{
    private static readonly Topics Topics = new("alicia");

    private static InboundMessage Read(string topic, string text, bool retained = false) => InboundMessages.Read(Topics, Raw(topic, text, retained), Noon);

    private static BusReason ReasonOf(string topic, string text, bool retained = false) =>
        Read(topic, text, retained).Should().BeOfType<InboundMessage.WithoutEffect>().Subject.Reason;

    [Theory]
    [InlineData("alicia/system/discovery/register", nameof(TopicMeaning.Register))]
    [InlineData("alicia/system/discovery/unregister", nameof(TopicMeaning.Unregister))]
    [InlineData("alicia/system/discovery/register/more", nameof(TopicMeaning.None))]
    [InlineData("alicia/system/health/check", nameof(TopicMeaning.HealthCheck))]
    [InlineData("alicia/system/health/tts_service", nameof(TopicMeaning.Health))]
    [InlineData("alicia/system/health/tts/more", nameof(TopicMeaning.None))]
    [InlineData("alicia/loadbalancer/command", nameof(TopicMeaning.Command))]
    [InlineData("alicia/load_balancer/command", nameof(TopicMeaning.Command))]
    [InlineData("alicia/loadbalancer/command/result", nameof(TopicMeaning.None))]
    [InlineData("Alicia/system/discovery/register", nameof(TopicMeaning.None))]
    public void The_whole_topic_decides(string topic, string meaning) => Topics.MeaningOf(topic).ToString().Should().Be(meaning);

    [Fact]
    public void Another_root_moves_every_topic()
    {
        var house = new Topics("house/one");
        house.MeaningOf("house/one/system/discovery/register").Should().Be(TopicMeaning.Register);
        house.MeaningOf(Register).Should().Be(TopicMeaning.None);
        house.Status.Should().Be("house/one/loadbalancer/status");
        house.Subscribed.Should().OnlyContain(filter => filter.StartsWith("house/one/", StringComparison.Ordinal)).And.HaveCount(5);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_registration_is_read_with_and_without_an_envelope(bool enveloped)
    {
        const string Fields = """
            { "service_name": "tts_service", "instance_id": "one", "host": "10.0.0.7", "port": 8003, "weight": 5, "ttl_seconds": 60, "health_check": { "path": "/alive" },
              "status": "online", "capabilities": ["speech"], "version": "1.0" }
            """;
        var message = Read(Register, enveloped ? Enveloped(Fields) : Fields).Should().BeOfType<InboundMessage.Registration>().Subject;

        message.Service.Should().Be("tts_service");
        var request = message.Request;
        (request.InstanceId, request.Host, request.Port, request.Weight, request.TtlSeconds).Should().Be(("one", "10.0.0.7", 8003, 5, 60));
        request.HealthCheck!.TryGet(SettingKeys.HealthCheckPath, out var path).Should().BeTrue();
        path.Should().Be("/alive");
    }

    [Fact]
    public void The_stock_announcement_has_no_address_and_is_a_registration_all_the_same()
    {
        var message = Read(Register, Enveloped("""{ "service_name": "tts_service", "status": "online", "capabilities": ["tts"], "version": "1.0.0" }"""));
        message.Should().BeOfType<InboundMessage.Registration>().Which.Request.Should().Match<Alicia.Proxy.Registry.RegistrationRequest>(r => r.Host == null && r.Port == null);
    }

    [Theory]
    [InlineData("""{ "device_id": "lamp-1", "device_type": "light" }""")]
    [InlineData("""{ "message_id": "x", "payload": { "device_id": "lamp-1" } }""")]
    public void Devices_that_announce_themselves_are_no_services(string payload)
    {
        ReasonOf(Register, payload).Should().Be(BusReason.Device);
        ReasonOf(Register, Enveloped(payload)).Should().Be(BusReason.Device);
        BusReason.Device.IsFault().Should().BeFalse("nobody is at fault, and nothing is logged");
    }

    [Theory]
    [InlineData("{", BusReason.BadJson)]
    [InlineData("", BusReason.BadJson)]
    [InlineData("null", BusReason.BadJson)]
    [InlineData("[1]", BusReason.BadJson)]
    [InlineData("""{ "service_name": "tts", "service_name": "stt" }""", BusReason.BadJson)]
    [InlineData("""{ "service_name": "\ud800" }""", BusReason.BadField)]
    [InlineData("""{ "\ud800": 1, "payload": { "service_name": "tts" } }""", BusReason.BadJson)]
    [InlineData("""{ "a": [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]] }""", BusReason.BadJson)]
    [InlineData("{}", BusReason.BadField)]
    [InlineData("""{ "service_name": 7 }""", BusReason.BadField)]
    [InlineData("""{ "service_name": "Not A Name" }""", BusReason.BadField)]
    [InlineData("""{ "service_name": "tts", "port": "8003" }""", BusReason.BadField)]
    [InlineData("""{ "service_name": "tts", "weight": 1.5 }""", BusReason.BadField)]
    [InlineData("""{ "service_name": "tts", "health_check": { "nonsense": 1 } }""", BusReason.BadField)]
    [InlineData("""{ "service_name": "tts", "will": "yes" }""", BusReason.BadField)]
    [InlineData("""{ "payload": "text" }""", BusReason.BadField)]
    [InlineData("""{ "payload": { "service_name": "tts" }, "timestamp": "noon" }""", BusReason.BadField)]
    [InlineData("""{ "payload": { "service_name": "tts" }, "ttl": -1 }""", BusReason.BadField)]
    [InlineData("""{ "payload": { "service_name": "tts" }, "routing": 1 }""", BusReason.BadField)]
    [InlineData("""{ "payload": { "service_name": "tts" }, "routing": { "hops": "many" } }""", BusReason.BadField)]
    public void What_cannot_be_read_has_no_effect(string text, object reason) => ReasonOf(Register, text).Should().Be((BusReason)reason);

    [Fact]
    public void Bytes_that_are_no_text_have_no_effect()
    {
        byte[] bytes = [.. Encoding.UTF8.GetBytes("""{ "service_name": "tts"""), 0xff, 0xfe, .. "\" }"u8];
        InboundMessages.Read(Topics, new RawMessage(Register, bytes, bytes.Length, false), Noon).Should().BeOfType<InboundMessage.WithoutEffect>()
            .Which.Reason.Should().BeOneOf(BusReason.BadJson, BusReason.BadField);
    }

    [Fact]
    public void A_message_beyond_64_KiB_is_oversized_and_one_of_just_64_KiB_is_read()
    {
        var text = """{ "service_name": "tts", "capabilities": "PAD" }""";
        string Padded(int length) => text.Replace("PAD", new string('x', length - text.Length + 3), StringComparison.Ordinal);

        Read(Register, Padded(64 * 1024)).Should().BeOfType<InboundMessage.Registration>();
        ReasonOf(Register, Padded((64 * 1024) + 1)).Should().Be(BusReason.Oversized);
    }

    [Theory]
    [InlineData(300, 300, false)]
    [InlineData(300.5, 300, true)]
    [InlineData(1e9, 0, false)]
    [InlineData(-1000, 5, false)]
    public void A_message_runs_out_when_timestamp_and_ttl_have_passed(double ageSeconds, double ttl, bool expired)
    {
        var message = Read(Register, Enveloped("""{ "service_name": "tts" }""", Envelope.Seconds(Noon) - ageSeconds, ttl));
        if (expired)
            message.Should().BeOfType<InboundMessage.WithoutEffect>().Which.Reason.Should().Be(BusReason.Expired);
        else
            message.Should().BeOfType<InboundMessage.Registration>();
    }

    [Fact]
    public void A_will_never_runs_out()
    {
        var message = Read(Unregister, Enveloped("""{ "service_name": "tts", "will": true }""", Envelope.Seconds(Noon) - 86400, 300));
        message.Should().Be(new InboundMessage.Unregistration("tts", null, Will: true) { From = "tts_service" });
    }

    [Theory]
    [InlineData(10, false)]
    [InlineData(11, true)]
    public void A_message_that_was_handed_on_too_often_has_no_effect(int hops, bool refused)
    {
        var message = Read(Register, Enveloped("""{ "service_name": "tts" }""", hops: hops));
        (message is InboundMessage.WithoutEffect { Reason: BusReason.MaxHops }).Should().Be(refused);
    }

    [Theory]
    [InlineData("alicia/system/discovery/register", """{ "service_name": "load_balancer", "status": "online" }""")]
    [InlineData("alicia/system/discovery/unregister", """{ "service_name": "load_balancer" }""")]
    [InlineData("alicia/system/health/load_balancer", """{ "status": "offline" }""")]
    [InlineData("alicia/system/health/load_balancer", """{ "service_name": "load_balancer", "status": "healthy" }""")]
    public void The_proxys_own_messages_are_ignored_by_name_and_by_source(string topic, string text)
    {
        ReasonOf(topic, text).Should().Be(BusReason.Own);
        ReasonOf(topic, Enveloped("""{ "service_name": "tts", "status": "offline" }""", source: "load_balancer")).Should().Be(BusReason.Own);
    }

    [Theory]
    [InlineData("unhealthy", false)]
    [InlineData("offline", false)]
    [InlineData("healthy", true)]
    public void Health_is_evidence_about_the_service_of_the_message_else_of_the_topic(string status, bool healthy)
    {
        Read("alicia/system/health/tts", $$"""{ "status": "{{status}}" }""").Should().Be(new InboundMessage.Evidence("tts", null, healthy, status));
        Read("alicia/system/health/tts", $$"""{ "service_name": "stt", "instance_id": "one", "status": "{{status}}" }""")
            .Should().Be(new InboundMessage.Evidence("stt", "one", healthy, status));
    }

    [Fact]
    public void Other_statuses_are_no_evidence_and_no_fault()
    {
        ReasonOf("alicia/system/health/tts", """{ "status": "degraded" }""").Should().Be(BusReason.OtherStatus);
        ReasonOf("alicia/system/health/tts", "{}").Should().Be(BusReason.BadField);
        BusReason.OtherStatus.IsFault().Should().BeFalse();
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("""{ "status": "unhealthy", "service_name": "tts" }""")]
    public void A_health_check_is_a_question_and_never_evidence(string text) =>
        Read("alicia/system/health/check", text).Should().BeOfType<InboundMessage.HealthQuestion>();

    [Fact]
    public void Commands_are_read_with_whom_to_answer()
    {
        var order = Read(Command, Enveloped("""{ "command": "set_algorithm", "service_name": "tts", "algorithm": "random" }""")).Should().BeOfType<InboundMessage.Order>().Subject;
        order.Command.Should().Be(new BusCommand.SetAlgorithm("tts", "random"));
        order.Sender.Should().Be(new CommandSender("set_algorithm", "5b1f7c6e-7b2f-4f4e-9a83-2f7b7e0c1a55", "tts_service"));

        Read(Command, """{ "command": "update_weights", "service_name": "tts", "weights": { "a": 3, "b": 1 } }""").Should().BeOfType<InboundMessage.Order>()
            .Which.Command.Should().BeOfType<BusCommand.UpdateWeights>().Which.Weights.Should().BeEquivalentTo(new Dictionary<string, int> { ["a"] = 3, ["b"] = 1 });
        Read("alicia/load_balancer/command", """{ "command": "drain", "parameters": { "service_name": "tts", "instance_id": "a" } }""").Should().BeOfType<InboundMessage.Order>()
            .Which.Command.Should().Be(new BusCommand.Drain("tts", "a"));
    }

    [Theory]
    [InlineData("""{ "command": "explode", "service_name": "tts" }""", BusReason.UnknownCommand)]
    [InlineData("""{ "service_name": "tts" }""", BusReason.BadField)]
    [InlineData("""{ "command": 1 }""", BusReason.BadField)]
    [InlineData("""{ "command": "drain", "service_name": "tts" }""", BusReason.BadField)]
    [InlineData("""{ "command": "set_algorithm", "algorithm": "random" }""", BusReason.BadField)]
    [InlineData("""{ "command": "update_weights", "service_name": "tts", "weights": { "a": "3" } }""", BusReason.BadField)]
    [InlineData("""{ "command": "update_weights", "service_name": "tts", "weights": {} }""", BusReason.BadField)]
    [InlineData("""{ "command": "update_weights", "service_name": "tts", "weights": { "a": null } }""", BusReason.BadField)]
    public void Commands_that_cannot_be_carried_out_have_no_effect_but_an_answer(string text, object reason)
    {
        var refused = Read(Command, text).Should().BeOfType<InboundMessage.WithoutEffect>().Subject;
        refused.Reason.Should().Be((BusReason)reason);
        refused.Command.Should().NotBeNull("its sender is told");
    }

    [Fact]
    public void A_retained_is_not_carried_out_again_at_each_reconnect()
    {
        ReasonOf(Command, """{ "command": "drain", "service_name": "tts", "instance_id": "a" }""", retained: true).Should().Be(BusReason.Retained);
        Read(Register, """{ "service_name": "tts" }""", retained: true).Should().BeOfType<InboundMessage.Registration>("an announcement may be kept");
    }

    [Fact]
    public void A_retained_goodbye_counts_while_it_holds_and_a_retained_will_always()
    {
        ReasonOf(Unregister, """{ "service_name": "tts" }""", retained: true).Should().Be(BusReason.Retained);
        ReasonOf(Unregister, Enveloped("""{ "service_name": "tts" }""", ttl: 0), retained: true).Should().Be(BusReason.Retained);
        Read(Unregister, Enveloped("""{ "service_name": "tts" }""", ttl: 60), retained: true).Should().BeOfType<InboundMessage.Unregistration>();
        Read(Unregister, """{ "service_name": "tts", "will": true }""", retained: true).Should().BeOfType<InboundMessage.Unregistration>();
    }

    [Fact]
    public void No_bytes_whatever_make_an_exception()
    {
        // 20,000 mutations of a good message, seed 7: bytes overwritten, removed, doubled.
        var random = new Random(7);
        var good = Encoding.UTF8.GetBytes(Enveloped("""{ "service_name": "tts", "host": "10.0.0.1", "port": 80, "health_check": { "path": "/x" }, "command": "drain" }"""));
        string[] topics = [Register, Unregister, Command, "alicia/system/health/tts", "alicia/system/health/check"];
        for (var i = 0; i < 20_000; i++)
        {
            var bytes = good.ToList();
            for (var edits = random.Next(1, 6); edits > 0; edits--)
            {
                var at = random.Next(bytes.Count);
                switch (random.Next(3))
                {
                    case 0:
                        bytes[at] = (byte)random.Next(256);
                        break;
                    case 1:
                        bytes.RemoveRange(at, Math.Min(random.Next(1, 20), bytes.Count - at - 1));
                        break;
                    default:
                        bytes.InsertRange(at, bytes.Skip(at).Take(random.Next(1, 20)).ToArray());
                        break;
                }
            }

            var raw = new RawMessage(topics[i % topics.Length], bytes.ToArray(), bytes.Count, false);
            InboundMessages.Read(Topics, raw, Noon).Should().NotBeNull();
        }
    }
}

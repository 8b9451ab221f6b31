using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Harness;
using static Alicia.Proxy.IntegrationTests.Bus.BusProxy;

namespace Alicia.Proxy.IntegrationTests.Bus;

/// <summary>The proxy on a real broker: who announces themselves are proxied, everybody sees what the proxy does, and the broker's troubles are the bus's alone.</summary>
public sealed class MosquittoTests
{
    [NeedsPackageFact(Mosquitto.Package, Mosquitto.Clients)]
    public async Task A_service_that_announces_itself_is_proxied_until_it_takes_its_leave()
    {
        await using var broker = await Mosquitto.StartAsync();
        await using var backend = await Backend.StartAsync("a");
        await using var proxy = await StartConnectedAsync(broker.Port);
        await using var everything = await broker.ListenAsync("alicia/#");

        await broker.PublishAsync(Register, Announcement("tts", backend));
        await UntilAnsweredAsync(proxy, "tts", 204);
        var instance = await proxy.Registry.InstanceAsync("tts", $"127.0.0.1:{backend.Port}");
        instance.GetProperty("source").GetString().Should().Be("mqtt");

        var status = await everything.UntilAsync("the change of state", m => m.Topic == Status && m.Payload.GetProperty("total_instances").GetInt32() == 1);
        status.Payload.EnumerateObject().Select(p => p.Name).Should().Equal(
            "load_balancer_name", "status", "total_services", "total_instances", "healthy_instances", "uptime", "version", "timestamp");
        status.Body.GetProperty("source").GetString().Should().Be("load_balancer");
        var requests = await everything.UntilAsync("the second's traffic", m => m.Topic == "alicia/loadbalancer/requests");
        requests.Payload.GetProperty("services")[0].GetProperty("service_name").GetString().Should().Be("tts");

        await broker.PublishAsync(Unregister, Enveloped(new { service_name = "tts" }));
        await UntilAnsweredAsync(proxy, "tts", 503);
        await everything.UntilAsync("the change of state", m => m.Topic == Status && m.Payload.GetProperty("total_instances").GetInt32() == 0
            && m.Payload.GetProperty("total_services").GetInt32() == 1);
    }

    [NeedsPackageFact(Mosquitto.Package, Mosquitto.Clients)]
    public async Task Who_comes_later_sees_the_kept_state_the_announcement_and_answers_to_questions()
    {
        await using var broker = await Mosquitto.StartAsync();
        await using var early = await broker.ListenAsync("alicia/#");
        await using var proxy = await StartConnectedAsync(broker.Port);
        var own = await early.UntilAsync("the proxy's announcement", m => m.Topic == Register);
        own.Payload.GetProperty("service_name").GetString().Should().Be("load_balancer");
        own.Payload.GetProperty("port").GetInt32().Should().Be(proxy.ManagementAddress.Port);

        await using var late = await broker.ListenAsync("alicia/#");
        var kept = await late.UntilAsync("the kept state", m => m.Topic == Status && m.Retained);
        kept.Payload.GetProperty("status").GetString().Should().Be("online");

        await broker.PublishAsync("alicia/system/health/check", "{}");
        var answer = await late.UntilAsync("the answer", m => m.Topic == "alicia/system/health/load_balancer");
        answer.Payload.EnumerateObject().Select(p => p.Name).Should().Equal("service_name", "status", "uptime", "messages_processed", "errors", "timestamp");
        answer.Payload.GetProperty("status").GetString().Should().Be("healthy");
        (await proxy.Registry.GetJsonAsync("/services")).GetProperty("services").EnumerateObject().Should().BeEmpty("the proxy does not proxy itself");
    }

    [NeedsPackageFact(Mosquitto.Package, Mosquitto.Clients)]
    public async Task Commands_take_effect_and_are_answered()
    {
        await using var broker = await Mosquitto.StartAsync();
        await using var backend = await Backend.StartAsync("a");
        await using var proxy = await StartConnectedAsync(broker.Port);
        await using var results = await broker.ListenAsync("alicia/loadbalancer/command/result");
        await broker.PublishAsync(Register, Announcement("tts", backend));
        await UntilAnsweredAsync(proxy, "tts", 204);
        var id = $"127.0.0.1:{backend.Port}";

        async Task<BusMessage> OrderAsync(string topic, object payload)
        {
            var text = Enveloped(payload);
            var message = JsonElement.Parse(text).GetProperty("message_id").GetString();
            await broker.PublishAsync(topic, text);
            return await results.UntilAsync($"the result of {payload}", m => m.Payload.GetProperty("message_id").GetString() == message);
        }

        var set = await OrderAsync("alicia/loadbalancer/command", new { command = "set_algorithm", service_name = "tts", algorithm = "least_connections" });
        set.Payload.GetProperty("success").GetBoolean().Should().BeTrue();
        (await proxy.Registry.ServiceAsync("tts")).GetProperty("algorithm").GetString().Should().Be("least_connections");

        await OrderAsync("alicia/load_balancer/command", new { command = "update_weights", service_name = "tts", weights = new Dictionary<string, int> { [id] = 7 } });
        (await proxy.Registry.InstanceAsync("tts", id)).GetProperty("weight").GetInt32().Should().Be(7);

        var refused = await OrderAsync("alicia/loadbalancer/command", new { command = "drain", service_name = "tts", instance_id = "nobody" });
        refused.Payload.GetProperty("error").GetString().Should().Be("unknown_instance");
        await OrderAsync("alicia/loadbalancer/command", new { command = "drain", service_name = "tts", instance_id = id });
        await UntilAnsweredAsync(proxy, "tts", 503);
    }

    /// <summary>The audit log has every change by the bus, with its topic and who the sender says that it is; an instance that left by a last will too.</summary>
    [NeedsPackageFact(Mosquitto.Package, Mosquitto.Clients)]
    public async Task Changes_over_the_bus_are_in_the_audit_log()
    {
        await using var broker = await Mosquitto.StartAsync();
        await using var backend = await Backend.StartAsync("a");
        await using var proxy = await StartConnectedAsync(broker.Port, "--Registry:Store=memory");
        var id = $"127.0.0.1:{backend.Port}";
        async Task ToldAsync(string expected)
        {
            var line = (await proxy.LoggedAsync(l => l.Contains("Alicia.Proxy.Security.AuditLog", StringComparison.Ordinal) && l.Contains(expected, StringComparison.Ordinal)))[0];
            line.Should().EndWith(expected);
        }

        await broker.PublishAsync(Register, Announcement("tts", backend));
        await ToldAsync($"\"bus sender tts_service\" on \"{Register}\": done: \"instance {id} of tts registered at http://{id}\"");
        await broker.PublishAsync(Register, Announcement("tts", backend));
        await broker.PublishAsync("alicia/loadbalancer/command", Enveloped(new { command = "set_algorithm", service_name = "tts", algorithm = "random" }));
        await ToldAsync("\"bus sender tts_service\" on \"alicia/loadbalancer/command\": done: \"algorithm=random of tts\"");
        await broker.PublishAsync("alicia/loadbalancer/command", Enveloped(new { command = "drain", service_name = "tts", instance_id = "nobody" }));
        await broker.PublishAsync("alicia/load_balancer/command", Enveloped(new { command = "update_weights", service_name = "tts", weights = new Dictionary<string, int> { [id] = 7 } }));
        await ToldAsync($"on \"alicia/load_balancer/command\": done: \"weights of tts: {id}=7\"");
        await broker.PublishAsync(Unregister, Enveloped(new { service_name = "tts" }));
        await ToldAsync($"on \"{Unregister}\": done: \"instance {id} of tts removed\"");

        await using (var dying = await Backend.StartAsync("b"))
        {
            await broker.PublishAsync(Register, Announcement("stt", dying));
            await UntilAnsweredAsync(proxy, "stt", 204);
            id = $"127.0.0.1:{dying.Port}";
        }

        await broker.PublishAsync(Unregister, Enveloped(new { service_name = "stt", will = true }));
        await ToldAsync($"\"bus sender unnamed\" on \"{Unregister}\": done: \"instance {id} of stt removed: its last will came, and its probe failed\"");
        (await proxy.LoggedAsync(l => l.Contains("Alicia.Proxy.Security.AuditLog", StringComparison.Ordinal), 6)).Should().HaveCount(6, "what repeats itself or is refused changes nothing");
    }

    [NeedsPackageFact(Mosquitto.Package, Mosquitto.Clients)]
    public async Task A_broker_that_was_killed_and_comes_back_finds_the_state_said_again_and_is_heard_again()
    {
        await using var broker = await Mosquitto.StartAsync();
        await using var backend = await Backend.StartAsync("a");
        await using var proxy = await StartConnectedAsync(broker.Port);
        await broker.PublishAsync(Register, Announcement("tts", backend));
        await UntilAnsweredAsync(proxy, "tts", 204);
        var revision = (await proxy.Registry.ServiceAsync("tts")).GetProperty("revision").GetInt64();

        await broker.KillAsync();
        await UntilConnectedAsync(proxy, connected: false);
        var health = await proxy.Registry.GetJsonAsync("/health");
        health.GetProperty("status").GetString().Should().Be("degraded");
        health.GetProperty("reasons")[0].GetString().Should().Contain("bus");
        for (var i = 0; i < 20; i++)
            await AnsweredAsync(proxy, "tts");

        await broker.StartAgainAsync();
        await UntilConnectedAsync(proxy);
        await using var everything = await broker.ListenAsync("alicia/#");
        var kept = await everything.UntilAsync("the state, said again", m => m.Topic == Status && m.Payload.GetProperty("status").GetString() == "online");
        kept.Payload.GetProperty("total_instances").GetInt32().Should().Be(1);

        // The services announce themselves again, as they do when they reconnect: nothing changes. What is new is heard.
        await broker.PublishAsync(Register, Announcement("tts", backend));
        await broker.PublishAsync(Register, Announcement("stt", backend));
        await UntilAnsweredAsync(proxy, "stt", 204);
        (await proxy.Registry.ServiceAsync("tts")).GetProperty("revision").GetInt64().Should().Be(revision);
        (await proxy.Registry.ServiceAsync("tts")).GetProperty("instances").GetArrayLength().Should().Be(1);
    }

    [NeedsPackageFact(Mosquitto.Package, Mosquitto.Clients)]
    public async Task A_proxy_that_is_killed_leaves_its_last_will_and_one_that_stops_says_so_itself()
    {
        await using var broker = await Mosquitto.StartAsync();
        await using var backend = await Backend.StartAsync("a");
        await using var proxy = await StartConnectedAsync(broker.Port);
        await proxy.Registry.RegisterActiveAsync("tts", backend);
        await using var listener = await broker.ListenAsync(Status);
        await listener.UntilAsync("online", m => m.Payload.GetProperty("status").GetString() == "online");

        await proxy.StopAsync(kill: true);
        var will = await listener.UntilAsync("the last will", m => m.Payload.GetProperty("status").GetString() == "offline");
        will.Body.GetProperty("ttl").GetInt32().Should().Be(0);
        await using (var late = await broker.ListenAsync(Status))
            await late.UntilAsync("the kept will", m => m.Retained && m.Payload.GetProperty("status").GetString() == "offline");

        await using var again = await broker.ListenAsync("alicia/loadbalancer/+");
        await proxy.StartAgainAsync();
        await UntilConnectedAsync(proxy);
        await again.UntilAsync("online", m => m.Topic == Status && m.Payload.GetProperty("status").GetString() == "online");
        var line = await again.UntilAsync("the summary", m => m.Topic == "alicia/loadbalancer/health");
        (line.Payload.GetProperty("service_name").GetString(), line.Payload.GetProperty("instance_id").GetString(), line.Payload.GetProperty("reason").GetString())
            .Should().Be(("tts", "a", "summary"));
        (await proxy.StopAsync()).Should().Be(0);
        var goodbye = await again.UntilAsync("the goodbye", m => m.Topic == Status && !m.Retained && m.Payload.GetProperty("status").GetString() == "offline");
        goodbye.Payload.GetProperty("uptime").GetDouble().Should().BePositive();
    }
}

using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Harness;
using static Alicia.Proxy.IntegrationTests.Bus.BusProxy;

namespace Alicia.Proxy.IntegrationTests.Bus;

/// <summary>Nonsense on the bus: nothing changes, everything is counted, and the log has one line for each kind of it.</summary>
public sealed class BadInputTests
{
    [NeedsPackageFact(Mosquitto.Package, Mosquitto.Clients)]
    public async Task Nonsense_changes_nothing_is_counted_and_has_one_line_each_a_minute()
    {
        await using var broker = await Mosquitto.StartAsync();
        await using var backend = await Backend.StartAsync("a");
        // Kept by the broker, and so handed over when the proxy subscribes.
        await broker.PublishAsync("alicia/system/discovery/unregister", "retained garbage", "-r");
        await broker.PublishAsync("alicia/load_balancer/command", Enveloped(new { command = "drain", service_name = "tts", instance_id = "one" }, ttl: 0), "-r");
        await using var proxy = await StartConnectedAsync(broker.Port);
        await using var health = await broker.ListenAsync("alicia/system/health/load_balancer");
        await proxy.Registry.RegisterActiveAsync("tts", backend, "one");
        await UntilErrorsAsync(broker, health, 2);
        var before = await StateAsync(proxy);

        (string Reason, string Topic, string Text)[] nonsense =
        [
            ("bad_json", Register, "{ \"service_name\": "),
            ("bad_field", Register, Enveloped(new { service_name = 7, port = "many" })),
            ("no_address", Register, Enveloped(new { service_name = "unheard_of" })),
            ("expired", Unregister, Enveloped(new { service_name = "tts", instance_id = "one" }, ttl: 60, age: 120)),
            ("max_hops", Unregister, Enveloped(new { service_name = "tts", instance_id = "one" }, hops: 11)),
            ("unknown_service", Unregister, Enveloped(new { service_name = "nobody" })),
            ("unknown_instance", Unregister, Enveloped(new { service_name = "tts", instance_id = "two" })),
            ("oversized", Register, Enveloped(new { service_name = "big", host = "127.0.0.1", port = 1, padding = new string('x', 1024 * 1024) })),
            ("unknown_command", "alicia/loadbalancer/command", Enveloped(new { command = "explode", service_name = "tts" })),
            ("unknown_service", "alicia/system/health/nobody", Enveloped(new { service_name = "nobody", status = "unhealthy" })),
        ];
        const int Times = 3;
        for (var i = 0; i < Times; i++)
        {
            foreach (var (_, topic, text) in nonsense)
                await broker.PublishAsync(topic, text);
        }

        // A device is nobody's fault: no error, no line.
        await broker.PublishAsync(Register, Enveloped(new { device_id = "lamp-1", device_type = "light" }));
        var answer = await UntilErrorsAsync(broker, health, 2 + (Times * nonsense.Length));

        answer.GetProperty("errors").GetInt64().Should().Be(2 + (Times * nonsense.Length));
        (await StateAsync(proxy)).Should().Be(before);
        await AnsweredAsync(proxy, "tts");
        await proxy.LoggedAsync(line => line.Contains("has no effect", StringComparison.Ordinal), nonsense.Length + 2);
        foreach (var (reason, topic, _) in nonsense)
            proxy.Process.Errors.Where(line => line.Contains($"on {topic} ", StringComparison.Ordinal) && line.Contains($"({reason})", StringComparison.Ordinal)).Should().ContainSingle(reason);
        proxy.Process.Errors.Should().ContainSingle(line => line.Contains("on alicia/system/discovery/unregister ", StringComparison.Ordinal) && line.Contains("(bad_json)", StringComparison.Ordinal));
        proxy.Process.Errors.Should().ContainSingle(line => line.Contains("(retained)", StringComparison.Ordinal));
        proxy.Process.Errors.Count(line => line.Contains("has no effect", StringComparison.Ordinal)).Should().Be(nonsense.Length + 2);
        proxy.Process.Errors.Should().NotContain(line => line.Contains(" ERR ", StringComparison.Ordinal));
    }

    /// <summary>Services and their instances without what moves by itself.</summary>
    private static async Task<string> StateAsync(ProxyProcess proxy)
    {
        var services = (await proxy.Registry.GetJsonAsync("/services")).GetProperty("services");
        return string.Join('\n', services.EnumerateObject().Select(s => $"{s.Name} {s.Value.GetProperty("revision")} {s.Value.GetProperty("algorithm")} "
            + string.Join(' ', s.Value.GetProperty("instances").EnumerateArray().Select(InstanceText))));
    }

    private static string InstanceText(JsonElement instance) =>
        $"{instance.GetProperty("instance_id")} {instance.GetProperty("host")}:{instance.GetProperty("port")} {instance.GetProperty("weight")} {instance.GetProperty("state")}";
}

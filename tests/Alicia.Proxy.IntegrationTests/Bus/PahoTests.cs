using System.Globalization;
using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Harness;
using static Alicia.Proxy.IntegrationTests.Bus.BusProxy;

namespace Alicia.Proxy.IntegrationTests.Bus;

/// <summary>Services by another library than the proxy's, doing what Alicia's do: connect with a will, announce, report health, go, die.</summary>
public sealed class PahoTests
{
    private const string Paho = "python3-paho-mqtt";

    [NeedsPackageFact(Mosquitto.Package, Mosquitto.Clients, "python3", Paho)]
    public async Task A_stock_service_comes_reports_goes_and_dies()
    {
        await using var broker = await Mosquitto.StartAsync();
        await using var backend = await Backend.StartAsync("a");
        await using var proxy = await StartConnectedAsync(broker.Port, $"--Mqtt:Addresses:tts_service=http://127.0.0.1:{backend.Port}", "--Defaults:Ttl=01:00:00");
        await using var unregistered = await broker.ListenAsync(Unregister);
        var id = $"127.0.0.1:{backend.Port}";

        await using (var service = await StartServiceAsync(broker))
        {
            await UntilAnsweredAsync(proxy, "tts_service", 204);
            (await proxy.Registry.InstanceAsync("tts_service", id)).GetProperty("source").GetString().Should().Be("mqtt");

            // Good news renews the lease; bad news has it probed, and the probe finds it well.
            var expires = await ExpiresAsync(proxy, id);
            await OrderAsync(service, "healthy");
            await Eventually.Until("the lease is renewed", async () => await ExpiresAsync(proxy, id) > expires);
            await OrderAsync(service, "unhealthy");
            await proxy.LoggedAsync(line => line.Contains("probed at once: mqtt_unhealthy", StringComparison.Ordinal));
            await UntilAnsweredAsync(proxy, "tts_service", 204);

            await OrderAsync(service, "bye");
            await UntilAnsweredAsync(proxy, "tts_service", 503);
        }

        await using (var service = await StartServiceAsync(broker))
        {
            await UntilAnsweredAsync(proxy, "tts_service", 204);
            service.Kill();
            await service.WaitForExitAsync();
            await unregistered.UntilAsync("the last will", m => m.Payload.TryGetProperty("will", out var will) && will.GetBoolean());
            await proxy.LoggedAsync(line => line.Contains("probed at once: mqtt_will", StringComparison.Ordinal));
            // Its HTTP side lives: a lost connection to the broker is a suspicion, and the probe clears it.
            await UntilAnsweredAsync(proxy, "tts_service", 204);
            (await proxy.Registry.InstanceAsync("tts_service", id)).GetProperty("state").GetString().Should().Be("active");
        }

        proxy.Process.Errors.Should().NotContain(line => line.Contains("has no effect", StringComparison.Ordinal));
    }

    [NeedsPackageFact(Mosquitto.Package, Mosquitto.Clients, "python3", Paho)]
    public async Task The_example_service_that_deploy_ships_is_proxied_while_it_runs()
    {
        await using var broker = await Mosquitto.StartAsync();
        var port = Mosquitto.FreePort();
        await using var proxy = await StartConnectedAsync(broker.Port, $"--Mqtt:Addresses:tts_service=http://127.0.0.1:{port}");
        await using var service = ChildProcess.Start(PythonPeer.Interpreter, ["-u", Path.Combine(Programs.Root, "deploy", "example-service", "service.py")], environment:
            new Dictionary<string, string?>
            {
                ["SERVICE_NAME"] = "tts_service",
                ["PORT"] = port.ToString(CultureInfo.InvariantCulture),
                ["MQTT_BROKER"] = "127.0.0.1",
                ["MQTT_PORT"] = broker.Port.ToString(CultureInfo.InvariantCulture),
                ["MQTT_PASSWORD"] = null,
            });

        await Eventually.Until("it answers through the proxy", async () =>
        {
            using var answer = await proxy.Http.GetAsync("/tts_service/hello");
            return answer.IsSuccessStatusCode ? await answer.Content.ReadAsStringAsync() : $"{(int)answer.StatusCode}";
        }, text => text.StartsWith('{') && JsonElement.Parse(text).GetProperty("path").GetString() == "/hello");

        service.Terminate();
        (await service.WaitForExitAsync()).Should().Be(0, service.Transcript);
        await UntilAnsweredAsync(proxy, "tts_service", 503);
    }

    private static async Task<ChildProcess> StartServiceAsync(Mosquitto broker)
    {
        var service = PythonPeer.Start("bus_service.py", broker.Port.ToString(CultureInfo.InvariantCulture), "tts_service");
        try
        {
            await service.WaitForLineAsync(line => line == "announced");
            return service;
        }
        catch
        {
            await service.DisposeAsync();
            throw;
        }
    }

    private static async Task OrderAsync(ChildProcess service, string order)
    {
        await service.WriteLineAsync(order);
        await service.WaitForLineAsync(line => line == order);
    }

    private static async Task<DateTimeOffset> ExpiresAsync(ProxyProcess proxy, string id) =>
        (await proxy.Registry.InstanceAsync("tts_service", id)).GetProperty("lease").GetProperty("expires_at").GetDateTimeOffset();
}

using System.Globalization;
using Alicia.Proxy.IntegrationTests.Harness;
using Alicia.Proxy.IntegrationTests.Http2;
using static Alicia.Proxy.IntegrationTests.Bus.BusProxy;

namespace Alicia.Proxy.IntegrationTests.Bus;

/// <summary>The broker that deploy/ ships, with passwords and access list; and one behind TLS that wants certificates.</summary>
public sealed class SecuredBrokerTests
{
    [NeedsPackageFact(Mosquitto.Package, Mosquitto.Clients)]
    public async Task With_the_shipped_files_the_proxy_can_do_what_it_must_and_nothing_else()
    {
        await using var broker = await ShippedAsync();
        await using var backend = await Backend.StartAsync("a");
        await using var proxy = await StartConnectedAsync(broker.Port, "--Mqtt:Username=load_balancer", "--Mqtt:Password=of-load_balancer",
            $"--Mqtt:Addresses:tts_service=http://127.0.0.1:{backend.Port}");
        string[] service = ["-u", "tts_service", "-P", "of-tts_service"];
        string[] itself = ["-u", "load_balancer", "-P", "of-load_balancer"];
        await using var everything = await broker.ListenAsync("alicia/#");

        await everything.UntilAsync("the kept state", m => m.Topic == Status);
        await broker.PublishAsync(Register, Enveloped(new { service_name = "tts_service", status = "online" }), service);
        await UntilAnsweredAsync(proxy, "tts_service", 204);
        await everything.UntilAsync("the second's traffic", m => m.Topic == "alicia/loadbalancer/requests");
        await broker.PublishAsync("alicia/loadbalancer/command", Enveloped(new { command = "set_algorithm", service_name = "tts_service", algorithm = "random" }));
        await everything.UntilAsync("the result", m => m.Topic == "alicia/loadbalancer/command/result" && m.Payload.GetProperty("success").GetBoolean());
        await broker.PublishAsync("alicia/system/health/check", "{}");
        await everything.UntilAsync("the answer", m => m.Topic == "alicia/system/health/load_balancer");

        // With the proxy's name one can say nothing elsewhere, and hear nothing else.
        await using var nosy = await broker.ListenAsync("#", itself);
        await broker.PublishAsync("alicia/system/discovery/unregister", """{"service_name": "tts_service"}""", itself);
        await broker.PublishAsync("alicia/tts/speak", """{"from": "proxy"}""", itself);
        await broker.PublishAsync("alicia/loadbalancer/command", """{"command": "drain"}""", service);
        await broker.PublishAsync("alicia/system/health/check", "{}");
        await nosy.UntilAsync("what it may hear", m => m.Topic == "alicia/system/health/check");
        nosy.Heard.Select(m => m.Topic).Distinct().Should().BeSubsetOf(
            [Register, "alicia/system/discovery/unregister", "alicia/system/health/check", "alicia/system/health/tts_service", "alicia/system/health/load_balancer",
                "alicia/loadbalancer/command"]);
        everything.Heard.Should().NotContain(m => m.Topic == "alicia/tts/speak" || m.Topic == "alicia/system/discovery/unregister");
        everything.Heard.Count(m => m.Topic == "alicia/loadbalancer/command").Should().Be(1, "a service gives no orders");
        await AnsweredAsync(proxy, "tts_service");
        proxy.Process.Errors.Should().NotContain(line => line.Contains("does not let the proxy", StringComparison.Ordinal));
    }

    [NeedsPackageFact(Mosquitto.Package, Mosquitto.Clients)]
    public async Task A_wrong_password_is_told_of_without_being_told()
    {
        await using var broker = await ShippedAsync();
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions
        {
            Environment = new Dictionary<string, string?>
            {
                ["MQTT_BROKER"] = "127.0.0.1",
                ["MQTT_PORT"] = broker.Port.ToString(CultureInfo.InvariantCulture),
                ["MQTT_USERNAME"] = "load_balancer",
                ["MQTT_PASSWORD"] = "surely-wrong",
            },
        });

        await proxy.LoggedAsync(line => line.Contains("is away", StringComparison.Ordinal));
        proxy.Process.Transcript.Should().NotContain("surely-wrong");
    }

    [NeedsPackageFact(Mosquitto.Package, Mosquitto.Clients)]
    public async Task Over_TLS_both_sides_show_certificates()
    {
        using var authority = new TestAuthority();
        var (certificate, key) = authority.Issue("127.0.0.1");
        var (clientCertificate, clientKey) = authority.Issue("load_balancer");
        string[] tls = ["--cafile", authority.BundleFile, "--cert", clientCertificate, "--key", clientKey];
        await using var broker = await Mosquitto.StartAsync(
            (_, port) => $"""
                listener {port} 127.0.0.1
                allow_anonymous true
                cafile {authority.BundleFile}
                certfile {certificate}
                keyfile {key}
                require_certificate true
                """,
            tls);
        await using var backend = await Backend.StartAsync("a");
        await using (var proxy = await StartConnectedAsync(
            broker.Port, $"--Mqtt:Tls:CaFile={authority.BundleFile}", $"--Mqtt:Tls:CertificateFile={clientCertificate}", $"--Mqtt:Tls:KeyFile={clientKey}"))
        {
            await broker.PublishAsync(Register, Announcement("tts", backend));
            await UntilAnsweredAsync(proxy, "tts", 204);
        }

        await using var without = await StartAsync(broker.Port, $"--Mqtt:Tls:CaFile={authority.BundleFile}");
        await without.LoggedAsync(line => line.Contains("is away", StringComparison.Ordinal));
        using var stranger = new TestAuthority();
        await using var distrusting = await StartAsync(
            broker.Port, $"--Mqtt:Tls:CaFile={stranger.BundleFile}", $"--Mqtt:Tls:CertificateFile={clientCertificate}", $"--Mqtt:Tls:KeyFile={clientKey}");
        var line = (await distrusting.LoggedAsync(l => l.Contains("is away", StringComparison.Ordinal)))[0];
        line.Should().Contain("certificate");
    }

    /// <summary>The broker with deploy/mosquitto's own files; only port and paths are the test's. The tests' clients are the operator.</summary>
    private static async Task<Mosquitto> ShippedAsync()
    {
        var shipped = Path.Combine(Programs.Root, "deploy", "mosquitto");
        var text = await File.ReadAllTextAsync(Path.Combine(shipped, "mosquitto.conf"));
        text.Should().Contain("listener 1883").And.Contain("/mosquitto/config/passwords").And.Contain("/mosquitto/config/acl").And.Contain("/mosquitto/data/");
        var passwords = Directory.CreateTempSubdirectory("alicia-passwords-").FullName;
        var file = Path.Combine(passwords, "passwords");
        await File.WriteAllTextAsync(file, "");
        foreach (var user in new[] { "load_balancer", "operator", "tts_service", "stt_service" })
        {
            await using var tool = ChildProcess.Start("mosquitto_passwd", ["-b", file, user, "of-" + user]);
            (await tool.WaitForExitAsync()).Should().Be(0, tool.Transcript);
        }

        var hashes = await File.ReadAllTextAsync(file);
        Directory.Delete(passwords, recursive: true);
        return await Mosquitto.StartAsync(
            (directory, port) =>
            {
                File.WriteAllText(Path.Combine(directory, "passwords"), hashes);
                File.Copy(Path.Combine(shipped, "acl"), Path.Combine(directory, "acl"), overwrite: true);
                return text.Replace("listener 1883", string.Create(CultureInfo.InvariantCulture, $"listener {port} 127.0.0.1"), StringComparison.Ordinal)
                    .Replace("/mosquitto/config/", directory + "/", StringComparison.Ordinal)
                    .Replace("/mosquitto/data/", directory + "/", StringComparison.Ordinal);
            },
            "-u", "operator", "-P", "of-operator");
    }
}

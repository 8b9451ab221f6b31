using System.Globalization;
using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Bus;

/// <summary>A proxy on a broker, and what tests say to it in the words of Alicia's services.</summary>
internal static class BusProxy
{
    public const string Register = "alicia/system/discovery/register";
    public const string Unregister = "alicia/system/discovery/unregister";
    public const string Status = "alicia/loadbalancer/status";

    public static Task<ProxyProcess> StartAsync(int brokerPort, params string[] arguments) => ProxyProcess.StartAsync(Options(brokerPort, arguments));

    public static ProxyOptions Options(int brokerPort, params string[] arguments) => new()
    {
        Arguments = ["--Mqtt:Host=127.0.0.1", string.Create(CultureInfo.InvariantCulture, $"--Mqtt:Port={brokerPort}"), .. arguments],
    };

    /// <summary>Starts a proxy and waits until it hears the bus.</summary>
    public static async Task<ProxyProcess> StartConnectedAsync(int brokerPort, params string[] arguments)
    {
        var proxy = await StartAsync(brokerPort, arguments);
        try
        {
            await UntilConnectedAsync(proxy);
            return proxy;
        }
        catch
        {
            await proxy.DisposeAsync();
            throw;
        }
    }

    public static async Task UntilConnectedAsync(ProxyProcess proxy, bool connected = true)
    {
        try
        {
            await proxy.Registry.UntilAsync($"mqtt_connected is {connected}", "/health", health => health.GetProperty("mqtt_connected").GetBoolean() == connected);
        }
        catch (ConditionNotMetException late)
        {
            throw new ConditionNotMetException($"{late.Message}\n{proxy.Process.Transcript}", late);
        }
    }

    /// <summary>The stock envelope around a payload, said now.</summary>
    public static string Enveloped(object payload, double ttl = 300, double age = 0, int hops = 0) => JsonSerializer.Serialize(new
    {
        message_id = Guid.NewGuid().ToString(),
        timestamp = (TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds() / 1000.0) - age,
        source = "tts_service",
        destination = "broadcast",
        message_type = "event",
        priority = "normal",
        ttl,
        payload,
        routing = new { hops, max_hops = 10 },
    });

    /// <summary>The announcement of a backend, in the stock envelope.</summary>
    public static string Announcement(string service, Backend backend) =>
        Enveloped(new { service_name = service, status = "online", capabilities = new[] { "speech" }, version = "1.0.0", host = backend.Host, port = backend.Port });

    /// <summary>Waits until requests for the service have that status.</summary>
    public static Task UntilAnsweredAsync(ProxyProcess proxy, string service, int status) => Eventually.Until(
        $"{service} answers {status}",
        async () =>
        {
            using var answer = await proxy.Http.GetAsync($"/{service}/status/204");
            return (int)answer.StatusCode;
        },
        seen => seen == status);

    public static async Task AnsweredAsync(ProxyProcess proxy, string service)
    {
        using var answer = await proxy.Http.GetAsync($"/{service}/status/204");
        ((int)answer.StatusCode).Should().Be(204);
    }

    /// <summary>Asks over the bus how the proxy is, until the answer shows that it has heard at least so many messages without effect.</summary>
    public static async Task<JsonElement> UntilErrorsAsync(Mosquitto broker, BusListener health, long errors)
    {
        JsonElement last = default;
        await Eventually.Until($"{errors} errors", async () =>
        {
            await broker.PublishAsync("alicia/system/health/check", "{}");
            if (health.Heard.LastOrDefault(m => m.Topic.EndsWith("/load_balancer", StringComparison.Ordinal)) is { } answer)
                last = answer.Payload;
            return last.ValueKind == JsonValueKind.Object ? last.GetProperty("errors").GetInt64() : -1;
        }, seen => seen >= errors);
        return last;
    }
}

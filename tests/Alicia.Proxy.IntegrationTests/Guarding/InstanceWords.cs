using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Guarding;

/// <summary>What instance documents say of health and circuit, in one word each.</summary>
internal static class InstanceWords
{
    public static string State(this JsonElement instance) => instance.GetProperty("state").GetString()!;

    public static string Health(this JsonElement instance) => instance.GetProperty("health_status").GetString()!;

    public static string Circuit(this JsonElement instance) => instance.GetProperty("circuit").GetProperty("state").GetString()!;

    public static string? Reason(this JsonElement instance) => instance.GetProperty("circuit").GetProperty("reason").GetString();

    public static int Failures(this JsonElement instance) => instance.GetProperty("circuit").GetProperty("consecutive_failures").GetInt32();

    public static DateTimeOffset? OpenedAt(this JsonElement instance) => Time(instance, "opened_at");

    public static DateTimeOffset? RetryAt(this JsonElement instance) => Time(instance, "retry_at");

    /// <summary>The instance of that id within a service's document.</summary>
    public static JsonElement Instance(this JsonElement service, string id) =>
        service.GetProperty("instances").EnumerateArray().Single(i => i.GetProperty("instance_id").GetString() == id);

    public static IReadOnlyList<string> Ids(this JsonElement service) =>
        [.. service.GetProperty("instances").EnumerateArray().Select(i => i.GetProperty("instance_id").GetString()!)];

    /// <summary>Polls an instance's document.</summary>
    public static Task<JsonElement> UntilInstanceAsync(
        this RegistryApi registry, string service, string id, string condition, Func<JsonElement, bool> holds, TimeSpan? deadline = null) =>
        registry.UntilAsync($"{service}/{id}: {condition}", $"/services/{service}/{id}", holds, deadline);

    public static async Task<JsonElement> CircuitAsync(this RegistryApi registry, string service, string id, string state)
    {
        using var answer = await registry.SetCircuitAsync(service, id, state);
        return await RegistryApi.DocumentOfAsync(answer);
    }

    private static DateTimeOffset? Time(JsonElement instance, string field) =>
        instance.GetProperty("circuit").GetProperty(field) is { ValueKind: JsonValueKind.String } time ? time.GetDateTimeOffset() : null;
}

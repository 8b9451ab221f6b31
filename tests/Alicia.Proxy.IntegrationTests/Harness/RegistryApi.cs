using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Alicia.Proxy.IntegrationTests.Harness;

/// <summary>The management listener's REST calls. Documents are given as anonymous objects whose members have the names of the
/// wire.</summary>
internal sealed class RegistryApi(HttpClient http)
{
    /// <param name="extra">Further fields of the registration; they win over the given ones.</param>
    /// <param name="query">Such as <c>wait=10</c>.</param>
    public Task<HttpResponseMessage> RegisterAsync(
        string service, string host, int port, string? id = null, object? extra = null, string? query = null)
    {
        var document = new JsonObject { ["host"] = host, ["port"] = port };
        if (id is not null)
            document["instance_id"] = id;
        foreach (var (field, value) in JsonSerializer.SerializeToNode(extra ?? new { })!.AsObject().ToArray())
            document[field] = value?.DeepClone();
        return http.PostAsJsonAsync($"/services/{service}/register{(query is null ? "" : "?" + query)}", document);
    }

    /// <summary>Registers <paramref name="backend"/>, with the protocol that it speaks; its name is the id unless another is
    /// given.</summary>
    public Task<HttpResponseMessage> RegisterAsync(string service, Backend backend, string? id = null, object? extra = null, string? query = null)
    {
        var fields = JsonSerializer.SerializeToNode(extra ?? new { })!.AsObject();
        if (backend.H2c && !fields.ContainsKey("protocol"))
            fields["protocol"] = "h2c";
        return RegisterAsync(service, backend.Host, backend.Port, id ?? backend.Name, fields, query);
    }

    /// <summary>Registers and waits until the instance takes requests.</summary>
    /// <returns>The instance document.</returns>
    /// <exception cref="InvalidOperationException">It was refused or did not become active; the message has the answer.</exception>
    public async Task<JsonElement> RegisterActiveAsync(string service, Backend backend, string? id = null, object? extra = null)
    {
        using var answer = await RegisterAsync(service, backend, id, extra, "wait=10");
        var document = await DocumentOfAsync(answer);
        return document.GetProperty("state").GetString() == "active"
            ? document
            : throw new InvalidOperationException($"{service}/{id ?? backend.Name} is not active: {document}");
    }

    public Task<HttpResponseMessage> HeartbeatAsync(string service, string id) => http.PostAsync($"/services/{service}/{id}/heartbeat", null);

    /// <param name="wait">Seconds to hold the reply until the instance is empty.</param>
    public Task<HttpResponseMessage> DeleteInstanceAsync(string service, string id, int? wait = null) =>
        http.DeleteAsync($"/services/{service}/{id}{(wait is null ? "" : $"?wait={wait}")}");

    public Task<HttpResponseMessage> PatchInstanceAsync(string service, string id, object patch) => PatchAsync($"/services/{service}/{id}", patch);

    public Task<HttpResponseMessage> SetCircuitAsync(string service, string id, string state) =>
        http.PostAsJsonAsync($"/services/{service}/{id}/circuit", new { state });

    public Task<HttpResponseMessage> PutServiceAsync(string service, object document) => http.PutAsJsonAsync($"/services/{service}", document);

    public Task<HttpResponseMessage> PatchServiceAsync(string service, object patch) => PatchAsync($"/services/{service}", patch);

    public Task<HttpResponseMessage> DeleteServiceAsync(string service) => http.DeleteAsync($"/services/{service}");

    /// <summary>One pick, as the proxy would make it now.</summary>
    public Task<HttpResponseMessage> BalanceAsync(string service) => http.PostAsync($"/services/{service}/balance", null);

    public Task<HttpResponseMessage> PatchAsync(string path, object patch) => http.PatchAsJsonAsync(path, patch);

    public Task<HttpResponseMessage> GetAsync(string path) => http.GetAsync(path);

    /// <exception cref="InvalidOperationException">Not a success; the message has the answer.</exception>
    public async Task<JsonElement> GetJsonAsync(string path)
    {
        using var answer = await http.GetAsync(path);
        return await DocumentOfAsync(answer);
    }

    public Task<JsonElement> InstanceAsync(string service, string id) => GetJsonAsync($"/services/{service}/{id}");

    public Task<JsonElement> ServiceAsync(string service) => GetJsonAsync($"/services/{service}");

    /// <summary>Polls a document until <paramref name="holds"/>.</summary>
    /// <exception cref="ConditionNotMetException">The deadline passed; the message shows the last document.</exception>
    public Task<JsonElement> UntilAsync(string condition, string path, Func<JsonElement, bool> holds, TimeSpan? deadline = null) =>
        Eventually.Until(condition, () => GetJsonAsync(path), holds, deadline);

    /// <summary>The JSON body of a successful answer.</summary>
    /// <exception cref="InvalidOperationException">Not a success; the message has the answer.</exception>
    public static async Task<JsonElement> DocumentOfAsync(HttpResponseMessage answer)
    {
        var text = await answer.Content.ReadAsStringAsync();
        return answer.IsSuccessStatusCode
            ? JsonElement.Parse(text)
            : throw new InvalidOperationException(
                $"{answer.RequestMessage?.Method} {answer.RequestMessage?.RequestUri} → {(int)answer.StatusCode}: {text}");
    }
}

using System.Globalization;
using System.Net.Http.Headers;
using System.Net.ServerSentEvents;
using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Api;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Events;

/// <summary>One open <c>GET /events</c>, read event by event with the platform's own parser.</summary>
internal sealed class EventReader : IAsyncDisposable
{
    private readonly HttpResponseMessage _answer;
    private readonly IAsyncEnumerator<SseItem<string>> _events;

    private EventReader(HttpResponseMessage answer, Stream body)
    {
        _answer = answer;
        _events = SseParser.Create(body).EnumerateAsync().GetAsyncEnumerator();
    }

    public HttpResponseMessage Answer => _answer;

    /// <param name="query">With its question mark.</param>
    /// <param name="after">Sent as <c>Last-Event-ID</c>.</param>
    /// <param name="key">API key.</param>
    public static async Task<EventReader> OpenAsync(HttpClient api, string query = "", long? after = null, string? key = null) =>
        await OfAsync(await SendAsync(api, query, after?.ToString(CultureInfo.InvariantCulture), key));

    /// <summary>Reads an answer, which must be a stream of events.</summary>
    public static async Task<EventReader> OfAsync(HttpResponseMessage answer)
    {
        ((int)answer.StatusCode).Should().Be(200);
        answer.Content.Headers.ContentType!.MediaType.Should().Be("text/event-stream");
        return new EventReader(answer, await answer.Content.ReadAsStreamAsync());
    }

    /// <summary>The answer as it is, its body unread.</summary>
    public static Task<HttpResponseMessage> SendAsync(HttpClient api, string query = "", string? after = null, string? key = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, "/events" + query);
        if (after is not null)
            request.Headers.TryAddWithoutValidation("Last-Event-ID", after);
        if (key is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return api.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
    }

    /// <summary>The next event's data, held against its id and type on the wire; null at an orderly end.</summary>
    public async Task<JsonElement?> NextAsync()
    {
        if (!await _events.MoveNextAsync().AsTask().WaitAsync(Deadlines.Wait))
            return null;
        var data = JsonElement.Parse(_events.Current.Data);
        _events.Current.EventType.Should().Be(data.Text("type"));
        _events.Current.EventId.Should().Be(data.GetProperty("id").GetInt64().ToString(CultureInfo.InvariantCulture));
        return data;
    }

    public async Task<IReadOnlyList<JsonElement>> TakeAsync(int count)
    {
        var events = new List<JsonElement>();
        while (events.Count < count)
            events.Add(await NextAsync() ?? throw new InvalidOperationException($"the stream ended after {events.Count} events"));
        return events;
    }

    public async ValueTask DisposeAsync()
    {
        _answer.Dispose();
        try
        {
            await _events.DisposeAsync();
        }
        catch (NotSupportedException)
        {
            // A read is pending: the test gave up on it.
        }
    }
}

/// <summary>Shows events in one line, for comparison.</summary>
internal static class EventLines
{
    public static string Line(this JsonElement happened)
    {
        string Optional(string field, string before) => happened.TryGetProperty(field, out var value) ? before + value.GetString() : "";
        return happened.Text("type") + Optional("service_name", " ") + Optional("instance_id", "/") + Optional("previous", " ") + Optional("current", " -> ")
            + Optional("reason", ": ");
    }

    public static long Id(this JsonElement happened) => happened.GetProperty("id").GetInt64();
}

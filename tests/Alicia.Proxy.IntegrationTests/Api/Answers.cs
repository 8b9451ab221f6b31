using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace Alicia.Proxy.IntegrationTests.Api;

/// <summary>Reads management's answers and makes requests that are given as text.</summary>
internal static class Answers
{
    /// <summary>The problem document of an answer, held against its own status.</summary>
    public static async Task<JsonElement> ProblemAsync(this Task<HttpResponseMessage> pending, int status)
    {
        using var answer = await pending;
        var text = await answer.Content.ReadAsStringAsync();
        ((int)answer.StatusCode).Should().Be(status, "the answer was {0}", text);
        answer.Content.Headers.ContentType?.MediaType.Should().Be("application/problem+json");
        var document = JsonElement.Parse(text);
        document.GetProperty("status").GetInt32().Should().Be(status);
        document.GetProperty("title").GetString().Should().NotBeNullOrEmpty();
        document.GetProperty("detail").GetString().Should().NotBeNullOrEmpty();
        return document;
    }

    /// <summary>The document of an answer that must have this status.</summary>
    public static async Task<JsonElement> DocumentAsync(this Task<HttpResponseMessage> pending, int status)
    {
        using var answer = await pending;
        var text = await answer.Content.ReadAsStringAsync();
        ((int)answer.StatusCode).Should().Be(status, "the answer was {0}", text);
        answer.Content.Headers.ContentType?.MediaType.Should().Be("application/json");
        return JsonElement.Parse(text);
    }

    /// <summary>Only the status; the body is read and dropped.</summary>
    public static async Task<int> StatusAsync(this Task<HttpResponseMessage> pending)
    {
        using var answer = await pending;
        return (int)answer.StatusCode;
    }

    /// <summary>Names of the fields at fault.</summary>
    public static string[] Faults(this JsonElement problem) => [.. problem.GetProperty("errors").EnumerateObject().Select(e => e.Name)];

    public static string Text(this JsonElement document, string field) => document.GetProperty(field).GetString()!;

    public static int Number(this JsonElement document, string field) => document.GetProperty(field).GetInt32();

    /// <summary>A request with a JSON body as it is written, and fields such as <c>If-Match: "3"</c>.</summary>
    public static Task<HttpResponseMessage> SendJsonAsync(
        this HttpClient client, string method, string path, string? json, params (string Name, string Value)[] fields)
    {
        var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (json is not null)
            request.Content = new ByteArrayContent(Encoding.UTF8.GetBytes(json)) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
        foreach (var (name, value) in fields)
            request.Headers.TryAddWithoutValidation(name, value).Should().BeTrue();
        return client.SendAsync(request);
    }
}

using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Routing;

/// <summary>How a request was routed: the proxy's status, or which backend got which target.</summary>
/// <param name="Status">Of the answer.</param>
/// <param name="Backend">Null: the proxy answered itself.</param>
/// <param name="Target">As the backend saw it.</param>
/// <param name="Prefix">Values of <c>X-Forwarded-Prefix</c> as the backend saw them.</param>
/// <param name="Answer">The whole answer.</param>
internal sealed record Routed(int Status, string? Backend, string? Target, IReadOnlyList<string> Prefix, RawAnswer Answer)
{
    /// <summary>The proxy's problem document.</summary>
    public JsonElement Problem => JsonElement.Parse(Answer.Body);

    public (string? Backend, string? Target) Where => (Backend, Target);
}

/// <summary>Requests whose target and Host go out exactly as a test writes them.</summary>
internal static class RawRequests
{
    public static async Task<Routed> GetRawAsync(this ProxyProcess proxy, string target, string host = "localhost")
    {
        var answer = await RawHttp.SendAsync(proxy.Address, $"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        if (answer.Values("X-Backend") is not [var backend])
            return new Routed(answer.Status, null, null, [], answer);
        var echo = JsonElement.Parse(answer.Body);
        string[] prefix = [.. echo.GetProperty("headers").EnumerateArray()
            .Where(field => field[0].GetString()!.Equals("X-Forwarded-Prefix", StringComparison.OrdinalIgnoreCase))
            .Select(field => field[1].GetString()!)];
        return new Routed(answer.Status, backend, echo.GetProperty("raw_target").GetString(), prefix, answer);
    }

    /// <summary>It is the proxy's own answer: problem+json with this status and error type.</summary>
    public static void ShouldBeRefused(this Routed routed, int status, string type)
    {
        routed.Backend.Should().BeNull();
        routed.Status.Should().Be(status, routed.Answer.Text);
        routed.Answer.Values("Content-Type").Should().Equal("application/problem+json");
        routed.Answer.Values("Proxy-Status").Should().Equal($"alicia; error={type}");
        routed.Problem.GetProperty("status").GetInt32().Should().Be(status);
    }
}

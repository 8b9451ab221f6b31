using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Api;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Security;

/// <summary>Every change leaves a line: who, from where, what, and what came of it; and no stranger writes lines of his own.</summary>
public sealed class AuditTests
{
    private const string Keys = """
        "Management": { "ApiKeys": { "ops": { "Key": "ops-0123456789abcdef", "Scopes": [ "read", "register", "admin" ] }, "reader": { "Key": "reader-0123456789abcdef", "Scopes": [ "read" ] } } }
        """;

    [Fact]
    public async Task Every_change_is_told_with_who_made_it()
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { ConfigJson = $$"""{ "Registry": { "Store": "memory" }, {{Keys}} }""" });
        var ops = ("Authorization", "Bearer ops-0123456789abcdef");

        await proxy.Api.SendJsonAsync("PUT", "/services/tts", """{"algorithm":"random"}""", ops).DocumentAsync(201);
        await proxy.Api.SendJsonAsync("PATCH", "/services/tts", """{"max_connections":7,"algorithm":null}""", ops).DocumentAsync(200);
        for (var i = 0; i < 3; i++)
            await proxy.Api.SendJsonAsync("POST", "/services/tts/register", """{"instance_id":"a","host":"127.0.0.1","port":9,"metadata":{"token":"hush-hush"}}""", ops).StatusAsync();
        await proxy.Api.SendJsonAsync("POST", "/services/tts/a/heartbeat", null, ops).StatusAsync();
        await proxy.Api.SendJsonAsync("PATCH", "/services/tts/a", """{"weight":3,"metadata":{"token":"hush-hush-2"}}""", ops).DocumentAsync(200);
        await proxy.Api.SendJsonAsync("POST", "/services/tts/a/circuit", """{"state":"open"}""", ops).DocumentAsync(200);
        await proxy.Api.SendJsonAsync("PATCH", "/services/tts/a", """{"weight":0}""", ops).ProblemAsync(400);
        await proxy.Api.SendJsonAsync("DELETE", "/services/tts/a", null, ("Authorization", "Bearer reader-0123456789abcdef")).ProblemAsync(403);
        await proxy.Api.SendJsonAsync("DELETE", "/services/tts/a", null, ("Authorization", "Bearer wrong-0123456789abcdef")).ProblemAsync(401);
        await proxy.Api.SendJsonAsync("DELETE", "/services/tts/a", null, ops).DocumentAsync(200);
        await proxy.Api.SendJsonAsync("DELETE", "/services/tts", null, ops).DocumentAsync(200);
        await proxy.Api.SendJsonAsync("GET", "/services", null, ops).DocumentAsync(200);
        await proxy.Api.SendJsonAsync("DELETE", "/services/%22%0Afrom%20127.0.0.1%E2%80%A8", null, ops).ProblemAsync(404);
        await proxy.WriteConfigAsync($$"""{ "Registry": { "Store": "memory" }, "Routing": { "Domain": "other.local" }, {{Keys.Replace("ops-0123456789abcdef", "new-0123456789abcdef", StringComparison.Ordinal)}} }""");
        await Eventually.Until("the reload is told", () => Lines(proxy).Any(l => l.Contains("\"configuration\"", StringComparison.Ordinal)));

        string[] told = [.. Lines(proxy).Select(l => l[(l.IndexOf("AuditLog: ", StringComparison.Ordinal) + 10)..]).Select(l => l.Contains(", request ", StringComparison.Ordinal) ? l[..l.LastIndexOf(", request ", StringComparison.Ordinal)] : l)];
        told.Should().Equal(
            "\"key ops\" from 127.0.0.1: \"PUT /services/tts\" done: \"created: algorithm=random\"",
            "\"key ops\" from 127.0.0.1: \"PATCH /services/tts\" done: \"max_connections=7, algorithm by default\"",
            "\"key ops\" from 127.0.0.1: \"POST /services/tts/register\" done: \"instance a registered at http://127.0.0.1:9\"",
            "\"key ops\" from 127.0.0.1: \"PATCH /services/tts/a\" done: \"weight=3, metadata token\"",
            "\"key ops\" from 127.0.0.1: \"POST /services/tts/a/circuit\" done: \"circuit open by hand\"",
            "\"key ops\" from 127.0.0.1: \"PATCH /services/tts/a\" refused with 400: \"\"",
            "\"key reader\" from 127.0.0.1: \"DELETE /services/tts/a\" refused with 403: \"\"",
            "\"key ops\" from 127.0.0.1: \"DELETE /services/tts/a\" done: \"instance removed, it was at http://127.0.0.1:9\"",
            "\"key ops\" from 127.0.0.1: \"DELETE /services/tts\" done: \"service removed with 0 instances\"",
            "\"key ops\" from 127.0.0.1: \"DELETE /services/'?from 127.0.0.1?\" refused with 404: \"\"",
            "\"configuration\": 2 keys done: \"Management:ApiKeys:ops:Key, Routing:Domain\"");
        proxy.Process.Transcript.Should().NotContain("hush").And.NotContain("0123456789abcdef");
    }

    [Fact]
    public async Task Without_keys_the_line_says_so_and_as_json_it_has_the_parts_in_fields()
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Logging:Format=json", "--Registry:Store=memory"] });
        await proxy.Api.SendJsonAsync("PUT", "/services/tts", "{}", ("X-Request-Id", "walk-1")).DocumentAsync(201);

        await Eventually.Until("the change is told", () => proxy.Process.Errors.Any(l => l.Contains("Alicia.Proxy.Security.AuditLog", StringComparison.Ordinal)));

        var line = JsonElement.Parse(proxy.Process.Errors.Single(l => l.Contains("Alicia.Proxy.Security.AuditLog", StringComparison.Ordinal)));
        (line.Text("Actor"), line.Text("Action"), line.Text("Result"), line.Text("Change")).Should().Be(("anybody on this machine", "PUT /services/tts", "done", "created: nothing given"));
        line.GetProperty("Address").ToString().Should().Be("127.0.0.1");
        line.Text("RequestId").Should().NotBeEmpty();
    }

    [Fact]
    public async Task Signing_in_and_out_and_what_is_done_on_the_page_are_told()
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { ConfigJson = $$"""{ "Registry": { "Store": "memory" }, {{Keys}} }""" });
        var origin = ("Origin", proxy.ManagementAddress.GetLeftPart(UriPartial.Authority));
        string cookie;
        using (var answer = await proxy.Api.SendJsonAsync("POST", "/session", """{"key":"ops-0123456789abcdef"}""", origin))
            cookie = answer.EnsureSuccessStatusCode().Headers.GetValues("Set-Cookie").Single().Split(';')[0];
        await proxy.Api.SendJsonAsync("PUT", "/services/tts", "{}", origin, ("Cookie", cookie)).DocumentAsync(201);
        await proxy.Api.SendJsonAsync("DELETE", "/session", null, origin, ("Cookie", cookie)).StatusAsync();

        await Eventually.Until("three lines are there", () => Lines(proxy).Length == 3);
        Lines(proxy)[0].Should().Contain("\"key ops\" from 127.0.0.1: \"POST /session\" done: \"signed in to the status page\"");
        Lines(proxy)[1].Should().Contain("\"status page with key ops\" from 127.0.0.1: \"PUT /services/tts\" done");
        Lines(proxy)[2].Should().Contain("\"status page with key ops\" from 127.0.0.1: \"DELETE /session\" done: \"signed out of the status page\"");
        proxy.Process.Transcript.Should().NotContain(cookie.Split('=')[1]);
    }

    private static string[] Lines(ProxyProcess proxy) => [.. proxy.Process.Errors.Where(l => l.Contains(" Alicia.Proxy.Security.AuditLog: ", StringComparison.Ordinal))];
}

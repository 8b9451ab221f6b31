using Alicia.Proxy.IntegrationTests.Api;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Security;

/// <summary>Fields that a service sets, adds and takes away, on requests and on answers; and that nobody is shown their values.</summary>
[Trait("Depends", "forwarder")]
public sealed class FieldRuleTests
{
    private const string Rules = """
        "Fields": { "Request": { "Set": { "Authorization": "Bearer hush-hush", "X-Env": "prod" }, "Add": { "X-Tag": "two, three" }, "Remove": [ "X-Secret", "Cookie" ] },
                    "Response": { "Set": { "Server": "hidden", "Strict-Transport-Security": "max-age=1" }, "Add": { "X-Answer": "two" }, "Remove": "X-Powered-By" } }
        """;

    [Theory]
    [InlineData("yarp")]
    [InlineData("direct")]
    public async Task Fields_are_set_added_and_taken_away_in_both_directions(string forwarding)
    {
        await using var upstream = RawUpstream.Start("HTTP/1.1 200 OK\r\nServer: loud/1.0\r\nServer: louder\r\nX-Powered-By: x\r\nX-Answer: one\r\nX-Kept: yes\r\nContent-Length: 0\r\n\r\n");
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions
        {
            ConfigJson = $$"""{ "Registry": { "Store": "memory" }, "Services": { "tts": { {{Rules}}, "Instances": [ { "Host": "127.0.0.1", "Port": {{upstream.Port}} } ] } } }""",
            Arguments = ["--Forwarding:Http1=" + forwarding],
        });

        var answer = await RawHttp.SendAsync(proxy.Address,
            "GET /tts/ HTTP/1.1\r\nHost: x\r\nAuthorization: Basic mine\r\nauthorization: again\r\nX-TAG: one\r\nX-Secret: s\r\nCookie: c=1\r\nX-Kept: yes\r\nConnection: close\r\n\r\n");

        answer.Status.Should().Be(200);
        answer.Values("Server").Should().Equal("hidden");
        answer.Values("Strict-Transport-Security").Should().Equal("max-age=1");
        answer.Values("X-Answer").Should().Equal("one", "two");
        answer.Values("X-Powered-By").Should().BeEmpty();
        answer.Values("X-Kept").Should().Equal("yes");
        var seen = new RawAnswer(upstream.Heads.Single(), RawEnd.Found);
        seen.Values("Authorization").Should().Equal("Bearer hush-hush");
        seen.Values("X-Env").Should().Equal("prod");
        string.Join('|', seen.Values("X-Tag")).Replace(", ", "|", StringComparison.Ordinal).Should().Be("one|two|three");
        seen.Values("X-Secret").Should().BeEmpty();
        seen.Values("Cookie").Should().BeEmpty();
        seen.Values("X-Kept").Should().Equal("yes");

        (await proxy.Registry.ServiceAsync("tts")).GetRawText().Should().NotContain("hush").And.Contain("\"Authorization\":\"***\"");
    }

    [Fact]
    public async Task Over_REST_the_same_rules_hold_survive_a_restart_and_are_shown_to_nobody()
    {
        await using var upstream = RawUpstream.Start("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions { Arguments = ["--Logging:LogLevel:Default=Trace"] });
        using (var registered = await proxy.Registry.RegisterAsync("tts", upstream.Host, upstream.Port))
            registered.EnsureSuccessStatusCode();

        var shown = await proxy.Api.SendJsonAsync("PATCH", "/services/tts", """{"fields":{"request":{"set":{"X-Key":"hush-hush"},"remove":["Cookie"]}}}""").DocumentAsync(200);
        shown.GetProperty("settings").GetProperty("fields").GetProperty("request").GetProperty("set").GetRawText().Should().Be("""{"X-Key":"***"}""");
        foreach (var bad in new[] { """{"Host":"evil"}""", """{"Content-Length":"5"}""", """{"X-Forwarded-For":"1.2.3.4"}""", """{"X-A":"hush-hush\r\nX-B: 1"}""", """{"X-Key":"***"}""", """{"X Y":"hush-hush"}""" })
        {
            var problem = await proxy.Api.SendJsonAsync("PATCH", "/services/tts", "{\"fields\":{\"request\":{\"set\":" + bad + "}}}").ProblemAsync(400);
            problem.Faults().Should().Equal("fields.request.set");
            problem.GetRawText().Should().NotContain("hush");
        }

        await proxy.RestartAsync(kill: true);
        (await RawHttp.SendAsync(proxy.Address, "GET /tts/ HTTP/1.1\r\nHost: x\r\nCookie: a=b\r\nConnection: close\r\n\r\n")).Status.Should().Be(200);
        var seen = new RawAnswer(upstream.Heads.Single(), RawEnd.Found);
        (seen.Values("X-Key").Single(), seen.Values("Cookie").Count()).Should().Be(("hush-hush", 0));
        (await proxy.Api.GetStringAsync("/services")).Should().NotContain("hush");
        await proxy.StopAsync();
        proxy.Process.Transcript.Should().NotContain("hush");
    }

    [Fact]
    public async Task A_fault_in_configuration_names_the_key_and_not_the_value()
    {
        var end = await ProxyProcess.RunAsync(["validate", "--config", "test.json"],
            """{ "Services": { "tts": { "Fields": { "Request": { "Set": { "Host": "hush-hush" } }, "Response": { "Add": { "X-A": "hush-hush\n" } } } } } }""");

        end.ExitCode.Should().Be(2);
        string.Join('\n', end.Errors).Should().Contain("Services:tts:Fields:Request:Set: must be").And.Contain("Services:tts:Fields:Response:Add: must be").And.NotContain("hush");
    }
}

using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Api;

/// <summary>Every refused request is answered by a problem document that names what is wrong, and changes nothing.</summary>
public sealed class ProblemDocumentTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    private const string Good = """{"instance_id":"a","host":"127.0.0.1","port":9}""";

    private readonly string _service = running.NewService();

    private HttpClient Api => running.Proxy.Api;

    private string RegisterPath => $"/services/{_service}/register";

    [Theory]
    [InlineData("/nothing")]
    [InlineData("/services/a/b/c/d")]
    [InlineData("/page/nothing.js")]
    public async Task An_unknown_path_is_404(string path) => await Api.GetAsync(path).ProblemAsync(404);

    [Theory]
    [InlineData("DELETE", "/services", "GET, HEAD")]
    [InlineData("PUT", "/services/x/y", "DELETE, GET, HEAD, PATCH")]
    [InlineData("POST", "/health", "GET, HEAD")]
    [InlineData("GET", "/services/x/y/heartbeat", "POST")]
    [InlineData("GET", "/services/x/balance", "POST")]
    [InlineData("DELETE", "/services/x/balance", "POST")]
    public async Task A_wrong_method_is_405_and_names_the_right_ones(string method, string path, string allowed)
    {
        using var answer = await Api.SendJsonAsync(method, path, null);

        await Task.FromResult(answer).ProblemAsync(405);
        answer.Content.Headers.Allow.Should().BeEquivalentTo(allowed.Split(", "));
    }

    [Theory]
    [InlineData("{")]
    [InlineData("nonsense")]
    [InlineData("""{"host":"127.0.0.1","port":9} x""")]
    [InlineData("""{"host":"127.0.0.1","port":9,}""")]
    [InlineData("""{"host":"127.0.0.1","host":"127.0.0.2","port":9}""")]
    [InlineData("""{"host":"127.0.0.1","port":9,"metadata":{"a":"1","a":"2"}}""")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("\"text\"")]
    [InlineData("")]
    [InlineData("   ")]
    public async Task A_body_that_is_no_plain_json_object_is_400_and_nothing_is_registered(string body)
    {
        await Api.SendJsonAsync("POST", RegisterPath, body).ProblemAsync(400);
        await UntouchedAsync();
    }

    [Theory]
    [InlineData("""{"\ud800":1,"host":"127.0.0.1","port":9}""")]
    [InlineData("""{"host":"127.0.0.1","port":9,"metadata":{"\ud800":"x"}}""")]
    [InlineData("""{"host":"127.0.0.1","port":9,"metadata":{"x":"\udfff"}}""")]
    [InlineData("""{"host":"\ud800","port":9}""")]
    [InlineData("""{"host":"127.0.0.1","port":9,"health_check":{"\ud800":1}}""")]
    [InlineData("""{"host":"127.0.0.1","port":9,"health_check":{"path":"/\ud800"}}""")]
    [InlineData("""{"instance_id":"\udc00","host":"127.0.0.1","port":9}""")]
    public async Task Half_a_surrogate_pair_is_400_wherever_it_stands(string body)
    {
        await Api.SendJsonAsync("POST", RegisterPath, body).ProblemAsync(400);
        await UntouchedAsync();
    }

    [Theory]
    [InlineData("{\"\u00ff\":1,\"host\":\"127.0.0.1\",\"port\":9}")]
    [InlineData("{\"host\":\"\u00ff\",\"port\":9}")]
    [InlineData("{\"host\":\"127.0.0.1\",\"port\":9,\"metadata\":{\"\u00ff\":\"x\"}}")]
    public async Task Bytes_that_are_no_utf_8_are_400(string latin1)
    {
        using var content = new ByteArrayContent(Encoding.Latin1.GetBytes(latin1)) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };

        await Api.PostAsync(RegisterPath, content).ProblemAsync(400);
        await UntouchedAsync();
    }

    [Fact]
    public async Task Deep_nesting_is_400()
    {
        var deep = string.Concat(Enumerable.Repeat("{\"a\":", 10_000)) + "1" + new string('}', 10_000);
        deep.Length.Should().BeLessThan(64 * 1024);

        await Api.SendJsonAsync("POST", RegisterPath, deep).ProblemAsync(400);
    }

    [Fact]
    public async Task A_registrations_faults_are_all_named_at_once()
    {
        var problem = await Api.SendJsonAsync("POST", "/services/Bad_Name_/register?wait=soon", """
            { "instance_id": "register", "host": "http://x", "port": 70000, "scheme": "ftp", "protocol": "http3", "weight": 0, "max_connections": 100001,
              "ttl_seconds": 4, "metadata": { "a": 1 }, "health_check": { "interval": "often", "colour": 1 }, "wieght": 2 }
            """).ProblemAsync(400);

        problem.Faults().Should().BeEquivalentTo(
            "service_name", "wait", "instance_id", "host", "port", "scheme", "protocol", "weight", "max_connections", "ttl_seconds", "metadata.a",
            "health_check.interval", "health_check.colour", "wieght");
    }

    [Fact]
    public async Task A_patchs_faults_are_all_named_at_once_and_nothing_of_it_is_applied()
    {
        await Api.SendJsonAsync("POST", RegisterPath, Good).DocumentAsync(201);

        var problem = await Api.SendJsonAsync("PATCH", $"/services/{_service}/a", """
            { "weight": 1001, "max_connections": 0, "state": "asleep", "metadata": { "a": 1 }, "port": 80 }
            """).ProblemAsync(400);
        problem.Faults().Should().BeEquivalentTo("weight", "max_connections", "state", "metadata.a", "port");

        await Api.SendJsonAsync("PATCH", $"/services/{_service}/a", """{ "max_connections": 5, "metadata": {"k":"v"}, "state": null }""").ProblemAsync(400);
        var untouched = await running.Proxy.Registry.InstanceAsync(_service, "a");
        (untouched.Number("max_connections"), untouched.Text("state")).Should().Be((100, "active"));
        untouched.GetProperty("metadata").EnumerateObject().Should().BeEmpty();
    }

    [Fact]
    public async Task A_services_faults_are_all_named_at_once_and_no_service_is_created()
    {
        var problem = await Api.SendJsonAsync("PUT", $"/services/{_service}", """
            { "algorithm": "fastest", "colour": 1, "settings": { "queue": { "length": -1, "x": 1 }, "timeouts": 5 },
              "routes": [ { "path": "no-slash", "y": 1 }, 7 ], "health_check": { "interval": 1, "timeout": 2 } }
            """).ProblemAsync(400);

        problem.Faults().Should().Contain([
            "algorithm", "colour", "settings.queue.x", "routes[0].path", "routes[0].y", "routes[1]"])
            .And.Contain(fault => fault.EndsWith("queue.length", StringComparison.Ordinal))
            .And.Contain(fault => fault.EndsWith("timeouts", StringComparison.Ordinal));
        await UntouchedAsync();
    }

    [Fact]
    public async Task A_body_over_64_kib_is_413_with_a_length_and_without_and_the_last_byte_within_is_taken()
    {
        var prefix = """{"host":"127.0.0.1","port":9,"instance_id":"a" """;
        string Padded(int length) => prefix + new string(' ', length - prefix.Length - 1) + "}";

        await Api.SendJsonAsync("POST", RegisterPath, Padded((64 * 1024) + 1)).ProblemAsync(413);
        await Api.SendAsync(new HttpRequestMessage(HttpMethod.Post, RegisterPath)
        {
            Content = new ByteArrayContent(Encoding.UTF8.GetBytes(Padded((64 * 1024) + 1))) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } },
            Headers = { TransferEncodingChunked = true },
        }).ProblemAsync(413);
        await UntouchedAsync();

        await Api.SendJsonAsync("POST", RegisterPath, Padded(64 * 1024)).DocumentAsync(201);
    }

    [Theory]
    [InlineData("text/plain")]
    [InlineData("application/x-www-form-urlencoded")]
    [InlineData("application/json; charset=latin1")]
    [InlineData("application/jsonp")]
    [InlineData(null)]
    public async Task A_media_type_other_than_json_is_415(string? mediaType)
    {
        using var content = new ByteArrayContent(Encoding.UTF8.GetBytes(Good));
        if (mediaType is not null)
            content.Headers.ContentType = MediaTypeHeaderValue.Parse(mediaType);

        await Api.PostAsync(RegisterPath, content).ProblemAsync(415);
        await Api.PostAsync($"/services/{_service}/balance", content).ProblemAsync(415);
        await UntouchedAsync();
    }

    [Theory]
    [InlineData("https://evil.example")]
    [InlineData("null")]
    [InlineData("http://127.0.0.1:1")]
    public async Task A_foreign_origin_is_403(string origin)
    {
        await Api.SendJsonAsync("POST", RegisterPath, Good, ("Origin", origin)).ProblemAsync(403);
        await UntouchedAsync();
    }

    [Fact]
    public async Task The_own_origin_passes() =>
        await Api.SendJsonAsync("POST", RegisterPath, Good, ("Origin", running.Proxy.ManagementAddress.GetLeftPart(UriPartial.Authority))).DocumentAsync(201);

    [Theory]
    [InlineData("evil.example", 403)]
    [InlineData("10.0.0.1", 403)]
    [InlineData("localhost.evil.example", 403)]
    [InlineData("localhost", 200)]
    [InlineData("127.0.0.1:1234", 200)]
    [InlineData("[::1]:99", 200)]
    public async Task Without_keys_only_loopback_hosts_are_served(string host, int status)
    {
        var answer = await RawHttp.SendAsync(running.Proxy.ManagementAddress, $"GET /services HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");

        answer.Status.Should().Be(status);
        answer.Values("Content-Type").Single().Should().StartWith(status == 403 ? "application/problem+json" : "application/json");
    }

    [Theory]
    [InlineData("1e3")]
    [InlineData("9.5")]
    [InlineData("99999999999")]
    [InlineData("\"9\"")]
    [InlineData("true")]
    [InlineData("-1")]
    public async Task A_port_that_is_no_whole_number_in_range_is_named(string port)
    {
        var problem = await Api.SendJsonAsync("POST", RegisterPath, $$"""{"host":"127.0.0.1","port":{{port}}}""").ProblemAsync(400);

        problem.Faults().Should().Equal("port");
        problem.GetProperty("errors").GetProperty("port").EnumerateArray().Should().ContainSingle();
    }

    [Theory]
    [InlineData("balance")]
    [InlineData("stats")]
    [InlineData("circuit")]
    [InlineData("-a")]
    [InlineData("a b")]
    public async Task Reserved_and_misspelt_ids_are_refused(string id)
    {
        var problem = await Api.SendJsonAsync("POST", RegisterPath, JsonSerializer.Serialize(new { instance_id = id, host = "127.0.0.1", port = 9 })).ProblemAsync(400);

        problem.Faults().Should().Equal("instance_id");
    }

    private async Task UntouchedAsync() => await Api.GetAsync($"/services/{_service}").ProblemAsync((int)HttpStatusCode.NotFound);
}

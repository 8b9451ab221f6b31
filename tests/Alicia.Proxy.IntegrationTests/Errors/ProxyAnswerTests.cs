using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Errors;

/// <summary>Each row of the table of proxy-made answers, for GET, HEAD, HTTP/2 and gRPC.</summary>
public sealed class ProxyAnswerTests(DataPlaneFixture fixture) : IClassFixture<DataPlaneFixture>
{
    public static TheoryData<string> Names => [.. Faults.All.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task A_fault_is_answered_as_the_table_says(string fault)
    {
        var expected = Faults.All[fault].Expected;
        await using var faults = new Faults(fixture);
        var host = await faults.BringAsync(fault);

        var answer = await fixture.SendAsync($"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        var head = await fixture.SendAsync($"HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");

        AssertProblem(answer, expected);
        if (!expected.InHead)
            return;
        head.Status.Should().Be(expected.Status);
        head.Body.Should().BeEmpty();
        foreach (var field in new[] { "Content-Type", "Content-Length", "Proxy-Status", "Retry-After" })
            head.Values(field).Should().Equal(answer.Values(field));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public async Task A_fault_is_answered_to_gRPC_in_its_own_terms(string fault)
    {
        var expected = Faults.All[fault].Expected;
        await using var faults = new Faults(fixture);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/pkg.Service/Method")
        {
            Headers = { Host = await faults.BringAsync(fault), TE = { new TransferCodingWithQualityHeaderValue("trailers") } },
            Content = new ByteArrayContent([0, 0, 0, 0, 0]) { Headers = { ContentType = new MediaTypeHeaderValue("application/grpc") } },
        };

        using var answer = await fixture.Proxy.H2c.SendAsync(request);

        ((int)answer.StatusCode).Should().Be(200);
        answer.Content.Headers.ContentType!.MediaType.Should().Be("application/grpc");
        answer.Headers.GetValues("grpc-status").Should().Equal(expected.Grpc.ToString(CultureInfo.InvariantCulture));
        answer.Headers.GetValues("grpc-message").Should().ContainSingle().Which.Should().NotBeEmpty();
        answer.Headers.GetValues("Proxy-Status").Should().Equal($"alicia; error={expected.OverHttp2 ?? expected.Type}");
        (await answer.Content.ReadAsByteArrayAsync()).Should().BeEmpty();
        answer.TrailingHeaders.Should().BeEmpty();
    }

    [Fact]
    public async Task A_fault_is_answered_the_same_over_HTTP_2()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/") { Headers = { Host = "nobody.alicia.local" } };

        using var answer = await fixture.Proxy.H2c.SendAsync(request);

        ((int)answer.StatusCode).Should().Be(404);
        answer.Content.Headers.ContentType!.ToString().Should().Be("application/problem+json");
        answer.Headers.GetValues("Proxy-Status").Should().Equal("alicia; error=destination_not_found");
        JsonElement.Parse(await answer.Content.ReadAsStringAsync()).GetProperty("error").GetString().Should().Be("destination_not_found");
    }

    [Theory]
    [InlineData("application/grpc", 200)]
    [InlineData("application/grpc+proto", 200)]
    [InlineData("application/grpc;x=y", 200)]
    [InlineData("application/grpc-web", 404)]
    [InlineData("application/grpcx", 404)]
    public async Task Only_gRPC_itself_is_answered_in_its_terms(string type, int status)
    {
        var answer = await fixture.SendAsync($"POST / HTTP/1.1\r\nHost: nobody\r\nContent-Type: {type}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");

        answer.Status.Should().Be(status);
    }

    [Fact]
    public async Task A_gRPC_answer_ends_its_stream_with_the_head()
    {
        using var wire = await Wire.ConnectAsync(fixture.Proxy.Listeners.First(l => l.Scheme == "h2c"));
        byte[] Literal(string name, string value) => [0, (byte)name.Length, .. Encoding.ASCII.GetBytes(name), (byte)value.Length, .. Encoding.ASCII.GetBytes(value)];
        byte[] fields =
        [
            .. Literal(":method", "POST"), .. Literal(":scheme", "http"), .. Literal(":path", "/x"), .. Literal(":authority", "nobody"),
            .. Literal("content-type", "application/grpc"), .. Literal("te", "trailers"),
        ];
        const byte settings = 4, headers = 1, endStreamAndHeaders = 5;
        await wire.SendAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        await wire.SendAsync(new byte[] { 0, 0, 0, settings, 0, 0, 0, 0, 0 });
        await wire.SendAsync(new byte[] { 0, 0, (byte)fields.Length, headers, endStreamAndHeaders, 0, 0, 0, 1 });
        await wire.SendAsync(fields);

        for (var frames = 0; frames < 10; frames++)
        {
            var frame = await wire.ReadExactlyAsync(9);
            await wire.ReadExactlyAsync((frame[0] << 16) | (frame[1] << 8) | frame[2]);
            if (frame[3] != headers)
                continue;
            frame[4].Should().Be(endStreamAndHeaders);
            return;
        }

        throw new InvalidOperationException("no head among ten frames");
    }

    internal static void AssertProblem(RawAnswer answer, Expected expected)
    {
        answer.Status.Should().Be(expected.Status);
        answer.Values("Proxy-Status").Should().Equal($"alicia; error={expected.Type}");
        answer.Values("Content-Type").Should().Equal("application/problem+json");
        answer.Values("Content-Length").Should().Equal(answer.Body.Length.ToString(CultureInfo.InvariantCulture));
        answer.Values("Transfer-Encoding").Should().BeEmpty();
        answer.Values("Retry-After").Should().HaveCount(expected.RetryAfter ? 1 : 0);
        foreach (var seconds in answer.Values("Retry-After"))
            int.Parse(seconds, CultureInfo.InvariantCulture).Should().BePositive();
        var problem = JsonElement.Parse(answer.Body);
        problem.EnumerateObject().Select(member => member.Name).Should().Equal("type", "title", "status", "detail", "error", "request_id");
        answer.Values("X-Request-Id").Should().Equal(problem.GetProperty("request_id").GetString());
        problem.GetProperty("type").GetString().Should().Be("about:blank");
        problem.GetProperty("title").GetString().Should().NotBeEmpty();
        problem.GetProperty("status").GetInt32().Should().Be(expected.Status);
        problem.GetProperty("detail").GetString().Should().NotBeEmpty();
        problem.GetProperty("error").GetString().Should().Be(expected.Type);
    }
}

using System.Net;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Admission;

/// <summary>Who sends one request after the other needs one slot: it is free again before the caller can see the end of the answer.</summary>
[Trait("Depends", "forwarder")]
public sealed class SequentialClientTests(RunningProxy running) : IClassFixture<RunningProxy>
{
    private const int Requests = 2000;

    [Theory]
    [InlineData("GET", "bytes?n=300", 200, 300)]
    [InlineData("GET", "bytes?n=300&chunked=1", 200, 300)]
    [InlineData("GET", "bytes?n=70000&chunked=1", 200, 70000)]
    [InlineData("GET", "bytes?n=0", 200, 0)]
    [InlineData("GET", "status/204", 204, 0)]
    [InlineData("GET", "status/304?h=ETag:x", 304, 0)]
    [InlineData("HEAD", "bytes?n=300", 200, 0)]
    [InlineData("HEAD", "bytes?n=300&chunked=1", 200, 0)]
    [InlineData("GET", "status/404", 404, -1)]
    [InlineData("POST", "sink", 200, -1)]
    public async Task One_client_and_one_slot_are_enough(string method, string path, int status, int length)
    {
        var service = await running.ServiceAsync(1, extra: _ => new { max_connections = 1 });
        // Idle ones of the test before may still be open.
        var connections = (await running.Backends[0].StatsAsync()).ConnectionsTotal;
        using var connection = Clients.Create(running.Proxy.Address);

        for (var i = 0; i < Requests; i++)
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), $"/{service}/{path}");
            if (method == "POST")
                request.Content = new ByteArrayContent([1, 2, 3]);
            using var answer = await connection.SendAsync(request);
            ((int)answer.StatusCode).Should().Be(status, $"request {i}: {answer}");
            if (length >= 0)
                (await answer.Content.ReadAsByteArrayAsync()).Should().HaveCount(length);
        }

        var seen = await running.Backends[0].StatsAsync();
        seen.Requests.Should().Be(Requests);
        seen.MaxInFlight.Should().Be(1);
        (seen.ConnectionsTotal - connections).Should().Be(1, "the connection to the instance is kept alive");
    }

    [Theory]
    [InlineData("bytes?n=300", "\r\n\r\n", 300)]
    [InlineData("bytes?n=300&chunked=1", "\r\n0\r\n\r\n", 0)]
    [InlineData("status/204", "\r\n\r\n", 0)]
    public async Task A_client_that_reacts_to_the_last_byte_finds_the_slot_free(string path, string end, int rest)
    {
        var service = await running.ServiceAsync(1, extra: _ => new { max_connections = 1 });
        using var connection = await RawConnection.ConnectAsync(running.Proxy.Address);

        for (var i = 0; i < 500; i++)
        {
            await connection.SendAsync($"GET /{service}/{path} HTTP/1.1\r\nHost: x\r\n\r\n");
            var (text, _) = await connection.ReadUntilAsync(end);
            text.Should().StartWith("HTTP/1.1 20", $"request {i}");
            if (rest > 0)
                (await connection.ReadCountAsync(rest)).End.Should().Be(RawEnd.Found);
        }
    }

    [Fact]
    public async Task Failures_give_the_slot_back_before_the_answer_too()
    {
        var service = await running.ServiceAsync(1, extra: _ => new { max_connections = 1 });
        using var connection = Clients.Create(running.Proxy.Address);

        for (var i = 0; i < 300; i++)
        {
            using var answer = await connection.GetAsync($"/{service}/{(i % 2 == 0 ? "reset" : "status/500")}");
            answer.StatusCode.Should().Be(i % 2 == 0 ? HttpStatusCode.BadGateway : HttpStatusCode.InternalServerError, $"request {i}");
        }
        var instance = await running.Registry.InstanceAsync(service, "a");
        instance.GetProperty("active_connections").GetInt32().Should().Be(0);
    }
}

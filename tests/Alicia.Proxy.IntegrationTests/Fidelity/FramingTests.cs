using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Fidelity;

/// <summary>Where a message ends is said by its framing, and nobody can talk the proxy into sending a body without one.</summary>
public sealed class FramingTests(DataPlaneFixture fixture) : IClassFixture<DataPlaneFixture>
{
    [Theory]
    [InlineData("close, Content-Length")]
    [InlineData("content-length")]
    public async Task A_length_that_Connection_nominates_frames_the_body_all_the_same(string connection)
    {
        const string Body = "GET /evil HTTP/1.1\r\n\r\nx";
        var request = new TaskCompletionSource<WireMessage>();
        await using var upstream = WireServer.Start(async wire =>
        {
            request.TrySetResult((await wire.ReadMessageAsync())!);
            await wire.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        });
        var host = await fixture.ServiceAsync(upstream);
        using var caller = await RawConnection.ConnectAsync(fixture.Address);

        await caller.SendAsync($"POST / HTTP/1.1\r\nHost: {host}\r\nConnection: {connection}\r\nContent-Length: {Body.Length}\r\n\r\n{Body}");

        (await caller.ReadHeadAsync()).Text.Should().StartWith("HTTP/1.1 200 ");
        (await request.Task.WaitAsync(Deadlines.Wait)).Body.Should().HaveCount(Body.Length);
    }

    [Fact]
    public async Task A_method_that_looks_like_HEAD_and_is_not_gets_its_own_body_and_the_next_request_its_own_answer()
    {
        await using var upstream = WireServer.Start(async wire =>
        {
            while (await wire.ReadMessageAsync() is { } request)
            {
                await wire.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
                if (!request.StartLine.StartsWith("HEAD ", StringComparison.Ordinal))
                    await wire.SendAsync(request.StartLine.StartsWith("GET ", StringComparison.Ordinal) ? "right" : "other");
            }
        });
        var host = await fixture.ServiceAsync(upstream);
        using var caller = await RawConnection.ConnectAsync(fixture.Address);

        await caller.SendAsync($"head / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        // YARP's forwarder makes it HEAD, and the server misses the body that the length promises: docs/limits.md.
        (await caller.ReadHeadAsync()).Text.Should().StartWith(ProxyProcess.IsDirect ? "HTTP/1.1 200 " : "HTTP/1.1 500 ");
        if (ProxyProcess.IsDirect)
            (await caller.ReadCountAsync(5)).Text.Should().Be("other");
        using var next = await RawConnection.ConnectAsync(fixture.Address);
        await next.SendAsync($"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");

        (await next.ReadHeadAsync()).Text.Should().StartWith("HTTP/1.1 200 ");
        (await next.ReadCountAsync(5)).Text.Should().Be("right");
    }
}

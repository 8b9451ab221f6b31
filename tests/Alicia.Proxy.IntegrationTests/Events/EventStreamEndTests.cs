using System.Net.Sockets;
using System.Text;
using Alicia.Proxy.IntegrationTests.Api;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Events;

/// <summary>How streams of events end: with their reader, for want of reading, with the process; and who may see what.</summary>
public sealed class EventStreamEndTests
{
    private const int Followers = 256;

    [Fact]
    public async Task A_reader_that_does_not_read_is_cut_off_and_another_gets_everything()
    {
        await using var proxy = await StartAsync();
        await using var reader = await EventReader.OpenAsync(proxy.Api);
        using var stuck = await StuckAsync(proxy);

        var reading = Task.Run(() => reader.TakeAsync(1 + 8 + (8 * 500)));
        await ChangeAsync(proxy, services: 8, each: 500);
        (await proxy.Registry.PutServiceAsync("last", new { })).Dispose();

        await Eventually.Until("somebody is cut off", () => CutOff(proxy) == 1);
        var events = await reading;
        events.Select(e => e.Id()).Should().Equal(Enumerable.Range(0, events.Count).Select(i => events[0].Id() + i));
        events.Count(e => e.Text("type") == "service_changed").Should().Be(8 * 500);
        events[^1].Line().Should().Be("service_added last");
        (await EndOfAsync(stuck)).Should().Be(RawEnd.Reset);
        CutOff(proxy).Should().Be(1);
    }

    [Fact]
    public async Task There_is_room_for_so_many_readers_and_for_as_many_again_when_they_have_left()
    {
        await using var proxy = await StartAsync();
        for (var round = 0; round < 2; round++)
        {
            var readers = new List<EventReader>();
            for (var i = 0; i < Followers; i++)
                readers.Add(await Eventually.Until("there is room", () => TryOpenAsync(proxy), r => r is not null) ?? throw new InvalidOperationException());

            using (var refused = await EventReader.SendAsync(proxy.Api))
            {
                refused.Headers.RetryAfter.Should().NotBeNull();
                await Task.FromResult(refused).ProblemAsync(503);
            }

            foreach (var reader in readers)
                await reader.DisposeAsync();
        }

        (await proxy.StopAsync()).Should().Be(0);
        CutOff(proxy).Should().Be(0);
    }

    [Theory]
    [InlineData(200)]
    [InlineData(300)]
    public async Task Streams_last_through_the_grace_period_and_hold_up_no_stop_then(int each)
    {
        await using var proxy = await StartAsync("--Shutdown:Grace=00:00:02", "--Shutdown:Timeout=00:10:00");
        await using var reader = await EventReader.OpenAsync(proxy.Api);
        // Enough that something is left in a buffer of the proxy, with a write that waits or without; too little to have who does not read cut off.
        using var stuck = await StuckAsync(proxy);
        await ChangeAsync(proxy, services: 4, each);
        await reader.TakeAsync(4 + (4 * each));

        proxy.Process.Terminate();
        await Eventually.Until("it is not ready", async () => await proxy.Api.GetAsync("/health/ready").StatusAsync() == 503);
        (await proxy.Registry.PutServiceAsync("late", new { })).Dispose();

        (await reader.NextAsync())!.Value.Line().Should().Be("service_added late");
        (await reader.NextAsync()).Should().BeNull("the stream ends in order");
        (await proxy.Process.WaitForExitAsync()).Should().Be(0);
    }

    [Fact]
    public async Task After_a_restart_who_was_there_before_is_told_that_it_has_missed_events()
    {
        await using var proxy = await StartAsync();
        long seen;
        await using (var before = await EventReader.OpenAsync(proxy.Api))
        {
            (await proxy.Registry.PutServiceAsync("tts", new { })).Dispose();
            seen = (await before.TakeAsync(1))[0].Id();
        }

        await proxy.RestartAsync(kill: true);
        await using var after = await EventReader.OpenAsync(proxy.Api, after: seen);
        (await proxy.Registry.PutServiceAsync("tts", new { })).Dispose();

        (await after.TakeAsync(2)).Select(e => e.Line()).Should().Equal("reset: events_missed", "service_added tts");
    }

    [Fact]
    public async Task A_key_for_some_services_sees_the_events_of_no_other()
    {
        await using var proxy = await ProxyProcess.StartAsync(new ProxyOptions
        {
            ConfigJson = """
                { "Registry": { "Store": "memory" }, "Management": { "ApiKeys": {
                    "all": { "Key": "all-0123456789abcdef", "Scopes": "read,register,admin" },
                    "registrar": { "Key": "registrar-0123456789abcdef", "Scopes": ["register"] },
                    "one": { "Key": "one-0123456789abcdef", "Scopes": ["read"], "Services": ["mine"] } } } }
                """,
        });
        const string All = "all-0123456789abcdef";
        const string One = "one-0123456789abcdef";
        await EventReader.SendAsync(proxy.Api).ProblemAsync(401);
        await EventReader.SendAsync(proxy.Api, key: "registrar-0123456789abcdef").ProblemAsync(403);
        await EventReader.SendAsync(proxy.Api, "?service=yours", key: One).ProblemAsync(403);
        await using var all = await EventReader.OpenAsync(proxy.Api, key: All);
        await using var one = await EventReader.OpenAsync(proxy.Api, key: One);

        foreach (var service in new[] { "yours", "mine", "theirs" })
            await proxy.Api.SendJsonAsync("PUT", $"/services/{service}", "{}", ("Authorization", "Bearer " + All)).DocumentAsync(201);
        await proxy.Api.SendJsonAsync("PATCH", "/services/mine", """{"algorithm":"random"}""", ("Authorization", "Bearer " + All)).DocumentAsync(200);

        var events = await all.TakeAsync(4);
        events.Select(e => e.Line()).Should().Equal("service_added yours", "service_added mine", "service_added theirs", "service_changed mine");
        (await one.TakeAsync(2)).Select(e => e.Line()).Should().Equal("service_added mine", "service_changed mine");
        await using var resumed = await EventReader.OpenAsync(proxy.Api, after: events[0].Id() - 1, key: One);
        (await resumed.TakeAsync(2)).Select(e => e.Line()).Should().Equal("service_added mine", "service_changed mine");
    }

    private static Task<ProxyProcess> StartAsync(params string[] arguments) => ProxyProcess.StartAsync(new ProxyOptions
    {
        Arguments = ["--Registry:Store=memory", "--Logging:LogLevel:Default=Information", .. arguments],
    });

    private static async Task<EventReader?> TryOpenAsync(ProxyProcess proxy)
    {
        var answer = await EventReader.SendAsync(proxy.Api);
        if ((int)answer.StatusCode != 503)
            return await EventReader.OfAsync(answer);
        // Somebody who has left is not yet seen to.
        answer.Dispose();
        return null;
    }

    /// <summary>A connection that has asked for the events and takes none: its buffers are as small as the system makes them.</summary>
    private static async Task<Socket> StuckAsync(ProxyProcess proxy)
    {
        var address = proxy.ManagementAddress;
        const int Tcp = 6;
        const int MaxSegment = 2;
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 1024 };
        // The sender's buffer is sized by segments: of loopback's own it would hold megabytes.
        socket.SetRawSocketOption(Tcp, MaxSegment, BitConverter.GetBytes(536));
        await socket.ConnectAsync(address.Host, address.Port);
        await socket.SendAsync(Encoding.ASCII.GetBytes($"GET /events HTTP/1.1\r\nHost: {address.Authority}\r\n\r\n"));
        return socket;
    }

    /// <summary>So many services, each added and then changed so many times.</summary>
    private static Task ChangeAsync(ProxyProcess proxy, int services, int each) => Task.WhenAll(Enumerable.Range(0, services).Select(async s =>
    {
        for (var i = 0; i <= each; i++)
            (await proxy.Registry.PutServiceAsync($"s{s}", new { max_connections = i + 1 })).Dispose();
    }));

    private static int CutOff(ProxyProcess proxy) =>
        proxy.Process.Output.Concat(proxy.Process.Errors).Count(line => line.Contains("did not keep up", StringComparison.Ordinal));

    private static async Task<RawEnd> EndOfAsync(Socket socket)
    {
        using var late = new CancellationTokenSource(Deadlines.Wait);
        var buffer = new byte[64 * 1024];
        try
        {
            while (await socket.ReceiveAsync(buffer, late.Token) > 0)
            {
            }

            return RawEnd.Closed;
        }
        catch (SocketException)
        {
            return RawEnd.Reset;
        }
    }
}

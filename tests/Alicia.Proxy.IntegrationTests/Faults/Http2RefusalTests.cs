using System.Buffers.Binary;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text.Json;
using Alicia.Proxy.IntegrationTests.Harness;
using Xunit.Abstractions;

namespace Alicia.Proxy.IntegrationTests.Faults;

/// <summary>An instance that speaks HTTP/2 can say that it has not begun on a request: then the request goes to another instance, whatever its method, and arrives there once.</summary>
public sealed class Http2RefusalTests(FaultyService faulty, ITestOutputHelper output) : IClassFixture<FaultyService>
{
    private const byte Headers = 1, ResetStream = 3, Settings = 4, GoAway = 7, WindowUpdate = 8;
    private const byte Ack = 1;
    private const int RefusedStream = 7;
    private const int PrefaceLength = 24;
    private const int FrameHead = 9;

    [Theory]
    [InlineData(ResetStream)]
    [InlineData(GoAway)]
    public async Task A_request_that_was_refused_unprocessed_goes_to_another_instance_whatever_its_method(byte answer)
    {
        var refused = 0;
        await using var bad = WireServer.Start(async wire =>
        {
            await wire.ReadExactlyAsync(PrefaceLength);
            await wire.SendAsync(Frame(Settings, 0, 0, []));
            while (true)
            {
                var head = await wire.ReadExactlyAsync(FrameHead);
                await wire.ReadExactlyAsync((head[0] << 16) | (head[1] << 8) | head[2]);
                if (head[3] == Settings && head[4] != Ack)
                {
                    await wire.SendAsync(Frame(Settings, Ack, 0, []));
                }
                else if (head[3] == Headers)
                {
                    Interlocked.Increment(ref refused);
                    if (answer == ResetStream)
                    {
                        await wire.SendAsync(Frame(ResetStream, 0, BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(5)), Word(RefusedStream)));
                        continue;
                    }

                    // The last stream that was or will be looked at is none; no error.
                    await wire.SendAsync(Frame(GoAway, 0, 0, [.. Word(0), .. Word(0)]));
                    // Closed on what still comes, the connection would be reset, and the reset may overtake the farewell.
                    wire.Socket.Shutdown(SocketShutdown.Send);
                    while (!(await wire.ReadSomeAsync()).IsEmpty)
                        continue;
                    return;
                }
            }
        });
        var service = await faulty.ServiceAsync(
            new { retry = new { attempts = 1, budget_percent = 100, reserve = 1000 } }, good: true, extra: new { protocol = "h2c" }, ("127.0.0.1", bad.Port));

        var ledger = await faulty.LoadAsync(service, 25);

        output.WriteLine($"{refused} refused; {ledger}");
        ledger.Some(f => f is { Failed: true, Method: "GET" }).Should().BeEmpty();
        ledger.Some(f => ledger.ArrivalsOf(f) != (f.Failed ? 0 : 1)).Should().BeEmpty("an answer is that of the other instance, which has each request once");
        // The HTTP client does not always hear the refusal that crosses the body on the wire; what it then says proves nothing.
        ledger.FailedPosts.Should().HaveCountLessThanOrEqualTo(5, "of 50");
        refused.Should().BePositive("it had its turns");
    }

    /// <summary>An instance may answer before it has the whole request, and then says that it wants no more of it (RFC 9113, section 8.1). gRPC servers do so.</summary>
    [Fact]
    public async Task An_answer_that_is_whole_is_no_failure_when_the_instance_then_takes_no_more_of_the_request()
    {
        const byte EndOfBoth = 0x1 | 0x4;
        const byte Status200 = 0x88;
        const int NoError = 0;
        await using var early = WireServer.Start(async wire =>
        {
            await wire.ReadExactlyAsync(PrefaceLength);
            // Room on the connection; what a stream has is less than a request's body.
            await wire.SendAsync((byte[])[.. Frame(Settings, 0, 0, []), .. Frame(WindowUpdate, 0, 0, Word(1 << 28))]);
            while (true)
            {
                var head = await wire.ReadExactlyAsync(FrameHead);
                await wire.ReadExactlyAsync((head[0] << 16) | (head[1] << 8) | head[2]);
                var stream = BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(5));
                if (head[3] == Settings && head[4] != Ack)
                    await wire.SendAsync(Frame(Settings, Ack, 0, []));
                else if (head[3] == Headers)
                    await wire.SendAsync((byte[])[.. Frame(Headers, EndOfBoth, stream, [Status200]), .. Frame(ResetStream, 0, stream, Word(NoError))]);
            }
        });
        var service = await faulty.ServiceAsync(new { }, good: false, extra: new { protocol = "h2c" }, ("127.0.0.1", early.Port));

        var statuses = new List<HttpStatusCode>();
        for (var i = 0; i < 12; i++)
        {
            using var answer = await faulty.Proxy.Http.PostAsync($"/{service}/", new ByteArrayContent(new byte[100_000]));
            statuses.Add(answer.StatusCode);
        }

        var stats = await Eventually.Until("nothing is under way", () => faulty.Proxy.Api.GetFromJsonAsync<JsonElement>($"/stats/{service}"), s => s.GetProperty("active_connections").GetInt64() == 0);
        output.WriteLine($"{stats}");
        statuses.Should().OnlyContain(s => s == HttpStatusCode.OK);
        foreach (var counter in new[] { "failed_requests", "aborted_requests", "rejected_requests" })
            stats.GetProperty(counter).GetInt64().Should().Be(0, counter);
        var instance = await faulty.Proxy.Registry.InstanceAsync(service, FaultyService.Bad + "-0");
        instance.GetProperty("failed_requests").GetInt64().Should().Be(0);
    }

    private static byte[] Frame(byte type, byte flags, int stream, byte[] payload) =>
        [(byte)(payload.Length >> 16), (byte)(payload.Length >> 8), (byte)payload.Length, type, flags, .. Word(stream), .. payload];

    private static byte[] Word(int value)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(bytes, value);
        return bytes;
    }
}

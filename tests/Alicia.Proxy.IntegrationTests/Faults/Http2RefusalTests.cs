using System.Buffers.Binary;
using System.Net.Sockets;
using Alicia.Proxy.IntegrationTests.Harness;
using Xunit.Abstractions;

namespace Alicia.Proxy.IntegrationTests.Faults;

/// <summary>An instance that speaks HTTP/2 can say that it has not begun on a request: then the request goes to another instance, whatever its method, and arrives there once.</summary>
public sealed class Http2RefusalTests(FaultyService faulty, ITestOutputHelper output) : IClassFixture<FaultyService>
{
    private const byte Headers = 1, ResetStream = 3, Settings = 4, GoAway = 7;
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

    private static byte[] Frame(byte type, byte flags, int stream, byte[] payload) =>
        [(byte)(payload.Length >> 16), (byte)(payload.Length >> 8), (byte)payload.Length, type, flags, .. Word(stream), .. payload];

    private static byte[] Word(int value)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(bytes, value);
        return bytes;
    }
}

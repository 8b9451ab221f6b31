using System.Net;
using System.Net.Sockets;
using Alicia.Proxy.Sockets;

namespace Alicia.Proxy.UnitTests.Sockets;

/// <summary>When a socket says that there is something to be had, with the system's queue of events and without.</summary>
public sealed class ReadySocketTests
{
    private readonly byte[] _buffer = new byte[1024];

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task After_less_than_there_was_room_for_it_is_not_asked_again_until_more_has_come(bool usesLoop)
    {
        using var pair = SocketPair.Open(usesLoop);
        await pair.Far.SendAsync(new byte[10]);
        (await pair.NearReceivesAsync(10)).Should().HaveCount(10);

        pair.Near.MayBeRead.Should().BeFalse();
        pair.Near.Receive(_buffer, out var error).Should().Be(0);
        error.Should().Be(SocketError.WouldBlock);

        await pair.Far.SendAsync(new byte[3]);
        await SocketPair.Until("it says that more has come", () => pair.Near.MayBeRead);
        pair.Near.Receive(_buffer, out _).Should().Be(3);
        pair.Near.MayBeRead.Should().BeFalse();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_end_that_came_together_with_the_last_bytes_is_seen(bool usesLoop)
    {
        using var pair = SocketPair.Open(usesLoop);
        await pair.Far.SendAsync(new byte[1]);
        (await pair.NearReceivesAsync(1)).Should().HaveCount(1);
        // Both before the first is read, and so perhaps in one event.
        await pair.Far.SendAsync(new byte[10]);
        pair.Far.Shutdown(SocketShutdown.Send);
        await SocketPair.Until("bytes have come", () => pair.Near.MayBeRead);

        (await pair.NearReceivesAsync(int.MaxValue)).Should().HaveCount(10);
        pair.Near.Receive(_buffer, out var error).Should().Be(0, "an end stays one");
        error.Should().Be(SocketError.Success);
    }

    [Theory]
    [InlineData(true, 1)]
    [InlineData(true, 7)]
    [InlineData(true, 64)]
    [InlineData(false, 64)]
    public async Task Whatever_the_room_all_comes_in_its_order(bool usesLoop, int piece)
    {
        using var pair = SocketPair.Open(usesLoop);
        var sent = SocketPair.Random(piece, 5000);
        var receiving = pair.NearReceivesAsync(int.MaxValue, piece);
        for (var i = 0; i < sent.Length; i += 64)
            await pair.Far.SendAsync(sent.AsMemory(i, Math.Min(64, sent.Length - i)));
        pair.Far.Shutdown(SocketShutdown.Send);

        (await receiving).Should().Equal(sent);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_the_system_has_no_room_for_goes_when_there_is(bool usesLoop)
    {
        using var pair = SocketPair.Open(usesLoop);
        var sent = SocketPair.Random(1, 20_000_000);
        for (var i = 0; i < 2; i++)
        {
            var sending = pair.Near.SendAllAsync(sent).AsTask();
            sending.IsCompleted.Should().BeFalse("nobody has read anything");

            (await pair.FarReceivesAsync(sent.Length)).AsSpan().SequenceEqual(sent).Should().BeTrue();
            (await sending.WaitAsync(SocketPair.Enough)).Should().Be(SocketError.Success);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Closing_it_ends_all_waiting(bool usesLoop)
    {
        using var pair = SocketPair.Open(usesLoop);
        var sending = pair.Near.SendAllAsync(new byte[20_000_000]).AsTask();
        var receiving = pair.NearReceivesAsync(1);
        sending.IsCompleted.Should().BeFalse();

        pair.Near.Dispose();

        (await sending.WaitAsync(SocketPair.Enough)).Should().NotBe(SocketError.Success);
        (await receiving.WaitAsync(SocketPair.Enough)).Should().BeEmpty();
        pair.Near.Receive(_buffer, out var error).Should().Be(0);
        error.Should().Be(SocketError.OperationAborted);
        pair.Near.IsClosed.Should().BeTrue();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_reset_by_the_peer_is_told_to_whoever_waits_and_to_the_owner(bool usesLoop)
    {
        using var pair = SocketPair.Open(usesLoop);
        var told = new TaskCompletionSource();
        pair.Near.PeerEnded = () => told.TrySetResult();
        pair.Near.Receive(_buffer, out _);
        var readable = pair.Near.ReadableAsync();
        readable.IsCompleted.Should().BeFalse();

        pair.Far.Close(timeout: 0);

        await readable.AsTask().WaitAsync(SocketPair.Enough);
        pair.Near.Receive(_buffer, out var error).Should().Be(0);
        error.Should().Be(SocketError.ConnectionReset);
        await told.Task.WaitAsync(SocketPair.Enough);
    }

    [Fact]
    public async Task The_owner_learns_of_the_peer_s_end_though_nobody_reads()
    {
        using var pair = SocketPair.Open();
        var told = new TaskCompletionSource();
        pair.Near.PeerEnded = () => told.TrySetResult();
        pair.Near.Receive(_buffer, out _);

        await pair.Far.SendAsync(new byte[100]);
        pair.Far.Shutdown(SocketShutdown.Send);

        await told.Task.WaitAsync(SocketPair.Enough);
        (await pair.NearReceivesAsync(int.MaxValue)).Should().HaveCount(100, "what came before the end is still there");
    }

    [Fact]
    public async Task Urgent_bytes_hide_nothing_that_comes_behind_them()
    {
        // The system ends a reading at them, though there is more.
        using var pair = SocketPair.Open();
        pair.Near.Receive(_buffer, out _);
        for (var i = 0; i < 3; i++)
        {
            await pair.Far.SendAsync(new byte[5]);
            await pair.Far.SendAsync(new byte[1], SocketFlags.OutOfBand);
            await pair.Far.SendAsync(new byte[5]);
            (await pair.NearReceivesAsync(10)).Should().HaveCount(10);
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_connection_that_is_opened_here_works_both_ways(bool usesLoop)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var near = new ReadySocket(new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp), usesLoop);
        await near.ConnectAsync(listener.LocalEndpoint, default).WaitAsync(SocketPair.Enough);
        using var far = await listener.AcceptSocketAsync();

        near.Send(new byte[7], out _).Should().Be(7);
        (await far.ReceiveAsync(_buffer)).Should().Be(7);
        near.Receive(_buffer, out var error);
        error.Should().Be(SocketError.WouldBlock);
        await far.SendAsync(new byte[9]);
        await near.ReadableAsync().AsTask().WaitAsync(SocketPair.Enough);
        near.Receive(_buffer, out _).Should().Be(9);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_connection_that_nobody_takes_is_refused(bool usesLoop)
    {
        using var taken = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        taken.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        using var near = new ReadySocket(new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp), usesLoop);

        var refused = await near.Awaiting(n => n.ConnectAsync(taken.LocalEndPoint!, default)).Should().ThrowAsync<SocketException>();
        refused.Which.SocketErrorCode.Should().Be(SocketError.ConnectionRefused);
        refused.Which.Message.Should().Contain("refused");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_attempt_to_connect_ends_when_it_is_cancelled(bool usesLoop)
    {
        // A listener that takes no more: its system lets further attempts wait.
        using var full = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        full.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        full.Listen(0);
        using var first = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await first.ConnectAsync(full.LocalEndPoint!);
        using var near = new ReadySocket(new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp), usesLoop);
        using var cancellation = new CancellationTokenSource();

        var connecting = near.ConnectAsync(full.LocalEndPoint!, cancellation.Token);
        connecting.IsCompleted.Should().BeFalse();
        await cancellation.CancelAsync();

        await connecting.Awaiting(c => c.WaitAsync(SocketPair.Enough)).Should().ThrowAsync<OperationCanceledException>();
    }

    [Fact]
    public async Task Many_at_once_lose_nothing_and_a_place_is_used_again()
    {
        // Rounds, so that sockets get the places of those that were closed, with late events on their way.
        for (var round = 0; round < 5; round++)
        {
            await Parallel.ForAsync(0, 100, async (i, _) =>
            {
                using var pair = SocketPair.Open();
                var random = new Random(i);
                for (var turn = 0; turn < 20; turn++)
                {
                    var bytes = SocketPair.Random(turn, random.Next(1, 9000));
                    var receiving = pair.NearReceivesAsync(bytes.Length, random.Next(1, 9000));
                    await pair.Far.SendAsync(bytes);
                    (await receiving).AsSpan().SequenceEqual(bytes).Should().BeTrue();
                    (await pair.Near.SendAllAsync(bytes)).Should().Be(SocketError.Success);
                    (await pair.FarReceivesAsync(bytes.Length)).AsSpan().SequenceEqual(bytes).Should().BeTrue();
                }

                if (i % 2 == 0)
                    pair.Far.Close(timeout: 0);
            });
        }
    }
}

using System.Buffers;
using System.Net;
using System.Net.Sockets;
using Alicia.Proxy.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging.Abstractions;

namespace Alicia.Proxy.UnitTests.Sockets;

/// <summary>A caller's connection as a whole: how it begins and how it ends.</summary>
public sealed class SocketConnectionTests : IAsyncLifetime
{
    private readonly CountingPool _pool = new();
    private SocketListener _listener = null!;
    private Socket _far = null!;
    private ConnectionContext _near = null!;

    public async Task InitializeAsync()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        socket.Listen();
        _listener = new SocketListener(socket, _pool, NullLogger.Instance);
        _far = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await _far.ConnectAsync(_listener.EndPoint);
        _near = (await _listener.AcceptAsync())!;
    }

    public async Task DisposeAsync()
    {
        _far.Dispose();
        await _near.DisposeAsync();
        await _listener.DisposeAsync();
        _pool.Rented.Should().Be(0);
    }

    [Fact]
    public async Task What_a_peer_says_before_it_leaves_is_read_though_the_connection_is_aborted_for_its_leaving()
    {
        // Somebody has looked, so that the system is asked to tell; and nobody reads now.
        await _far.SendAsync("a"u8.ToArray());
        var first = await _near.Transport.Input.ReadAsync();
        _near.Transport.Input.AdvanceTo(first.Buffer.End);

        var last = SocketPair.Random(1, 100_000);
        await _far.SendAsync(last);
        _far.Shutdown(SocketShutdown.Send);
        await LeftAsync();
        _near.Abort(new ConnectionAbortedException("It has left."));

        var result = await _near.Transport.Input.ReadAsync();
        result.Buffer.ToArray().AsSpan().SequenceEqual(last).Should().BeTrue();
        result.IsCompleted.Should().BeTrue();
        _near.Transport.Input.AdvanceTo(result.Buffer.End);
        _near.Transport.Input.Complete();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_peer_that_leaves_is_noticed_whether_somebody_reads_or_not(bool reads)
    {
        var reading = _near.Transport.Input.ReadAsync();
        if (!reads)
        {
            await _far.SendAsync("a"u8.ToArray());
            await reading;
        }

        _far.Shutdown(SocketShutdown.Send);
        await LeftAsync();
        if (reads)
            (await reading).IsCompleted.Should().BeTrue();
    }

    [Fact]
    public async Task A_peer_whose_first_bytes_filled_the_room_for_them_is_noticed_when_it_leaves()
    {
        await _far.SendAsync(new byte[4096]);
        var result = await _near.Transport.Input.ReadAsync();
        while (result.Buffer.Length < 4096)
        {
            _near.Transport.Input.AdvanceTo(result.Buffer.Start, result.Buffer.End);
            result = await _near.Transport.Input.ReadAsync();
        }

        _far.Shutdown(SocketShutdown.Send);
        await LeftAsync();
    }

    [Fact]
    public async Task A_reset_is_told_behind_the_bytes_that_came_before_it_and_is_no_end()
    {
        await _far.SendAsync("a"u8.ToArray());
        var first = await _near.Transport.Input.ReadAsync();
        _near.Transport.Input.AdvanceTo(first.Buffer.End);
        await _far.SendAsync("bc"u8.ToArray());
        _far.Close(timeout: 0);
        await LeftAsync();

        var reading = async () =>
        {
            while (true)
            {
                var result = await _near.Transport.Input.ReadAsync();
                result.IsCompleted.Should().BeFalse();
                _near.Transport.Input.AdvanceTo(result.Buffer.End);
            }
        };
        await reading.Should().ThrowAsync<ConnectionResetException>();
    }

    [Fact]
    public async Task A_connection_that_is_ended_without_a_reason_ends_in_order_behind_what_was_sent()
    {
        _near.Transport.Input.TryRead(out _).Should().BeFalse();
        var sent = SocketPair.Random(1, 50_000);
        _near.Transport.Output.Write(sent);
        await _near.Transport.Output.FlushAsync();
        _far.Shutdown(SocketShutdown.Send);
        await LeftAsync();

        // The server's way to say that the peer has left.
        _near.Abort(null!);

        (await ReceivedAsync()).AsSpan().SequenceEqual(sent).Should().BeTrue();
        await _near.Awaiting(n => n.Transport.Input.ReadAsync().AsTask()).Should().NotThrowAsync("the end was there before");
    }

    [Fact]
    public async Task Bytes_that_nobody_wanted_do_not_cost_the_peer_its_answer()
    {
        await _far.SendAsync(new byte[100_000]);
        var result = await _near.Transport.Input.ReadAsync();
        _near.Transport.Input.AdvanceTo(result.Buffer.End);
        _near.Transport.Output.Write("too much"u8);
        await _near.DisposeAsync();

        (await ReceivedAsync()).Should().Equal("too much"u8.ToArray(), "a reset would have come in place of it, or in place of the end");
    }

    [Fact]
    public async Task An_abort_ends_a_wait_with_its_reason_and_resets_the_connection()
    {
        var reading = _near.Transport.Input.ReadAsync().AsTask();
        _near.Abort(new ConnectionAbortedException("It takes too long."));

        (await reading.Awaiting(r => r.WaitAsync(SocketPair.Enough)).Should().ThrowAsync<ConnectionAbortedException>()).WithMessage("It takes too long.");
        await LeftAsync();
        using var late = new CancellationTokenSource(SocketPair.Enough);
        var reset = await _far.Awaiting(f => f.ReceiveAsync(new byte[1], late.Token).AsTask()).Should().ThrowAsync<SocketException>();
        reset.Which.SocketErrorCode.Should().Be(SocketError.ConnectionReset);
    }

    [Fact]
    public async Task What_was_written_and_not_flushed_goes_out_before_the_end()
    {
        var sent = SocketPair.Random(1, 5_000_000);
        _near.Transport.Output.Write(sent);
        var disposing = _near.DisposeAsync().AsTask();

        (await ReceivedAsync()).AsSpan().SequenceEqual(sent).Should().BeTrue();
        await disposing;
    }

    [Fact]
    public async Task A_listener_that_is_closed_takes_nobody_in()
    {
        var accepting = _listener.AcceptAsync().AsTask();
        await _listener.UnbindAsync();
        (await accepting.WaitAsync(SocketPair.Enough)).Should().BeNull();
        (await _listener.AcceptAsync()).Should().BeNull();
    }

    [Fact]
    public void Connections_have_names_and_addresses()
    {
        _near.ConnectionId.Should().NotBeEmpty().And.Be(_near.ConnectionId);
        _near.RemoteEndPoint.Should().Be(_far.LocalEndPoint);
        _near.LocalEndPoint.Should().Be(_far.RemoteEndPoint);
    }

    /// <summary>What comes until the end in order.</summary>
    private async Task<byte[]> ReceivedAsync()
    {
        using var late = new CancellationTokenSource(SocketPair.Enough);
        var received = new List<byte>();
        var buffer = new byte[65536];
        while (await _far.ReceiveAsync(buffer, late.Token) is var count and > 0)
            received.AddRange(buffer.AsSpan(0, count));
        return [.. received];
    }

    private async Task LeftAsync()
    {
        var left = new TaskCompletionSource();
        await using (_near.ConnectionClosed.Register(left.SetResult))
            await left.Task.WaitAsync(SocketPair.Enough);
    }
}

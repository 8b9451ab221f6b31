using System.Buffers;
using Alicia.Proxy.Sockets;

namespace Alicia.Proxy.UnitTests.Sockets;

/// <summary>What goes to a peer, as the server writes it.</summary>
public sealed class SocketOutputTests : IDisposable
{
    private const int Much = 20_000_000;

    private readonly SocketPair _pair = SocketPair.Open();
    private readonly CountingPool _pool = new();
    private readonly SocketOutput _output;
    private readonly Owner _owner = new();

    public SocketOutputTests() => _output = new SocketOutput(_pair.Near, _pool, _owner);

    public void Dispose() => _pair.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(4096)]
    [InlineData(4097)]
    [InlineData(60_000)]
    [InlineData(200_000)]
    public async Task A_flush_sends_all_that_was_written_and_keeps_nothing(int bytes)
    {
        var sent = SocketPair.Random(bytes, bytes);
        var receiving = _pair.FarReceivesAsync(bytes);
        Write(sent);
        _output.UnflushedBytes.Should().Be(bytes);

        var result = await _output.FlushAsync().AsTask().WaitAsync(SocketPair.Enough);

        result.IsCanceled.Should().BeFalse();
        result.IsCompleted.Should().BeFalse();
        (await receiving).AsSpan().SequenceEqual(sent).Should().BeTrue();
        _output.UnflushedBytes.Should().Be(0);
        _pool.Rented.Should().Be(0);
    }

    [Fact]
    public async Task A_flush_lasts_as_long_as_the_peer_does_not_read()
    {
        var sent = SocketPair.Random(1, Much);
        Write(sent);
        var flushing = _output.FlushAsync().AsTask();
        flushing.IsCompleted.Should().BeFalse();

        (await _pair.FarReceivesAsync(Much)).AsSpan().SequenceEqual(sent).Should().BeTrue();
        (await flushing.WaitAsync(SocketPair.Enough)).IsCompleted.Should().BeFalse();
        await _output.FinishAsync();
        _pool.Rented.Should().Be(0);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_was_flushed_goes_out_in_its_order_though_the_flush_was_cancelled(bool byToken)
    {
        var sent = SocketPair.Random(2, Much);
        Write(sent.AsSpan(0, Much - 10_000));
        using var cancellation = new CancellationTokenSource();
        var flushing = _output.FlushAsync(cancellation.Token).AsTask();
        if (byToken)
        {
            await cancellation.CancelAsync();
            await flushing.Awaiting(f => f.WaitAsync(SocketPair.Enough)).Should().ThrowAsync<OperationCanceledException>();
        }
        else
        {
            _output.CancelPendingFlush();
            (await flushing.WaitAsync(SocketPair.Enough)).IsCanceled.Should().BeTrue();
        }

        Write(sent.AsSpan(Much - 10_000, 5_000));
        var second = _output.FlushAsync().AsTask();
        second.IsCompleted.Should().BeFalse();
        Write(sent.AsSpan(Much - 5_000));
        _output.Complete();
        var finishing = _output.FinishAsync().AsTask();

        (await _pair.FarReceivesAsync(Much)).AsSpan().SequenceEqual(sent).Should().BeTrue();
        (await second.WaitAsync(SocketPair.Enough)).IsCanceled.Should().BeFalse();
        await finishing.WaitAsync(SocketPair.Enough);
        _pool.Rented.Should().Be(0);
    }

    [Fact]
    public async Task A_cancellation_that_nobody_waited_for_is_the_next_flush_s_which_sends_all_the_same()
    {
        _output.CancelPendingFlush();
        Write("abc"u8);
        (await _output.FlushAsync()).IsCanceled.Should().BeTrue();
        (await _output.FlushAsync()).IsCanceled.Should().BeFalse("it counts once");
        (await _pair.FarReceivesAsync(3)).Should().Equal("abc"u8.ToArray());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_connection_that_fails_ends_the_flush_and_is_told(bool byPeer)
    {
        Write(new byte[Much]);
        var flushing = _output.FlushAsync().AsTask();
        flushing.IsCompleted.Should().BeFalse();

        if (byPeer)
            _pair.Far.Close(timeout: 0);
        else
            _pair.Near.Reset();

        (await flushing.WaitAsync(SocketPair.Enough)).IsCompleted.Should().BeTrue();
        Write("abc"u8);
        (await _output.FlushAsync()).IsCompleted.Should().BeTrue("nothing goes any more");
        _owner.Failures.Should().BePositive();
        await _output.FinishAsync().AsTask().WaitAsync(SocketPair.Enough);
        _pool.Rented.Should().Be(0);
    }

    private void Write(ReadOnlySpan<byte> bytes) => _output.Write(bytes);
}

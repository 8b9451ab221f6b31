using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using Alicia.Proxy.Sockets;
using Microsoft.AspNetCore.Connections;

namespace Alicia.Proxy.UnitTests.Sockets;

/// <summary>What comes from a peer, as the server reads it.</summary>
public sealed class SocketInputTests : IDisposable
{
    private readonly SocketPair _pair = SocketPair.Open();
    private readonly CountingPool _pool = new();
    private readonly SocketInput _input;

    public SocketInputTests() => _input = new SocketInput(_pair.Near, _pool, new Owner());

    public void Dispose()
    {
        _pair.Dispose();
        _input.Complete();
        _pool.Rented.Should().Be(0, "all memory is given back");
    }

    [Fact]
    public async Task Nothing_is_kept_while_nothing_is_there()
    {
        var reading = _input.ReadAsync();
        reading.IsCompleted.Should().BeFalse();
        _pool.Rented.Should().Be(0);

        await _pair.Far.SendAsync("abc"u8.ToArray());
        var result = await Within(reading);
        result.Buffer.ToArray().Should().Equal("abc"u8.ToArray());
        _pool.Rented.Should().Be(1);

        _input.AdvanceTo(result.Buffer.End);
        _pool.Rented.Should().Be(0);
        _input.TryRead(out _).Should().BeFalse();
    }

    [Fact]
    public async Task What_was_looked_at_and_not_taken_comes_again_with_more()
    {
        await _pair.Far.SendAsync("abc"u8.ToArray());
        var result = await Within(_input.ReadAsync());
        _input.AdvanceTo(result.Buffer.GetPosition(1), result.Buffer.End);
        _input.TryRead(out _).Should().BeFalse("all of it was looked at");
        var reading = _input.ReadAsync();
        reading.IsCompleted.Should().BeFalse();

        await _pair.Far.SendAsync("d"u8.ToArray());
        result = await Within(reading);
        result.Buffer.ToArray().Should().Equal("bcd"u8.ToArray());

        _input.AdvanceTo(result.Buffer.Start, result.Buffer.GetPosition(1));
        _input.TryRead(out result).Should().BeTrue("some of it was not looked at");
        result.Buffer.ToArray().Should().Equal("bcd"u8.ToArray());
        _input.AdvanceTo(result.Buffer.End);
    }

    [Fact]
    public async Task A_wait_that_was_cancelled_loses_nothing()
    {
        for (var i = 0; i < 3; i++)
        {
            var reading = _input.ReadAsync();
            _input.CancelPendingRead();
            var result = await Within(reading);
            result.IsCanceled.Should().BeTrue();
            result.Buffer.IsEmpty.Should().BeTrue();
            _input.AdvanceTo(result.Buffer.Start, result.Buffer.End);

            reading = _input.ReadAsync();
            await _pair.Far.SendAsync("abc"u8.ToArray());
            result = await Within(reading);
            result.IsCanceled.Should().BeFalse();
            result.Buffer.ToArray().Should().Equal("abc"u8.ToArray());
            _input.AdvanceTo(result.Buffer.End);
        }
    }

    [Fact]
    public async Task A_cancellation_that_nobody_waited_for_is_the_next_reader_s()
    {
        _input.CancelPendingRead();
        _input.TryRead(out var result).Should().BeTrue();
        result.IsCanceled.Should().BeTrue();
        _input.CancelPendingRead();
        (await Within(_input.ReadAsync())).IsCanceled.Should().BeTrue();
        _input.ReadAsync().IsCompleted.Should().BeFalse("it counts once");
    }

    [Fact]
    public async Task A_token_ends_a_wait_and_nothing_else()
    {
        using (var cancellation = new CancellationTokenSource())
        {
            var reading = _input.ReadAsync(cancellation.Token).AsTask();
            await cancellation.CancelAsync();
            await reading.Awaiting(r => r.WaitAsync(SocketPair.Enough)).Should().ThrowAsync<OperationCanceledException>();
        }

        await _pair.Far.SendAsync("abc"u8.ToArray());
        using var other = new CancellationTokenSource();
        var result = await Within(_input.ReadAsync(other.Token));
        await other.CancelAsync();
        result.Buffer.Length.Should().Be(3);
        _input.AdvanceTo(result.Buffer.End);
        _input.ReadAsync().IsCompleted.Should().BeFalse();
    }

    [Fact]
    public async Task The_end_comes_behind_the_last_bytes_and_stays()
    {
        await _pair.Far.SendAsync("abc"u8.ToArray());
        _pair.Far.Shutdown(SocketShutdown.Send);
        ReadResult result;
        while (!(result = await Within(_input.ReadAsync())).IsCompleted)
            _input.AdvanceTo(result.Buffer.Start, result.Buffer.End);
        result.Buffer.ToArray().Should().Equal("abc"u8.ToArray());
        _input.AdvanceTo(result.Buffer.End);
        result = await Within(_input.ReadAsync());
        result.IsCompleted.Should().BeTrue();
        result.Buffer.IsEmpty.Should().BeTrue();
    }

    [Fact]
    public async Task A_reset_is_an_error_that_says_so()
    {
        var reading = _input.ReadAsync().AsTask();
        _pair.Far.Close(timeout: 0);
        await reading.Awaiting(r => r.WaitAsync(SocketPair.Enough)).Should().ThrowAsync<ConnectionResetException>();
        await _input.Awaiting(i => i.ReadAsync().AsTask()).Should().ThrowAsync<ConnectionResetException>();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    public async Task However_it_is_read_all_comes_in_its_order(int seed)
    {
        _pair.Near.PeerEnded = _input.ReadAhead;
        var random = new Random(seed);
        var sent = SocketPair.Random(seed, 300_000);
        var sending = Task.Run(async () =>
        {
            var pieces = new Random(seed + 100);
            for (var i = 0; i < sent.Length;)
            {
                var piece = Math.Min(pieces.Next(1, pieces.Next(2) == 0 ? 20 : 20_000), sent.Length - i);
                await _pair.Far.SendAsync(sent.AsMemory(i, piece));
                i += piece;
            }

            _pair.Far.Shutdown(SocketShutdown.Send);
        });
        var canceller = Task.Run(async () =>
        {
            while (!sending.IsCompleted)
            {
                _input.CancelPendingRead();
                await Task.Yield();
            }
        });

        var at = 0;
        while (true)
        {
            var result = await Within(_input.ReadAsync());
            var length = (int)result.Buffer.Length;
            result.Buffer.ToArray().AsSpan().SequenceEqual(sent.AsSpan(at, length)).Should().BeTrue();
            if (result.IsCompleted && length == 0)
                break;
            var taken = random.Next(length + 1);
            var seen = random.Next(2) == 0 ? length : random.Next(taken, length + 1);
            if (result.IsCompleted)
                (taken, seen) = (Math.Max(taken, 1), length);
            _input.AdvanceTo(result.Buffer.GetPosition(taken), result.Buffer.GetPosition(seen));
            at += taken;
        }

        at.Should().Be(sent.Length);
        await sending;
        await canceller;
    }

    private static async Task<ReadResult> Within(ValueTask<ReadResult> reading) => await reading.AsTask().WaitAsync(SocketPair.Enough);
}

/// <summary>Blocks of memory, of which it is known how many are out.</summary>
internal sealed class CountingPool : MemoryPool<byte>
{
    private int _rented;

    public int Rented => Volatile.Read(ref _rented);

    public override int MaxBufferSize => 4096;

    public override IMemoryOwner<byte> Rent(int minBufferSize = -1)
    {
        Interlocked.Increment(ref _rented);
        return new Block(this);
    }

    protected override void Dispose(bool disposing)
    {
    }

    private sealed class Block(CountingPool pool) : IMemoryOwner<byte>
    {
        private byte[]? _bytes = new byte[4096];

        public Memory<byte> Memory => _bytes;

        public void Dispose()
        {
            // Whoever still looks at it is to be found out.
            Array.Fill(_bytes!, (byte)0xEE);
            _bytes = null;
            Interlocked.Decrement(ref pool._rented);
        }
    }
}

using System.IO.Pipelines;
using Alicia.Proxy.Forwarding;
using static Alicia.Proxy.UnitTests.Forwarding.WebSocketFrames;

namespace Alicia.Proxy.UnitTests.Forwarding;

/// <summary>The caller's side of a WebSocket between two copiers, as it is used, closed at some moment while frames go both ways in pieces.</summary>
public sealed class WebSocketCallerStreamTests
{
    private static readonly byte[] GoingAway = [0x88, 2, 0x03, 0xe9];
    private static readonly byte[] Key = [9, 8, 7, 6];
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task Closed_at_any_moment_each_peer_gets_whole_frames_and_one_close_frame_behind_them()
    {
        var closedInTheMiddle = 0;
        for (var seed = 0; seed < 300; seed++)
        {
            var random = new Random(seed);
            var up = Enumerable.Range(0, random.Next(1, 30)).Select(_ => Frame(Text, new byte[random.Next(0, 400)], Key)).ToList();
            var down = Enumerable.Range(0, random.Next(1, 30)).Select(_ => Frame(Text, new byte[random.Next(0, 400)])).ToList();
            var caller = new Ends();
            var instance = new Ends();
            await using var stream = new WebSocketCallerStream(caller);
            using var silence = new SilenceWatch(Limit, null, TimeProvider.System, CancellationToken.None);
            var copying = Task.WhenAll(DuplexCopy.RunAsync(stream, instance, silence), DuplexCopy.RunAsync(instance, stream, silence));

            var closeAfter = random.Next(0, 40);
            var closing = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var feeding = Task.WhenAll(
                Task.Run(() => FeedAsync(caller, [.. up, Frame(Close, [0x03 ^ 9, 0xe9 ^ 8], Key)], new Random(seed + 1), () => { })),
                Task.Run(() => FeedAsync(instance, [.. down, Frame(Close, [0x03, 0xe9])], new Random(seed + 2), () =>
                {
                    if (closeAfter-- == 0)
                        closing.TrySetResult();
                })));
            await Task.WhenAny(closing.Task, feeding);
            using var late = new CancellationTokenSource(Limit);

            (await stream.CloseAsync(late.Token)).Should().BeTrue("seed {0}", seed);
            await feeding.WaitAsync(Limit);
            (await copying.WaitAsync(Limit)).Should().OnlyContain(end => end == CopyEnd.Finished, "seed {0}", seed);

            closedInTheMiddle += Check(instance.Written, up, masked: true, seed) ? 1 : 0;
            closedInTheMiddle += Check(caller.Written, down, masked: false, seed) ? 1 : 0;
        }

        closedInTheMiddle.Should().BeGreaterThan(10, "the moments are spread over the course of the conversations");
    }

    [Fact]
    public async Task A_writer_that_does_not_get_rid_of_its_frame_makes_closing_give_up()
    {
        var caller = new Ends { Blocked = true };
        await using var stream = new WebSocketCallerStream(caller);
        using var abandon = new CancellationTokenSource();
        var writing = stream.WriteAsync(Frame(Text, "hi"u8), abandon.Token);
        using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(50));

        (await stream.CloseAsync(limit.Token)).Should().BeFalse();

        caller.Written.Should().BeEmpty();
        await abandon.CancelAsync();
        await ((Func<Task>)(async () => await writing)).Should().ThrowAsync<OperationCanceledException>();
    }

    /// <summary>Holds what a peer got against what the other sent.</summary>
    /// <returns>True when the close frame is the proxy's, so that something may have been left out before the peer's own.</returns>
    private static bool Check(byte[] got, List<byte[]> sent, bool masked, int seed)
    {
        var at = 0;
        foreach (var frame in sent)
        {
            if (!got.AsSpan(at).StartsWith(frame))
                break;
            at += frame.Length;
        }

        var close = got[at..];
        if (masked && close.Length == 8)
        {
            for (var i = 6; i < 8; i++)
                close[i] ^= close[2 + (i - 6)];
            close = [close[0], (byte)(close[1] & 0x7f), .. close[6..]];
        }

        close.Should().Equal(GoingAway, "seed {0}: behind {1} bytes of whole frames one close frame and nothing else", seed, at);
        return at < sent.Sum(f => f.Length);
    }

    private static async Task FeedAsync(Ends ends, byte[][] frames, Random random, Action onPiece)
    {
        var bytes = frames.SelectMany(f => f).ToArray();
        for (var at = 0; at < bytes.Length;)
        {
            var length = Math.Min(random.Next(1, 500), bytes.Length - at);
            await ends.Incoming.Writer.WriteAsync(bytes.AsMemory(at, length));
            at += length;
            onPiece();
            if (random.Next(3) == 0)
                await Task.Yield();
        }

        await ends.Incoming.Writer.CompleteAsync();
    }

    /// <summary>A peer's connection: what it sends comes out of a pipe, what it gets is kept.</summary>
    private sealed class Ends : Stream
    {
        private readonly MemoryStream _written = new();
        private readonly Stream _incoming;

        public Ends() => _incoming = Incoming.Reader.AsStream();

        public Pipe Incoming { get; } = new();

        public bool Blocked { get; init; }

        public byte[] Written => _written.ToArray();

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (buffer.Length > 0)
                return await _incoming.ReadAsync(buffer, cancellationToken);
            // The pipe's own stream answers such a read at once.
            var result = await Incoming.Reader.ReadAsync(cancellationToken);
            Incoming.Reader.AdvanceTo(result.Buffer.Start);
            return 0;
        }

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (Blocked)
                await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
            await Task.Yield();
            _written.Write(buffer.Span);
        }

        public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public override void Flush() => throw new NotSupportedException();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}

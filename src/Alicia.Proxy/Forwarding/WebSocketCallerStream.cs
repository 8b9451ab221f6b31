using System.Runtime.CompilerServices;
using System.Security.Cryptography;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// The caller's side of a WebSocket that passes through, with one thing added: the proxy can end it with a close frame of its own in both directions. Whoever copies reads the
/// frame for the instance from here, in its place between the caller's frames; the one for the caller is written between the instance's. After it nothing more passes in that
/// direction, but the peer's frames are still taken, so that it comes to its own close frame. One reader and one writer, like any stream.
/// </summary>
internal sealed class WebSocketCallerStream(Stream inner) : Stream
{
    /// <summary>A close frame with the status 1001, Going Away, as servers send it.</summary>
    private static readonly byte[] GoingAway = [0x88, 2, 1001 >> 8, 1001 & 0xff];

    private readonly Direction _up = new();
    private readonly Direction _down = new();
    private readonly SemaphoreSlim _writing = new(1);
    private readonly CancellationTokenSource _interrupt = new();
    private CancellationTokenSource? _either;
    private CancellationToken _eitherOf;
    private ReadOnlyMemory<byte> _frameForInstance;
    private volatile bool _closing;

    /// <summary>Completes when the caller's own close frame, or the end of what it sends, has come.</summary>
    public Task CallerClosed => _up.PeerClosed.Task;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <summary>Ends both directions at the next end of a frame, with a close frame where the peer has not sent its own already.</summary>
    /// <param name="limit">Ends the wait for those frames' ends.</param>
    /// <returns>True when both directions have had their close frame, or their end.</returns>
    public async Task<bool> CloseAsync(CancellationToken limit)
    {
        _closing = true;
        try
        {
            await _interrupt.CancelAsync();
            // Whoever writes at the moment has found the flag down; it stands at the end of its bytes when it lets go, and the frame goes out here. If it is in the middle of
            // a frame then, the next one to write sees the flag, and the frame goes out there.
            await _writing.WaitAsync(limit);
            try
            {
                await CloseDownAsync_NeedsTurn(limit);
            }
            finally
            {
                _writing.Release();
            }

            await Task.WhenAll(_up.Ended.Task, _down.Ended.Task).WaitAsync(limit);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            // The caller has gone, which whoever copies has found out too.
            return false;
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (true)
        {
            var closing = _closing;
            if (closing && _up.TryStop())
            {
                if (_up.OwesFrame)
                    return FrameForInstance(buffer.Span);
                if (_up.PeerClosed.Task.IsCompleted)
                {
                    // Nothing more is expected from the caller. The end is not passed on before the instance has had its say: it may take a half-closed connection for
                    // a broken one.
                    await _down.PeerClosed.Task.WaitAsync(cancellationToken);
                    return 0;
                }
            }

            int read;
            try
            {
                read = await inner.ReadAsync(buffer, closing ? cancellationToken : Interruptible(cancellationToken));
            }
            catch (OperationCanceledException) when (!closing && _closing && !cancellationToken.IsCancellationRequested)
            {
                continue;
            }

            // A read without a buffer waits for something to read and takes nothing.
            if (buffer.Length == 0)
                return 0;
            if (read == 0)
            {
                _up.SourceEnded();
                return 0;
            }

            if (_up.Take(buffer.Span[..read], closing) is > 0 and var passing)
                return passing;
        }
    }

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        await _writing.WaitAsync(cancellationToken);
        try
        {
            var closing = _closing;
            var passing = _down.Take(buffer.Span, closing);
            if (passing > 0)
                await inner.WriteAsync(buffer[..passing], cancellationToken);
            if (closing)
                await CloseDownAsync_NeedsTurn(cancellationToken);
        }
        finally
        {
            _writing.Release();
        }
    }

    public override async Task FlushAsync(CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken);
        try
        {
            await inner.FlushAsync(cancellationToken);
        }
        finally
        {
            _writing.Release();
        }
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush() => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override async ValueTask DisposeAsync()
    {
        await inner.DisposeAsync();
        await base.DisposeAsync();
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            inner.Dispose();
            _either?.Dispose();
            _interrupt.Dispose();
            _writing.Dispose();
        }

        base.Dispose(disposing);
    }

    private async Task CloseDownAsync_NeedsTurn(CancellationToken cancellation)
    {
        if (!_down.TryStop() || !_down.OwesFrame)
            return;
        await inner.WriteAsync(GoingAway, cancellation);
        await inner.FlushAsync(cancellation);
        _down.FrameSent();
    }

    /// <summary>Hands out the frame for the instance, in parts if the buffer is that small; nothing to a read without a buffer, which asks whether there is something.</summary>
    private int FrameForInstance(Span<byte> buffer)
    {
        if (_frameForInstance.IsEmpty)
            _frameForInstance = Masked(GoingAway);
        var length = Math.Min(_frameForInstance.Length, buffer.Length);
        _frameForInstance.Span[..length].CopyTo(buffer);
        _frameForInstance = _frameForInstance[length..];
        if (_frameForInstance.IsEmpty)
            _up.FrameSent();
        return length;
    }

    /// <summary>The frame as a client sends it: its payload under a key that nobody can know beforehand.</summary>
    private static byte[] Masked(byte[] frame)
    {
        const int HeaderBytes = 2;
        var key = RandomNumberGenerator.GetBytes(4);
        byte[] masked = [frame[0], (byte)(frame[1] | 0x80), .. key, .. frame.AsSpan(HeaderBytes)];
        for (var i = HeaderBytes + key.Length; i < masked.Length; i++)
            masked[i] ^= key[(i - HeaderBytes) % key.Length];
        return masked;
    }

    /// <summary>A token that ends with the copier's or when the proxy closes. Copiers use one token for all their reads, so that one source does for all.</summary>
    private CancellationToken Interruptible(CancellationToken cancellation)
    {
        if (_either is null || _eitherOf != cancellation)
        {
            _either?.Dispose();
            _either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, _interrupt.Token);
            _eitherOf = cancellation;
        }

        return _either.Token;
    }

    /// <summary>What one peer has sent, and how far it has been passed on.</summary>
    private sealed class Direction
    {
        private readonly WebSocketFrameTracker _frames = new();
        private bool _stopped;

        /// <summary>True from the stop until the proxy's own close frame is out.</summary>
        public bool OwesFrame { get; private set; }

        /// <summary>The direction has had a close frame, the peer's or the proxy's, or its end.</summary>
        public TaskCompletionSource Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>The peer has sent its own close frame, passed on or not, or said its last byte.</summary>
        public TaskCompletionSource PeerClosed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>Takes what the peer has sent.</summary>
        /// <param name="bytes">In order and without gaps.</param>
        /// <param name="closing">True to stop passing bytes on at the end of the frame.</param>
        /// <returns>How many of the bytes, from the first, are to be passed on.</returns>
        public int Take(ReadOnlySpan<byte> bytes, bool closing)
        {
            var passing = bytes.Length;
            if (closing)
            {
                passing = TryStop() ? 0 : _frames.TakeFrame(bytes);
                TryStop();
            }

            _frames.Take(closing ? bytes[passing..] : bytes);
            if (_frames.Closed)
                PeerClosed.TrySetResult();
            return passing;
        }

        /// <summary>Stops the direction if it stands between two frames. Whether the peer has closed it already is decided here.</summary>
        /// <returns>True when it has stopped, now or before.</returns>
        public bool TryStop()
        {
            if (_stopped || !_frames.AtBoundary)
                return _stopped;
            _stopped = true;
            OwesFrame = !_frames.Closed;
            if (!OwesFrame)
                Ended.TrySetResult();
            return true;
        }

        /// <summary>The peer has said its last byte, and whoever copies comes no more: there is nothing left to close.</summary>
        public void SourceEnded()
        {
            PeerClosed.TrySetResult();
            Ended.TrySetResult();
        }

        public void FrameSent()
        {
            OwesFrame = false;
            Ended.TrySetResult();
        }
    }
}

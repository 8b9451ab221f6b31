using System.Net;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// An instance's response body that ends its exchange as soon as the last byte has been read, before that byte goes to the caller. Otherwise a caller that sends its
/// next request at once could find the slot of the answered one still taken.
/// </summary>
internal sealed class FinishingContent(HttpContent inner, Exchange exchange, CancellationToken callerGone) : HttpContent
{
    protected override Task<Stream> CreateContentReadStreamAsync() => CreateContentReadStreamAsync(CancellationToken.None);

    protected override async Task<Stream> CreateContentReadStreamAsync(CancellationToken cancellationToken)
    {
        var stream = await inner.ReadAsStreamAsync(cancellationToken);
        return new FinishingStream(stream, inner.Headers.ContentLength ?? -1, exchange, callerGone);
    }

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context) => await inner.CopyToAsync(stream, context);

    protected override bool TryComputeLength(out long length)
    {
        length = inner.Headers.ContentLength ?? -1;
        return length >= 0;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            inner.Dispose();
        base.Dispose(disposing);
    }

    private sealed class FinishingStream(Stream inner, long length, Exchange exchange, CancellationToken callerGone) : Stream
    {
        private long _left = length;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var read = inner.ReadAsync(buffer, cancellationToken);
            return read.IsCompletedSuccessfully ? ValueTask.FromResult(Count(read.Result, buffer.Length)) : Awaited(read, buffer.Length);

            async ValueTask<int> Awaited(ValueTask<int> pending, int size)
            {
                try
                {
                    return Count(await pending, size);
                }
                catch (Exception e) when (!callerGone.IsCancellationRequested)
                {
                    // Told here, before the caller's connection is ended for it: from then on it looks as if the caller had gone.
                    exchange.BreakOff();
                    if (exchange.EndsWithStatus(e))
                        return Count(0, size);
                    throw;
                }
            }
        }

        public override int Read(byte[] buffer, int offset, int count) => Count(inner.Read(buffer, offset, count), count);

        public override void Flush() => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                inner.Dispose();
            base.Dispose(disposing);
        }

        private int Count(int read, int size)
        {
            if (_left > 0)
                _left -= read;
            exchange.Progress();
            // A zero-byte read waits for data and is no end.
            if (_left == 0 || (read == 0 && size > 0))
                exchange.Finish();
            return read;
        }
    }
}

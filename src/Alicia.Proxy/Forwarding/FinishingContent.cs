using System.Net;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// An instance's response body that ends its exchange as soon as the last byte has been read, before that byte goes to the caller. Otherwise a caller that sends its
/// next request at once could find the slot of the answered one still taken. It also sends the head on when the first byte is not there yet: a caller of an event stream
/// wants to know that it is open.
/// </summary>
internal sealed class FinishingContent(HttpContent inner, Exchange exchange, HttpResponse response) : HttpContent
{
    protected override Task<Stream> CreateContentReadStreamAsync() => CreateContentReadStreamAsync(CancellationToken.None);

    protected override async Task<Stream> CreateContentReadStreamAsync(CancellationToken cancellationToken)
    {
        var stream = await inner.ReadAsStreamAsync(cancellationToken);
        return new FinishingStream(stream, inner.Headers.ContentLength ?? -1, exchange, response);
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

    private sealed class FinishingStream(Stream inner, long length, Exchange exchange, HttpResponse response) : Stream
    {
        private long _left = length;
        private bool _headMayWait = true;

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
            if (read.IsCompletedSuccessfully)
            {
                _headMayWait = false;
                return ValueTask.FromResult(Count(read.Result, buffer.Length));
            }

            var flush = _headMayWait && !read.IsCompleted;
            _headMayWait = false;
            return Awaited(read, buffer.Length, flush, cancellationToken);

            async ValueTask<int> Awaited(ValueTask<int> pending, int size, bool flushHead, CancellationToken cancellation)
            {
                // The server does not say here that the caller has gone; the next write or the cancelled read does.
                if (flushHead)
                    await response.Body.FlushAsync(cancellation);
                try
                {
                    return Count(await pending, size);
                }
                catch (Exception e) when (!response.HttpContext.RequestAborted.IsCancellationRequested)
                {
                    // Told here, before YARP ends the caller's connection for it: from then on it looks as if the caller had gone.
                    if (e is OperationCanceledException)
                        exchange.WentSilent = true;
                    else
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
            exchange.Progress(read);
            // A zero-byte read waits for data and is no end.
            if (_left == 0 || (read == 0 && size > 0))
                exchange.Finish();
            return read;
        }
    }
}

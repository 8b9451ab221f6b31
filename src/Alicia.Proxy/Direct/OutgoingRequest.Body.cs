using System.Globalization;
using Microsoft.AspNetCore.Http.Features;
using Yarp.ReverseProxy.Forwarder;

namespace Alicia.Proxy.Direct;

/// <content>The body on its way from the caller into the buffer, in the form that it goes out in.</content>
internal sealed partial class OutgoingRequest
{
    /// <summary>Takes what is there of the body without waiting, behind the head. A second look is for its end; what does not fit goes next.</summary>
    private void ReadAhead()
    {
        try
        {
            while (!_isComplete && _out.Length <= BodyBytes / 2)
            {
                if (!_isReading)
                    BeginRead();
                if (!_read.IsCompleted)
                    return;
                _isReading = false;
                Append(_read.GetAwaiter().GetResult());
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException or InvalidOperationException)
        {
            // Nothing has gone out yet, and nothing will.
            Fault = new Ending(e is OperationCanceledException ? ForwarderError.RequestBodyCanceled : ForwarderError.RequestBodyClient, e);
        }
    }

    private void BeginRead()
    {
        _out.Reserve(ChunkPrefix + ChunkSuffix + (_context.Request.ContentLength is { } length and < BodyBytes / 2 ? (int)length + 1 : BodyBytes / 2));
        _readAt = _out.Length + (_isChunked ? ChunkPrefix : 0);
        _read = _context.Request.Body.ReadAsync(_out.Buffer.AsMemory(_readAt, _out.Buffer.Length - _readAt - ChunkSuffix), _reading!.Token);
        _isReading = true;
    }

    /// <summary>Puts what was read behind what is there, in the form that it goes out in.</summary>
    private void Append(int read)
    {
        _sent += read;
        if (read == 0)
        {
            _isComplete = true;
            if (!_isChunked)
                return;
            _out.Raw("0\r\n"u8);
            if (_context.Features.Get<IHttpRequestTrailersFeature>() is { Available: true, Trailers.Count: > 0 } trailers)
                _exchange.WriteTrailers(trailers.Trailers, _out);
            _out.Raw("\r\n"u8);
            return;
        }

        if (!_isChunked)
        {
            // The head has gone, and the body moves up to its place.
            if (_readAt != _out.Length)
                _out.Buffer.AsSpan(_readAt, read).CopyTo(_out.Buffer.AsSpan(_out.Length));
            _out.Length += read;
            return;
        }

        Span<byte> size = stackalloc byte[ChunkPrefix];
        read.TryFormat(size, out var digits, "x", CultureInfo.InvariantCulture);
        size[digits++] = (byte)'\r';
        size[digits++] = (byte)'\n';
        var data = _out.Buffer.AsSpan(_readAt, read);
        data.CopyTo(_out.Buffer.AsSpan(_out.Length + digits));
        size[..digits].CopyTo(_out.Buffer.AsSpan(_out.Length));
        _out.Length += digits + read;
        _out.Raw("\r\n"u8);
    }
}

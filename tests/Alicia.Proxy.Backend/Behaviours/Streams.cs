using System.Text;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace Alicia.Proxy.Backend.Behaviours;

/// <summary>Behaviours whose answer takes long or is large. Body bytes follow a pattern, byte i being i modulo 251, and are never
/// stored.</summary>
internal static class Streams
{
    private const int Period = 251;

    /// <summary>One block holds whole periods, so blocks follow each other without a seam.</summary>
    private static readonly byte[] _block = [.. Enumerable.Range(0, Period * 256).Select(i => (byte)(i % Period))];

    /// <summary>Chunks of <c>size</c> bytes, each flushed, <c>ms</c> milliseconds apart.</summary>
    public static async Task ChunksAsync(Exchange exchange)
    {
        var chunks = exchange.Script.Number("chunks", 10);
        var pause = TimeSpan.FromMilliseconds(exchange.Script.Number("ms", 0));
        var size = exchange.Script.Number("size", 10);
        exchange.Response.ContentType = "application/octet-stream";
        await exchange.Response.Body.FlushAsync(exchange.Gone);
        for (var i = 0L; i < chunks; i++)
        {
            await Task.Delay(pause, exchange.Gone);
            await WritePatternAsync(exchange, i * size, size);
            await exchange.Response.Body.FlushAsync(exchange.Gone);
        }
        await exchange.FinishAsync();
    }

    /// <summary>Server-sent events with ids from 0, each flushed, <c>ms</c> milliseconds apart.</summary>
    public static async Task EventsAsync(Exchange exchange)
    {
        var events = exchange.Script.Number("events", 10);
        var pause = TimeSpan.FromMilliseconds(exchange.Script.Number("ms", 0));
        exchange.Response.ContentType = "text/event-stream";
        exchange.Response.Headers.CacheControl = "no-store";
        await exchange.Response.Body.FlushAsync(exchange.Gone);
        for (var i = 0L; i < events; i++)
        {
            await Task.Delay(pause, exchange.Gone);
            await exchange.Response.WriteAsync($"id: {i}\nevent: tick\ndata: {{\"n\":{i}}}\n\n", exchange.Gone);
            await exchange.Response.Body.FlushAsync(exchange.Gone);
        }
        await exchange.FinishAsync();
    }

    /// <summary>A body of <c>n</c> bytes, with its length or chunked.</summary>
    public static async Task BytesAsync(Exchange exchange)
    {
        var length = exchange.Script.Number("n", 0);
        exchange.Response.ContentType = "application/octet-stream";
        if (!exchange.Script.Has("chunked"))
            exchange.Response.ContentLength = length;
        // All but the last byte, so that the request is counted out before that one.
        await WritePatternAsync(exchange, 0, Math.Max(0, length - 1));
        await exchange.FinishAsync(length == 0 ? default : new[] { (byte)((length - 1) % Period) });
    }

    /// <summary>A small body, then the trailer fields of <c>t=Field:value</c>.</summary>
    public static async Task TrailersAsync(Exchange exchange)
    {
        (string Field, string Value)[] trailers = [.. exchange.Script.Fields("t")];
        if (trailers.Length == 0)
            trailers = [("X-Checksum", "abc")];

        if (exchange.Response.SupportsTrailers())
        {
            foreach (var (field, value) in trailers)
            {
                exchange.Response.DeclareTrailer(field);
                exchange.Response.AppendTrailer(field, value);
            }
            await exchange.FinishAsync("trailed"u8.ToArray());
            return;
        }
        await WriteTrailersByHandAsync(exchange, trailers);
    }

    /// <summary>Writes <paramref name="count"/> bytes of the pattern from <paramref name="from"/> on.</summary>
    public static async Task WritePatternAsync(Exchange exchange, long from, long count)
    {
        while (count > 0)
        {
            var start = (int)(from % Period);
            var part = (int)Math.Min(count, _block.Length - start);
            await exchange.Response.Body.WriteAsync(_block.AsMemory(start, part), exchange.Gone);
            from += part;
            count -= part;
        }
    }

    /// <summary>The server has no trailers on HTTP/1.1: the whole answer is put on the socket behind its back, and the connection ends
    /// with it.</summary>
    private static async Task WriteTrailersByHandAsync(Exchange exchange, (string Field, string Value)[] trailers)
    {
        var answer = new StringBuilder("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n")
            .Append($"X-Backend: {exchange.Name}\r\nTrailer: {string.Join(", ", trailers.Select(t => t.Field))}\r\n\r\n")
            .Append("7\r\ntrailed\r\n0\r\n");
        foreach (var (field, value) in trailers)
            answer.Append($"{field}: {value}\r\n");
        answer.Append("\r\n");

        var socket = exchange.Context.Features.GetRequiredFeature<IConnectionSocketFeature>().Socket;
        exchange.Flight.Land();
        await socket.SendAsync(Encoding.Latin1.GetBytes(answer.ToString()), exchange.Gone);
        // The other side closes once it has read the answer; aborting before that could overtake it.
        await Task.Delay(TimeSpan.FromSeconds(5), exchange.Gone).ContinueWith(_ => { }, TaskScheduler.Default);
        exchange.Context.Abort();
    }
}

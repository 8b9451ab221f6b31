using System.Security.Cryptography;
using Microsoft.AspNetCore.Http.Features;

namespace Alicia.Proxy.Backend.Behaviours;

/// <summary>Behaviours that answer properly: what came, late, after the whole body, or when a test says so.</summary>
internal static class Answers
{
    /// <summary>Bodies below this many bytes come back in the echo.</summary>
    private const int EchoedBody = 64 * 1024;

    public static async Task EchoAsync(Exchange exchange)
    {
        var request = exchange.Request;
        var (length, sha256, kept) = await ReadBodyAsync(exchange);
        await exchange.JsonAsync(new
        {
            exchange.Name,
            request.Method,
            RawTarget = exchange.Context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget,
            request.Protocol,
            Headers = Pairs(request.Headers),
            BodyLength = length,
            BodySha256 = sha256,
            BodyBase64 = kept is null ? null : Convert.ToBase64String(kept),
            Trailers = request.SupportsTrailers() && request.CheckTrailersAvailable()
                ? Pairs(exchange.Context.Features.GetRequiredFeature<IHttpRequestTrailersFeature>().Trailers)
                : [],
        });
    }

    public static async Task DelayAsync(Exchange exchange)
    {
        var milliseconds = exchange.Script.Number("ms", 0);
        await Task.Delay(TimeSpan.FromMilliseconds(milliseconds), exchange.Gone);
        await exchange.JsonAsync(new { exchange.Name, DelayedMs = milliseconds });
    }

    public static async Task SinkAsync(Exchange exchange)
    {
        var (length, sha256, _) = await ReadBodyAsync(exchange);
        await exchange.JsonAsync(new { exchange.Name, BodyLength = length, BodySha256 = sha256 });
    }

    public static async Task HoldAsync(Exchange exchange, HoldGates gates)
    {
        var key = exchange.Script.Rest;
        if (exchange.Script.Has("head"))
        {
            exchange.Response.ContentType = "text/plain";
            await exchange.Response.Body.FlushAsync(exchange.Gone);
            await gates.HoldAsync(key, exchange.Gone);
            await exchange.FinishAsync("released"u8.ToArray());
            return;
        }
        await gates.HoldAsync(key, exchange.Gone);
        await exchange.JsonAsync(new { exchange.Name, Key = key });
    }

    private static async Task<(long Length, string Sha256, byte[]? Kept)> ReadBodyAsync(Exchange exchange)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using var kept = new MemoryStream();
        var buffer = new byte[64 * 1024];
        long length = 0;
        int read;
        while ((read = await exchange.Request.Body.ReadAsync(buffer, exchange.Gone)) > 0)
        {
            hash.AppendData(buffer, 0, read);
            if (length < EchoedBody)
                kept.Write(buffer, 0, read);
            length += read;
        }
        return (length, Convert.ToHexStringLower(hash.GetHashAndReset()), length < EchoedBody ? kept.ToArray() : null);
    }

    private static string[][] Pairs(IHeaderDictionary fields) =>
        [.. fields.SelectMany(field => field.Value.Select(value => new[] { field.Key, value ?? "" }))];
}

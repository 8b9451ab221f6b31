using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http.Features;

namespace Alicia.Proxy.Backend.Behaviours;

/// <summary>Behaviours in which the answer never comes or never gets whole.</summary>
internal static class Failures
{
    public static Task HangAsync(Exchange exchange) => Task.Delay(Timeout.Infinite, exchange.Gone);

    /// <summary>Ends the connection before any byte of the answer: a TCP reset on HTTP/1.1, a stream reset on HTTP/2.</summary>
    public static Task ResetAsync(Exchange exchange)
    {
        exchange.Flight.Land();
        if (!HttpProtocol.IsHttp2(exchange.Request.Protocol))
            ResetConnection(exchange);
        exchange.Context.Abort();
        return Task.CompletedTask;
    }

    /// <summary>Sends the head and the first <c>after</c> bytes of the body, then closes (or resets, with <c>rst=1</c>).</summary>
    public static async Task CutAsync(Exchange exchange)
    {
        var after = exchange.Script.Number("after", 0);
        if (exchange.Script.Has("length"))
        {
            var length = exchange.Script.Number("length", 0);
            if (after >= length)
                throw new ScriptException("'after' is less than 'length', or nothing is cut");
            exchange.Response.ContentLength = length;
        }
        exchange.Response.ContentType = "application/octet-stream";
        await exchange.Response.StartAsync(exchange.Gone);
        await Streams.WritePatternAsync(exchange, 0, after);
        await exchange.Response.Body.FlushAsync(exchange.Gone);

        exchange.Flight.Land();
        if (exchange.Script.Has("rst") && !HttpProtocol.IsHttp2(exchange.Request.Protocol))
        {
            ResetConnection(exchange);
            exchange.Context.Abort();
            return;
        }
        // A handler that fails after the head is what the server takes as a reason to close without completing the body: what has been
        // written still arrives, which a reset could overtake.
        throw new CutException();
    }

    /// <summary>Closing with a linger time of zero makes the kernel send a reset in place of an orderly end.</summary>
    private static void ResetConnection(Exchange exchange) =>
        exchange.Context.Features.GetRequiredFeature<IConnectionSocketFeature>().Socket.Close(timeout: 0);

    private sealed class CutException : Exception;
}

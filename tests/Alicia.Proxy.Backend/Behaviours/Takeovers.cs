using System.Net.WebSockets;
using Microsoft.AspNetCore.Http.Features;

namespace Alicia.Proxy.Backend.Behaviours;

/// <summary>Behaviours that take the connection over after the handshake and send back what arrives.</summary>
internal static class Takeovers
{
    /// <summary>Switches to whatever protocol the request names; echoes bytes until the other side has no more.</summary>
    public static async Task UpgradeAsync(Exchange exchange)
    {
        var upgrade = exchange.Context.Features.Get<IHttpUpgradeFeature>();
        if (upgrade is not { IsUpgradableRequest: true })
        {
            exchange.Response.Headers.Upgrade = "echo";
            await exchange.StatusAsync(StatusCodes.Status426UpgradeRequired);
            return;
        }

        exchange.Response.Headers.Upgrade = exchange.Request.Headers.Upgrade;
        await using var stream = await upgrade.UpgradeAsync();
        var buffer = new byte[16 * 1024];
        int read;
        while ((read = await stream.ReadAsync(buffer, exchange.Gone)) > 0)
        {
            await stream.WriteAsync(buffer.AsMemory(0, read), exchange.Gone);
            await stream.FlushAsync(exchange.Gone);
        }
        exchange.Flight.Land();
    }

    /// <summary>Echoes WebSocket messages, text and binary, fragment by fragment, and answers the close with the same code.</summary>
    public static async Task WebSocketAsync(Exchange exchange)
    {
        if (!exchange.Context.WebSockets.IsWebSocketRequest)
        {
            await exchange.StatusAsync(StatusCodes.Status426UpgradeRequired);
            return;
        }

        var subProtocol = exchange.Context.WebSockets.WebSocketRequestedProtocols is [var first, ..] ? first : null;
        using var socket = await exchange.Context.WebSockets.AcceptWebSocketAsync(subProtocol);
        var buffer = new byte[16 * 1024];
        try
        {
            while (true)
            {
                var part = await socket.ReceiveAsync(buffer.AsMemory(), exchange.Gone);
                if (part.MessageType == WebSocketMessageType.Close)
                    break;
                await socket.SendAsync(buffer.AsMemory(0, part.Count), part.MessageType, part.EndOfMessage, exchange.Gone);
            }
            exchange.Flight.Land();
            // A close without a code may only be answered without one.
            var code = socket.CloseStatus ?? WebSocketCloseStatus.Empty;
            await socket.CloseOutputAsync(code, code == WebSocketCloseStatus.Empty ? null : socket.CloseStatusDescription, exchange.Gone);
        }
        catch (WebSocketException)
        {
            // The other side went without the closing handshake.
            exchange.Flight.Abort();
        }
    }
}

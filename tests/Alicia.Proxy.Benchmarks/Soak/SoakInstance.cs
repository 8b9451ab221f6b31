using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Net.WebSockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Alicia.Proxy.Benchmarks.Soak;

/// <summary>
/// An instance of the soak, a process of its own: gives and takes bodies that are known byte by byte, and is as bad as the lines on its standard input say: <c>normal</c>, <c>slow</c>, <c>hang</c>,
/// <c>reset</c>. Ends when that input closes.
/// </summary>
internal static class SoakInstance
{
    public const string Verb = "soak-instance";

    /// <summary>Line with which it says its port.</summary>
    public const string Ready = "listening ";

    /// <summary>Answer to a body that is not what its seed says.</summary>
    public const int WrongBytes = StatusCodes.Status418ImATeapot;

    private const int Piece = 7_001;

    private static readonly TimeSpan _slowness = TimeSpan.FromMilliseconds(150);
    private static readonly TimeSpan _drip = TimeSpan.FromMilliseconds(5);

    private static volatile string _mode = "normal";
    private static volatile TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public static async Task<int> RunAsync(string[] args)
    {
        var options = new VerbOptions(Verb, args, "port", "idle-ms");
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(server =>
        {
            server.Listen(IPAddress.Loopback, options.Number("port", 0, 0, 65535), listen => listen.Protocols = HttpProtocols.Http1);
            server.Limits.KeepAliveTimeout = TimeSpan.FromMilliseconds(options.Number("idle-ms", 130_000, 1, 3_600_000));
            server.Limits.MinRequestBodyDataRate = null;
            server.Limits.MinResponseDataRate = null;
        });
        await using var app = builder.Build();
        app.UseWebSockets();
        app.Run(AnswerAsync);
        await app.StartAsync();
        var address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        await Console.Out.WriteLineAsync($"{Ready}{new Uri(address).Port}");
        // On a thread of its own: the console's reader blocks, in its asynchronous methods too.
        await Task.Run(() =>
        {
            while (Console.In.ReadLine() is { } mode)
            {
                _mode = mode;
                Interlocked.Exchange(ref _changed, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();
            }
        });
        // Whoever started it is gone or wants it gone; requests under way are not waited for.
        Environment.Exit(0);
        return 0;
    }

    private static async Task AnswerAsync(HttpContext context)
    {
        try
        {
            while (_mode == "hang")
                await _changed.Task.WaitAsync(context.RequestAborted);
            if (_mode == "slow")
                await Task.Delay(_slowness, context.RequestAborted);
            var breaks = _mode == "reset" && Random.Shared.Next(2) == 0 && context.Request.Path != "/health";
            var length = Number(context, "n");
            var seed = Number(context, "seed");
            switch (context.Request.Path.Value)
            {
                case "/health":
                    context.Response.StatusCode = StatusCodes.Status204NoContent;
                    return;
                case "/bytes":
                    context.Response.ContentLength = length;
                    await SendAsync(context, SoakBodies.Of(seed, length), length, breaks);
                    return;
                case "/chunked":
                    await SendAsync(context, SoakBodies.Of(seed, length), Piece, breaks);
                    return;
                case "/drip":
                    context.Response.ContentLength = length;
                    for (var rest = SoakBodies.Of(seed, length); rest.Length > 0; rest = rest[Math.Min(rest.Length, Piece)..])
                    {
                        await context.Response.Body.WriteAsync(rest[..Math.Min(rest.Length, Piece)], context.RequestAborted);
                        await Task.Delay(_drip, context.RequestAborted);
                    }

                    return;
                case "/sum":
                    if (breaks)
                        Break(context);
                    else if (await SoakBodies.ReadAsync(context.Request.Body, seed, context.RequestAborted) != length)
                        context.Response.StatusCode = WrongBytes;
                    else
                        await context.Response.WriteAsync("ok");
                    return;
                case "/echo":
                    await context.Request.Body.CopyToAsync(context.Response.Body, context.RequestAborted);
                    return;
                case "/ws":
                    await EchoFramesAsync(context);
                    return;
                default:
                    context.Response.StatusCode = StatusCodes.Status404NotFound;
                    return;
            }
        }
        catch (Exception gone) when (gone is OperationCanceledException or IOException or WebSocketException)
        {
            // The caller has left, or was made to: part of the soak, and counted on the other side.
        }
    }

    private static async Task SendAsync(HttpContext context, ReadOnlyMemory<byte> body, int piece, bool breaks)
    {
        var end = breaks ? body.Length / 2 : body.Length;
        for (var at = 0; at < end; at += piece)
            await context.Response.Body.WriteAsync(body[at..Math.Min(at + piece, end)], context.RequestAborted);
        if (!breaks)
            return;
        await context.Response.Body.FlushAsync(context.RequestAborted);
        Break(context);
    }

    /// <summary>Ends the connection with a reset.</summary>
    private static void Break(HttpContext context)
    {
        if (context.Features.Get<IConnectionSocketFeature>()?.Socket is { } socket)
            socket.LingerState = new LingerOption(enable: true, seconds: 0);
        context.Abort();
    }

    private static async Task EchoFramesAsync(HttpContext context)
    {
        using var socket = await context.WebSockets.AcceptWebSocketAsync();
        var buffer = new byte[16 * 1024];
        while (true)
        {
            var frame = await socket.ReceiveAsync(buffer.AsMemory(), context.RequestAborted);
            if (frame.MessageType == WebSocketMessageType.Close)
            {
                await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, context.RequestAborted);
                return;
            }

            await socket.SendAsync(buffer.AsMemory(0, frame.Count), frame.MessageType, frame.EndOfMessage, context.RequestAborted);
        }
    }

    private static int Number(HttpContext context, string name) =>
        int.TryParse(context.Request.Query[name], NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? Math.Min(number, SoakBodies.MaxLength) : 0;
}

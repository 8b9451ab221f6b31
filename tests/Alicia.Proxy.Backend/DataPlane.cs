using Alicia.Proxy.Backend.Behaviours;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;

namespace Alicia.Proxy.Backend;

/// <summary>Counts each data request in and out, imposes the mode and plays the behaviour that the request asks for.</summary>
internal sealed class DataPlane(string name, Traffic traffic, HoldGates gates, ModeBoard modes, Journal? journal)
{
    public async Task AnswerAsync(HttpContext context)
    {
        context.Response.Headers["X-Backend"] = name;
        if (context.Request.Path == "/health" && !context.Request.Headers.ContainsKey("X-Script"))
        {
            await AnswerProbeAsync(context);
            return;
        }

        journal?.Write(context.Request);
        context.Features.GetRequiredFeature<CountedConnection>().Carry();
        var flight = traffic.Take(context.Request.Path.Value ?? "");
        try
        {
            await PlayAsync(new Exchange(context, Script.Of(context.Request), flight, name));
        }
        catch (ScriptException fault)
        {
            flight.Land();
            context.Response.StatusCode = StatusCodes.Status400BadRequest;
            await context.Response.WriteAsync(fault.Message);
        }
        catch (Exception gone) when (gone is OperationCanceledException or ConnectionResetException)
        {
            // No answer must come of this, not even the empty 200 that returning normally means.
            flight.Abort();
            context.Abort();
        }
        catch (BadHttpRequestException)
        {
            // The body ended before it was whole or was no valid body; the server answers 400 if anybody still listens.
            flight.Abort();
            throw;
        }
        finally
        {
            flight.Land();
        }
    }

    private async Task PlayAsync(Exchange exchange)
    {
        await ImposeDelayAsync(modes.Current, exchange.Gone);
        if (modes.Current.Status is { } status)
        {
            await exchange.StatusAsync(status);
            return;
        }

        foreach (var (field, value) in exchange.Script.Fields("h"))
            exchange.Response.Headers.Append(field, value);
        await (exchange.Script.Behaviour switch
        {
            "delay" => Answers.DelayAsync(exchange),
            "status" => exchange.StatusAsync(Script.Status(exchange.Script.Rest)),
            "sink" => Answers.SinkAsync(exchange),
            "early" => exchange.StatusAsync((int)exchange.Script.Number("status", 200)),
            "hold" => Answers.HoldAsync(exchange, gates),
            "hang" => Failures.HangAsync(exchange),
            "reset" => Failures.ResetAsync(exchange),
            "cut" => Failures.CutAsync(exchange),
            "stream" => Streams.ChunksAsync(exchange),
            "sse" => Streams.EventsAsync(exchange),
            "bytes" => Streams.BytesAsync(exchange),
            "trailers" => Streams.TrailersAsync(exchange),
            "upgrade" => Takeovers.UpgradeAsync(exchange),
            "ws" => Takeovers.WebSocketAsync(exchange),
            _ => Answers.EchoAsync(exchange),
        });
    }

    private async Task AnswerProbeAsync(HttpContext context)
    {
        traffic.CountProbe();
        var mode = modes.Current.Health ?? new HealthMode();
        try
        {
            await ImposeDelayAsync(mode, context.RequestAborted);
            context.Response.StatusCode = mode.Status ?? StatusCodes.Status200OK;
            await context.Response.WriteAsync(mode.Body ?? "ok", context.RequestAborted);
        }
        catch (OperationCanceledException)
        {
            context.Abort();
        }
    }

    private static async Task ImposeDelayAsync(Imposed mode, CancellationToken gone)
    {
        if (mode.DelayMs is { } milliseconds)
            await Task.Delay(milliseconds, gone);
        if (mode.Hang)
            await Task.Delay(Timeout.Infinite, gone);
    }
}

using System.Globalization;
using System.Text.Json;

namespace Alicia.Proxy.Backend;

/// <summary>The paths under <c>/control</c>: ask what was seen, impose a mode, let held requests go. Never counted.</summary>
internal sealed class Control(string name, Traffic traffic, HoldGates gates, ModeBoard modes)
{
    public async Task AnswerAsync(HttpContext context)
    {
        var step = context.Request.Path.Value!["/control".Length..].TrimStart('/');
        switch (context.Request.Method, step)
        {
            case ("GET", "stats"):
                await context.Response.WriteAsJsonAsync(traffic.Report(name, gates.Held()), Exchange.Json);
                break;
            case ("POST", "reset"):
                modes.Current = new Mode();
                gates.ReleaseAll();
                traffic.Reset();
                break;
            case ("POST", "mode"):
                await SetModeAsync(context);
                break;
            case ("POST", _) when step.StartsWith("release/", StringComparison.Ordinal):
                var most = int.TryParse(context.Request.Query["n"], NumberStyles.None, CultureInfo.InvariantCulture, out var n) ? n : int.MaxValue;
                await context.Response.WriteAsJsonAsync(new { released = gates.Release(step["release/".Length..], most) }, Exchange.Json);
                break;
            default:
                context.Response.StatusCode = StatusCodes.Status404NotFound;
                break;
        }
    }

    private async Task SetModeAsync(HttpContext context)
    {
        try
        {
            var mode = await JsonSerializer.DeserializeAsync<Mode>(context.Request.Body, Exchange.Json, context.RequestAborted);
            modes.Current = mode ?? new Mode();
        }
        catch (JsonException fault)
        {
            context.Response.StatusCode = StatusCodes.Status400BadRequest;
            await context.Response.WriteAsync(fault.Message);
        }
    }
}

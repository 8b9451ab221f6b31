using System.Net;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Live;
using Alicia.Proxy.Registry.Settings;
using Microsoft.AspNetCore.Http.Features;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// Forwards HTTP/1.1 upgrades of any kind to HTTP/1.1 instances: YARP's forwarder knows WebSockets only. When the instance switches protocols, bytes go both ways
/// until either side ends; any other answer goes back like an ordinary response.
/// </summary>
internal sealed class UpgradeForwarder(UpstreamConnector connector, OpenTunnels tunnels, TimeProvider time)
{
    /// <summary>
    /// How long an instance may go on after its caller has ended. Kestrel takes the end of a caller's sending for the end of the caller, so nobody listens any
    /// more; but a connection that is closed on unread bytes is reset, and the reset can overtake the caller's last words.
    /// </summary>
    private static readonly TimeSpan Farewell = TimeSpan.FromMilliseconds(500);

    /// <summary>
    /// True when the request asks for another protocol on this connection. Clear-text HTTP/2 is not passed on: with it the instance would answer on a connection
    /// that the proxy shares between callers.
    /// </summary>
    public static bool Wants(HttpContext context) =>
        context.Request.Headers.Upgrade.Count > 0
        && context.Features.Get<IHttpUpgradeFeature>() is { IsUpgradableRequest: true }
        && !context.Request.Headers.Upgrade.ToString().Contains("h2c", StringComparison.OrdinalIgnoreCase);

    /// <param name="caller">The request.</param>
    /// <param name="exchange">It as an exchange with an instance.</param>
    /// <param name="instance">That instance.</param>
    /// <param name="settings">Of the service.</param>
    /// <returns>Null when the exchange went well or the answer was dropped, else what the caller is to be told.</returns>
    public async Task<Outcome?> ForwardAsync(CallerRequest caller, Exchange exchange, InstanceLive instance, ServiceSettings settings)
    {
        var context = caller.Context;
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        using var connection = new TunnelConnection(connector);
        using var request = new HttpRequestMessage(HttpMethod.Parse(context.Request.Method), (Uri?)null)
        {
            Version = HttpVersion.Version11,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        await exchange.TransformRequestAsync(context, request, "", ending.Token);
        request.Headers.TryAddWithoutValidation("Connection", "Upgrade");
        request.Headers.TryAddWithoutValidation("Upgrade", (IEnumerable<string?>)context.Request.Headers.Upgrade);

        using var head = new CancellationTokenSource(caller.HeadTimeout(), time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ending.Token, head.Token);
        HttpResponseMessage response;
        try
        {
            response = await connection.Invoker.SendAsync(request, either.Token);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            return new Outcome(FaultSide.Caller, null);
        }
        catch (OperationCanceledException) when (head.IsCancellationRequested)
        {
            return new Outcome(FaultSide.Instance, ProxyError.ResponseTimeout);
        }
        catch (HttpRequestException e)
        {
            return new Outcome(FaultSide.Instance, Outcome.OfException(e)) { Cause = e };
        }

        using (response)
        {
            try
            {
                if (!await exchange.TransformResponseAsync(context, response, ending.Token))
                    return null;
            }
            catch (Exception e) when (e is HttpRequestException or InvalidOperationException)
            {
                // A head that means nothing, or a field that no server may send.
                return new Outcome(FaultSide.Instance, ProxyError.ProtocolError);
            }

            context.Response.StatusCode = (int)response.StatusCode;
            context.Features.Get<IHttpResponseFeature>()!.ReasonPhrase = response.ReasonPhrase;
            return response.StatusCode == HttpStatusCode.SwitchingProtocols
                ? await TunnelAsync(caller, exchange, instance, connection, response, settings)
                : await RelayAsync(caller, exchange, response, settings, ending);
        }
    }

    private async Task<Outcome?> TunnelAsync(
        CallerRequest caller, Exchange exchange, InstanceLive live, TunnelConnection connection, HttpResponseMessage response, ServiceSettings settings)
    {
        var context = caller.Context;
        if (!response.Headers.NonValidated.TryGetValues("Upgrade", out var protocol))
            return new Outcome(FaultSide.Instance, ProxyError.UpgradeFailed);
        context.Response.Headers.Connection = "Upgrade";
        context.Response.Headers.Upgrade = protocol.ToString();
        await using var instance = await response.Content.ReadAsStreamAsync(context.RequestAborted);
        var upgraded = await context.Features.Get<IHttpUpgradeFeature>()!.UpgradeAsync();
        var webSocket = protocol.ToString().Equals("websocket", StringComparison.OrdinalIgnoreCase) ? new WebSocketCallerStream(upgraded) : null;
        await using var near = webSocket ?? upgraded;
        using var tunnel = tunnels.Open(live, webSocket);

        // Not tied to RequestAborted: it fires when the caller's last bytes have arrived, and those are still to be passed on.
        using var ending = new CancellationTokenSource();
        using var silence = new SilenceWatch(settings.Get(SettingKeys.WebSocketIdle), caller.TimeLeft(), time, ending.Token);
        var up = DuplexCopy.RunAsync(near, instance, silence, bytes => exchange.Tunnelled(bytes, fromCaller: true));
        var down = DuplexCopy.RunAsync(instance, near, silence, bytes => exchange.Tunnelled(bytes, fromCaller: false));
        var first = await Task.WhenAny(up, down, tunnel.Cut);
        if (first == up && await up == CopyEnd.Finished)
        {
            await connection.EndInputAsync();
            await Task.WhenAny(down, tunnel.Cut, Task.Delay(Farewell, time, silence.Token));
        }
        else if (first == down && tunnel.EndedByProxy && webSocket is not null)
        {
            // The instance has closed in order. A connection that is closed before the caller's close frame has come would be reset by it.
            await Task.WhenAny(up, webSocket.CallerClosed, tunnel.Cut, Task.Delay(Farewell, time, silence.Token));
        }

        // Before the copying is cancelled: the HTTP client closes a connection whose reading is cancelled, and in an orderly way.
        var cut = tunnel.Cut.IsCompleted;
        if (cut)
            connection.Reset();
        await ending.CancelAsync();
        var (upEnd, downEnd) = (await up, await down);
        // After it: a caller's connection that is aborted under a copier looks like a caller who left.
        if (cut)
            context.Abort();
        if (tunnel.EndedByProxy || silence.Expired || context.RequestAborted.IsCancellationRequested)
            return null;
        if ((first != down || downEnd != CopyEnd.ReadFailed) && (first != up || upEnd != CopyEnd.WriteFailed))
            return null;
        // The instance's connection broke off, rather than ended. The caller's does so too: half a message must not look like all of it.
        context.Abort();
        return new Outcome(FaultSide.Instance, null);
    }

    private async Task<Outcome?> RelayAsync(CallerRequest caller, Exchange exchange, HttpResponseMessage response, ServiceSettings settings, CancellationTokenSource ending)
    {
        var context = caller.Context;
        await using var body = await response.Content.ReadAsStreamAsync(ending.Token);
        using var silence = new SilenceWatch(settings.Get(SettingKeys.IdleTimeout), caller.TimeLeft(), time, ending.Token);
        var end = await DuplexCopy.RunAsync(body, context.Response.Body, silence);
        if (end == CopyEnd.Finished)
            return null;
        // Judged before the caller's connection is ended for it: from then on it looks as if the caller had gone.
        var instanceFailed = !context.RequestAborted.IsCancellationRequested && (end == CopyEnd.ReadFailed || exchange.WentSilent);
        context.Abort();
        return new Outcome(instanceFailed ? FaultSide.Instance : FaultSide.Caller, null);
    }
}

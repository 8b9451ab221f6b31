using System.Net;
using Alicia.Proxy.Connections;
using Alicia.Proxy.Registry.Settings;
using Microsoft.AspNetCore.Http.Features;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// Forwards HTTP/1.1 upgrades of any kind to HTTP/1.1 instances: YARP's forwarder knows WebSockets only. When the instance switches protocols, bytes go both ways
/// until either side ends; any other answer goes back like an ordinary response.
/// </summary>
internal sealed class UpgradeForwarder(UpstreamConnector connector, TimeProvider time)
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

    /// <returns>Null when the exchange went well, else what the caller is to be told.</returns>
    public async Task<Outcome?> ForwardAsync(HttpContext context, Exchange exchange, ServiceSettings settings)
    {
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

        using var head = new CancellationTokenSource(settings.Get(SettingKeys.ResponseTimeout), time);
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
            return new Outcome(FaultSide.Instance, Outcome.OfException(e));
        }

        using (response)
        {
            try
            {
                await exchange.TransformResponseAsync(context, response, ending.Token);
            }
            catch (Exception e) when (e is HttpRequestException or InvalidOperationException)
            {
                // A head that means nothing, or a field that no server may send.
                return new Outcome(FaultSide.Instance, ProxyError.ProtocolError);
            }

            context.Response.StatusCode = (int)response.StatusCode;
            context.Features.Get<IHttpResponseFeature>()!.ReasonPhrase = response.ReasonPhrase;
            return response.StatusCode == HttpStatusCode.SwitchingProtocols
                ? await TunnelAsync(context, exchange, connection, response, settings)
                : await RelayAsync(context, exchange, response, settings, ending);
        }
    }

    private async Task<Outcome?> TunnelAsync(HttpContext context, Exchange exchange, TunnelConnection connection, HttpResponseMessage response, ServiceSettings settings)
    {
        if (!response.Headers.NonValidated.TryGetValues("Upgrade", out var protocol))
            return new Outcome(FaultSide.Instance, ProxyError.UpgradeFailed);
        context.Response.Headers.Connection = "Upgrade";
        context.Response.Headers.Upgrade = protocol.ToString();
        await using var instance = await response.Content.ReadAsStreamAsync(context.RequestAborted);
        await using var caller = await context.Features.Get<IHttpUpgradeFeature>()!.UpgradeAsync();

        // Not tied to RequestAborted: it fires when the caller's last bytes have arrived, and those are still to be passed on.
        using var ending = new CancellationTokenSource();
        using var silence = new SilenceWatch(settings.Get(SettingKeys.IdleTimeout), settings.Get(SettingKeys.OverallTimeout), time, ending.Token);
        var up = DuplexCopy.RunAsync(caller, instance, silence, bytes => exchange.Tunnelled(bytes, fromCaller: true));
        var down = DuplexCopy.RunAsync(instance, caller, silence, bytes => exchange.Tunnelled(bytes, fromCaller: false));
        var first = await Task.WhenAny(up, down);
        if (first == up && await up == CopyEnd.Finished)
        {
            await connection.EndInputAsync();
            await Task.WhenAny(down, Task.Delay(Farewell, time, silence.Token));
        }

        await ending.CancelAsync();
        var (upEnd, downEnd) = (await up, await down);
        if (silence.Expired || context.RequestAborted.IsCancellationRequested)
            return null;
        if ((first != down || downEnd != CopyEnd.ReadFailed) && (first != up || upEnd != CopyEnd.WriteFailed))
            return null;
        // The instance's connection broke off, rather than ended. The caller's does so too: half a message must not look like all of it.
        context.Abort();
        return new Outcome(FaultSide.Instance, null);
    }

    private async Task<Outcome?> RelayAsync(HttpContext context, Exchange exchange, HttpResponseMessage response, ServiceSettings settings, CancellationTokenSource ending)
    {
        await using var body = await response.Content.ReadAsStreamAsync(ending.Token);
        using var silence = new SilenceWatch(settings.Get(SettingKeys.IdleTimeout), settings.Get(SettingKeys.OverallTimeout), time, ending.Token);
        var end = await DuplexCopy.RunAsync(body, context.Response.Body, silence);
        if (end == CopyEnd.Finished)
            return null;
        // Judged before the caller's connection is ended for it: from then on it looks as if the caller had gone.
        var instanceFailed = !context.RequestAborted.IsCancellationRequested && (end == CopyEnd.ReadFailed || exchange.WentSilent);
        context.Abort();
        return new Outcome(instanceFailed ? FaultSide.Instance : FaultSide.Caller, null);
    }
}

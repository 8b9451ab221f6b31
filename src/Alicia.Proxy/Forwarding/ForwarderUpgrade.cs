using Alicia.Proxy.Live;
using Microsoft.AspNetCore.Http.Features;

namespace Alicia.Proxy.Forwarding;

/// <summary>
/// Stands in for the server's upgrade features where YARP's forwarder copies the bytes, which is wherever HTTP/2 is on either side: YARP upgrades WebSockets only, and gets a
/// caller's side that the proxy can end.
/// </summary>
internal sealed class ForwarderUpgrade : IHttpExtendedConnectFeature, IHttpUpgradeFeature, IAsyncDisposable
{
    private readonly HttpContext _context;
    private readonly InstanceLive _instance;
    private readonly OpenTunnels _tunnels;
    private readonly IHttpExtendedConnectFeature? _connect;
    private readonly IHttpUpgradeFeature? _upgrade;
    private readonly CancellationTokenSource _ending;
    private readonly TaskCompletionSource _over = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _watching = Task.CompletedTask;
    private OpenTunnel? _tunnel;

    private ForwarderUpgrade(HttpContext context, InstanceLive instance, OpenTunnels tunnels, IHttpExtendedConnectFeature? connect, IHttpUpgradeFeature? upgrade, CancellationToken cancellation)
    {
        (_context, _instance, _tunnels, _connect, _upgrade) = (context, instance, tunnels, connect, upgrade);
        _ending = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
    }

    /// <summary>Ends the forwarding: the token that was given, or a tunnel that is to be cut.</summary>
    public CancellationToken Ending => _ending.Token;

    /// <summary>True when there was a tunnel and the proxy has ended it.</summary>
    public bool EndedByProxy => _tunnel?.EndedByProxy == true;

    /// <summary>True when its ends are to be reset.</summary>
    public bool IsCut => _tunnel?.Cut.IsCompleted == true;

    public bool IsExtendedConnect => _connect?.IsExtendedConnect == true;

    public string? Protocol => _connect?.Protocol;

    public bool IsUpgradableRequest => _upgrade?.IsUpgradableRequest == true;

    /// <summary>True when the request asks for another protocol.</summary>
    public static bool Wants(HttpContext context) =>
        (HttpMethods.IsConnect(context.Request.Method) && context.Features.Get<IHttpExtendedConnectFeature>() is { IsExtendedConnect: true }) || UpgradeForwarder.Wants(context);

    /// <summary>Puts itself in place of the features if the request asks for an upgrade.</summary>
    /// <returns>Null for every other request.</returns>
    public static ForwarderUpgrade? For(HttpContext context, InstanceLive instance, OpenTunnels tunnels, CancellationToken cancellation)
    {
        ForwarderUpgrade watch;
        if (HttpMethods.IsConnect(context.Request.Method) && context.Features.Get<IHttpExtendedConnectFeature>() is { IsExtendedConnect: true } connect)
            context.Features.Set<IHttpExtendedConnectFeature>(watch = new ForwarderUpgrade(context, instance, tunnels, connect, null, cancellation));
        else if (UpgradeForwarder.Wants(context))
            context.Features.Set<IHttpUpgradeFeature>(watch = new ForwarderUpgrade(context, instance, tunnels, null, context.Features.Get<IHttpUpgradeFeature>(), cancellation));
        else
            return null;
        return watch;
    }

    public async ValueTask<Stream> AcceptAsync() => Watch(await _connect!.AcceptAsync());

    public async Task<Stream> UpgradeAsync() => Watch(await _upgrade!.UpgradeAsync());

    public async ValueTask DisposeAsync()
    {
        // Another attempt puts one of its own in their place.
        if (_connect is not null)
            _context.Features.Set(_connect);
        if (_upgrade is not null)
            _context.Features.Set(_upgrade);
        _tunnel?.Dispose();
        _over.TrySetResult();
        await _watching;
        _ending.Dispose();
    }

    private WebSocketCallerStream Watch(Stream caller)
    {
        var webSocket = new WebSocketCallerStream(caller);
        _tunnel = _tunnels.Open(_instance, webSocket);
        _watching = CutAsync(_tunnel.Cut);
        return webSocket;
    }

    private async Task CutAsync(Task cut)
    {
        if (await Task.WhenAny(cut, _over.Task) == cut)
            await _ending.CancelAsync();
    }
}

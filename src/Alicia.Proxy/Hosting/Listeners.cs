using System.Net;
using System.Text;
using Alicia.Proxy.Callers;
using Alicia.Proxy.Configuration;
using Alicia.Proxy.Forwarding;
using Alicia.Proxy.Http1;
using Alicia.Proxy.ProxyProtocol;
using Alicia.Proxy.Tls;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Alicia.Proxy.Hosting;

/// <summary>
/// Opens the kinds of listeners on one server and tells them apart: a connection to management, or to one that sends callers to TLS, carries a mark that requests find, so that
/// the planes never mix, whatever the ports.
/// </summary>
/// <param name="configuration">What is opened.</param>
/// <param name="handshakeTimeout">How long a TLS handshake may take.</param>
/// <param name="isInline">Whether the data plane's HTTP/1.1 in clear text has <see cref="InlineTransport"/>.</param>
internal sealed class Listeners(ListenConfiguration configuration, TimeSpan handshakeTimeout, bool isInline)
{
    /// <summary>How long a body may be slower than it has to be.</summary>
    private static readonly TimeSpan RateGrace = TimeSpan.FromSeconds(5);

    /// <summary>What the server may see besides the target in a request line: the guard, which comes before it, counts the target alone.</summary>
    private const int LineBesidesTarget = 256;

    /// <summary>Who manages is few: dashboards, scrapers, followers of events. Beyond that it is somebody who wants descriptors and memory.</summary>
    private const int ManagementConnections = 4096;
    private const int ManagementConnectionsPerAddress = 1024;

    private readonly CallerLimits _managementLimits = new();
    private Crowd? _callers;
    private Crowd? _managers;
    private KestrelServerOptions? _server;
    private LimitsConfiguration? _limits;
    private readonly List<(string Plane, ListenAddress Address, ListenOptions Options)> _open = [];

    /// <summary>What callers may do; changes while running.</summary>
    public CallerLimits Limits { get; } = new();

    /// <summary>Callers' connections to the data plane.</summary>
    public Crowd Callers => _callers ??= new Crowd(Limits);

    /// <summary>Connections to management.</summary>
    public Crowd Managers => _managers ??= new Crowd(_managementLimits);

    /// <summary>True for a request that came in through a management listener.</summary>
    public static bool IsManagement(HttpContext context) => context.Features.Get<PlaneMark>() == PlaneMark.Management;

    /// <summary>True for a request that came in through a listener that only sends callers to TLS.</summary>
    public static bool IsRedirect(HttpContext context) => context.Features.Get<PlaneMark>() == PlaneMark.Redirect;

    /// <summary>Where each listener is bound, once started: <c>proxy</c>, <c>management</c> or <c>redirect</c>, and its URL.</summary>
    public IEnumerable<(string Plane, string Url)> Bound => _open.Select(l => (l.Plane, (l.Address with { Port = PortOf(l.Options, l.Address) }).ToString()));

    /// <summary>Port of the first listener of the data plane that speaks TLS; 443 when there is none.</summary>
    public int TlsPort => _open.Where(l => l.Plane == "proxy" && l.Address.Scheme == ListenScheme.Https).Select(l => PortOf(l.Options, l.Address)).FirstOrDefault(443);

    /// <summary>The same as addresses.</summary>
    public IEnumerable<IPEndPoint> Endpoints => _open.SelectMany(l => (l.Address with { Port = l.Options.IPEndPoint?.Port ?? l.Address.Port }).Endpoints);

    /// <summary>Whether what is bound to an address is looked after by <see cref="InlineTransport"/>. Names stand for several addresses, which the server makes itself.</summary>
    public bool IsInline(IPEndPoint endpoint) => endpoint.Port != 0 && configuration.Proxy.Any(a => IsInline(a) && a.Port == endpoint.Port && a.Host switch
    {
        "localhost" => IPAddress.IsLoopback(endpoint.Address),
        "*" => endpoint.Address.Equals(IPAddress.Any) || endpoint.Address.Equals(IPAddress.IPv6Any),
        _ => false,
    });

    public void Configure(KestrelServerOptions server)
    {
        server.AddServerHeader = false;
        // A target in absolute form says which host is meant, whatever the Host field says (RFC 9112, section 3.2.2).
        server.AllowHostHeaderOverride = true;
        // Both planes bound bodies themselves.
        server.Limits.MaxRequestBodySize = null;
        (_server, var limits) = (server, _limits);
        if (limits is not null)
            Use(limits);
        // Field values are bytes; Latin-1 maps each to one character and back.
        server.RequestHeaderEncodingSelector = ConnectionFieldEncoding.Select;
        server.ResponseHeaderEncodingSelector = static _ => Encoding.Latin1;
        foreach (var address in configuration.Proxy)
            Open(server, "proxy", address, null);
        foreach (var address in configuration.Redirect)
            Open(server, "redirect", address, PlaneMark.Redirect);
        foreach (var address in configuration.Management)
            Open(server, "management", address, PlaneMark.Management);
    }

    /// <summary>Puts limits in force, for connections that are opened from now on and, where the server reads them for each request, for requests.</summary>
    public void Use(LimitsConfiguration limits)
    {
        _limits = limits;
        var requests = new RequestLimits(limits.TargetBytes, limits.FieldBytes, limits.FieldCount, limits.BodyBytes);
        Limits.Current = new(requests, limits.HeadTimeout, limits.Connections == LimitKeys.ByOpenFiles ? OpenFiles.Connections : limits.Connections, limits.ConnectionsPerAddress);
        // Bodies there are bounded call by call; in-line requests may bring any.
        _managementLimits.Current = new(requests with { BodyBytes = null }, limits.HeadTimeout, ManagementConnections, ManagementConnectionsPerAddress);
        if (_server?.Limits is not { } server)
            return;
        server.MinRequestBodyDataRate = limits.RequestBodyRate is { } up ? new MinDataRate(up, RateGrace) : null;
        server.MinResponseDataRate = limits.ResponseBodyRate is { } down ? new MinDataRate(down, RateGrace) : null;
        server.MaxRequestHeadersTotalSize = limits.FieldBytes;
        server.MaxRequestHeaderCount = limits.FieldCount;
        server.MaxRequestLineSize = limits.TargetBytes + LineBesidesTarget;
        server.RequestHeadersTimeout = limits.HeadTimeout;
        server.KeepAliveTimeout = limits.IdleTimeout;
        server.Http2.MaxRequestHeaderFieldSize = limits.FieldBytes;
        server.Http2.MaxStreamsPerConnection = limits.Http2Streams;
    }

    private bool IsInline(ListenAddress address) => isInline && address.Scheme == ListenScheme.Http;

    private static int PortOf(ListenOptions options, ListenAddress address) => options.IPEndPoint?.Port ?? address.Port;

    private void Open(KestrelServerOptions server, string plane, ListenAddress address, PlaneMark? mark)
    {
        void Set(ListenOptions options)
        {
            options.Protocols = address.Scheme switch
            {
                ListenScheme.Http => HttpProtocols.Http1,
                ListenScheme.H2c => HttpProtocols.Http2,
                _ => HttpProtocols.Http1AndHttp2,
            };
            if (mark is not null)
            {
                options.Use(next => connection =>
                {
                    connection.Features.Set(mark);
                    return next(connection);
                });
            }

            var (crowd, limits) = mark == PlaneMark.Management ? (Managers, _managementLimits) : (Callers, Limits);
            options.Use(crowd.CountAll);
            // From here on the connection is whose it says: limits of one address count those behind a proxy apart.
            if (address.ProxyProtocol)
                server.ApplicationServices.GetRequiredService<ProxyHeaders>().Use(options);
            options.Use(crowd.CountAddress);
            if (address.Scheme == ListenScheme.Https)
                server.ApplicationServices.GetRequiredService<Handshakes>().Use(options, handshakeTimeout, AsksForCertificate(server, mark));
            if (address.Scheme != ListenScheme.H2c)
                options.Use(new CallerGuard(limits, TimeProvider.System).Around);
            _open.Add((plane, address, options));
        }

        switch (address)
        {
            case { Host: "localhost" }:
                server.ListenLocalhost(address.Port, Set);
                break;
            case { Address: { } ip }:
                server.Listen(plane == "proxy" && IsInline(address) ? InlineTransport.Mark(ip, address.Port) : new IPEndPoint(ip, address.Port), Set);
                break;
            default:
                server.ListenAnyIP(address.Port, Set);
                break;
        }
    }

    /// <summary>Whether callers are asked for a certificate: by management, while configuration lets any in by theirs.</summary>
    private static Func<bool> AsksForCertificate(KestrelServerOptions server, PlaneMark? mark)
    {
        if (mark != PlaneMark.Management)
            return static () => false;
        var current = server.ApplicationServices.GetRequiredService<CurrentConfiguration>();
        return () => !current.Value.ClientCertificates.IsEmpty;
    }

    /// <summary>Connection feature of listeners that are not the data plane's.</summary>
    private sealed class PlaneMark
    {
        public static readonly PlaneMark Management = new();
        public static readonly PlaneMark Redirect = new();
    }
}

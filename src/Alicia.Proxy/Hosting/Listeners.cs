using System.Net;
using System.Text;
using Alicia.Proxy.Configuration;
using Alicia.Proxy.Forwarding;
using Alicia.Proxy.Live;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Alicia.Proxy.Hosting;

/// <summary>
/// Opens the two kinds of listeners on one server and tells them apart: a connection to management carries a mark that requests find, so that the planes never
/// mix, whatever the ports.
/// </summary>
internal sealed class Listeners(ListenConfiguration configuration)
{
    /// <summary>Field section of a request in bytes: 32 KiB of cookies and as much again.</summary>
    private const int MaxFieldBytes = 64 * 1024;

    private readonly List<(string Plane, ListenAddress Address, ListenOptions Options)> _open = [];

    /// <summary>Callers' connections to the data plane.</summary>
    public ConnectionCount Callers { get; } = new();

    /// <summary>True for a request that came in through a management listener.</summary>
    public static bool IsManagement(HttpContext context) => context.Features.Get<ManagementConnection>() is not null;

    /// <summary>Where each listener is bound, once started: <c>proxy</c> or <c>management</c>, and its URL.</summary>
    public IEnumerable<(string Plane, string Url)> Bound =>
        _open.Select(l => (l.Plane, (l.Address with { Port = l.Options.IPEndPoint?.Port ?? l.Address.Port }).ToString()));

    /// <summary>The same as addresses.</summary>
    public IEnumerable<IPEndPoint> Endpoints => _open.SelectMany(l => (l.Address with { Port = l.Options.IPEndPoint?.Port ?? l.Address.Port }).Endpoints);

    public void Configure(KestrelServerOptions server)
    {
        server.AddServerHeader = false;
        // A target in absolute form says which host is meant, whatever the Host field says (RFC 9112, section 3.2.2).
        server.AllowHostHeaderOverride = true;
        // A proxy has no opinion on size and pace; instances have. Management bounds its own bodies.
        server.Limits.MaxRequestBodySize = null;
        server.Limits.MinRequestBodyDataRate = null;
        server.Limits.MinResponseDataRate = null;
        server.Limits.MaxRequestHeadersTotalSize = MaxFieldBytes;
        server.Limits.MaxRequestHeaderCount = 500;
        server.Limits.MaxRequestLineSize = 32 * 1024;
        server.Limits.Http2.MaxRequestHeaderFieldSize = MaxFieldBytes;
        server.Limits.Http2.MaxStreamsPerConnection = 256;
        // Field values are bytes; Latin-1 maps each to one character and back.
        server.RequestHeaderEncodingSelector = ConnectionFieldEncoding.Select;
        server.ResponseHeaderEncodingSelector = static _ => Encoding.Latin1;
        foreach (var address in configuration.Proxy)
            Open(server, "proxy", address, null);
        foreach (var address in configuration.Management)
            Open(server, "management", address, new ManagementConnection());
    }

    private void Open(KestrelServerOptions server, string plane, ListenAddress address, ManagementConnection? mark)
    {
        void Set(ListenOptions options)
        {
            options.Protocols = address.Scheme == ListenScheme.H2c ? HttpProtocols.Http2 : HttpProtocols.Http1;
            if (mark is not null)
            {
                options.Use(next => connection =>
                {
                    connection.Features.Set(mark);
                    return next(connection);
                });
            }
            else
            {
                options.Use(next => async connection =>
                {
                    Callers.Enter();
                    try
                    {
                        await next(connection);
                    }
                    finally
                    {
                        Callers.Leave();
                    }
                });
            }

            _open.Add((plane, address, options));
        }

        switch (address)
        {
            case { Host: "localhost" }:
                server.ListenLocalhost(address.Port, Set);
                break;
            case { Address: { } ip }:
                server.Listen(ip, address.Port, Set);
                break;
            default:
                server.ListenAnyIP(address.Port, Set);
                break;
        }
    }

    /// <summary>Connection feature of management listeners.</summary>
    private sealed class ManagementConnection;
}

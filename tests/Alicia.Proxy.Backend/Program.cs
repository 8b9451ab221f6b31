// A scriptable upstream for the integration tests: what it answers is chosen by the request (README.md), what it saw can be asked for.
using System.Net;
using System.Text;
using Alicia.Proxy.Backend;
using Microsoft.AspNetCore.Server.Kestrel.Core;

if (Arguments.Parse(args) is not { } arguments)
{
    await Console.Error.WriteLineAsync("usage: Alicia.Proxy.Backend --name NAME [--port PORT] [--h2c] [--journal FILE]");
    return 2;
}

using var journal = arguments.Journal is { } file ? new Journal(file) : null;
var traffic = new Traffic();
var gates = new HoldGates();
var modes = new ModeBoard();

var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders();
builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(1));
builder.WebHost.ConfigureKestrel(kestrel =>
{
    kestrel.AddServerHeader = false;
    kestrel.RequestHeaderEncodingSelector = _ => Encoding.Latin1;
    kestrel.ResponseHeaderEncodingSelector = _ => Encoding.Latin1;

    // A limit met in a test has to be the proxy's, never this server's.
    kestrel.Limits.MaxRequestBodySize = null;
    kestrel.Limits.MinRequestBodyDataRate = null;
    kestrel.Limits.MinResponseDataRate = null;
    kestrel.Limits.MaxRequestHeadersTotalSize = 128 * 1024;
    kestrel.Limits.MaxRequestHeaderCount = 2000;
    kestrel.Limits.MaxRequestLineSize = 64 * 1024;
    kestrel.Limits.Http2.MaxStreamsPerConnection = 10_000;
    kestrel.Limits.Http2.MaxRequestHeaderFieldSize = 128 * 1024;

    kestrel.Listen(IPAddress.Loopback, arguments.Port, listener =>
    {
        listener.Protocols = arguments.H2c ? HttpProtocols.Http2 : HttpProtocols.Http1;
        listener.Use(next => async connection =>
        {
            var counted = new CountedConnection(traffic);
            connection.Features.Set(counted);
            try
            {
                await next(connection);
            }
            finally
            {
                counted.Close();
            }
        });
    });
});

await using var app = builder.Build();
app.UseWebSockets(new WebSocketOptions { KeepAliveInterval = TimeSpan.Zero });
var control = new Control(arguments.Name, traffic, gates, modes);
var data = new DataPlane(arguments.Name, traffic, gates, modes, journal);
app.Run(context => context.Request.Path.StartsWithSegments("/control") ? control.AnswerAsync(context) : data.AnswerAsync(context));

await app.StartAsync();
await Console.Out.WriteLineAsync($"listening {app.Urls.Single()}");
await Console.Out.FlushAsync();

// The starter holds the other end of our input: when it ends, however it ends, so do we.
var input = StopWhenInputEndsAsync(app.Lifetime);
await app.WaitForShutdownAsync();
return 0;

static async Task StopWhenInputEndsAsync(IHostApplicationLifetime lifetime)
{
    await using var input = Console.OpenStandardInput();
    await input.CopyToAsync(Stream.Null, lifetime.ApplicationStopping);
    lifetime.StopApplication();
}

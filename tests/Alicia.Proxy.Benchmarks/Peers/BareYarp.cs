using System.Globalization;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Yarp.ReverseProxy.Configuration;

namespace Alicia.Proxy.Benchmarks.Peers;

/// <summary>YARP as its documentation sets it up, with nothing of this proxy's: what building on it would have cost without further work.</summary>
internal static class BareYarp
{
    public const string Verb = "bare-yarp";

    /// <param name="args">A file of lines: <c>http PORT</c>, <c>h2c PORT</c>, <c>tls PORT PEM</c>, <c>to HOST:PORT</c>.</param>
    public static async Task<int> RunAsync(string[] args)
    {
        var lines = File.ReadAllLines(args[0]).Select(l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Where(l => l.Length > 0).ToArray();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(server =>
        {
            server.Limits.MaxRequestBodySize = null;
            foreach (var line in lines.Where(l => l[0] != "to"))
            {
                server.Listen(IPAddress.Loopback, int.Parse(line[1], CultureInfo.InvariantCulture), options =>
                {
                    options.Protocols = line[0] switch
                    {
                        "http" => HttpProtocols.Http1,
                        "h2c" => HttpProtocols.Http2,
                        _ => HttpProtocols.Http1AndHttp2,
                    };
                    if (line[0] == "tls")
                        options.UseHttps(X509Certificate2.CreateFromPemFile(line[2]));
                });
            }
        });
        builder.Services.AddReverseProxy().LoadFromMemory(
            [new RouteConfig { RouteId = "all", ClusterId = "instances", Match = new RouteMatch { Path = "{**path}" } }],
            [
                new ClusterConfig
                {
                    ClusterId = "instances",
                    LoadBalancingPolicy = "RoundRobin",
                    Destinations = lines.Where(l => l[0] == "to").Select((l, i) => (Id: Names.Instance(i), Address: $"http://{l[1]}"))
                        .ToDictionary(d => d.Id, d => new DestinationConfig { Address = d.Address }),
                },
            ]);
        var app = builder.Build();
        app.MapReverseProxy();
        await app.RunAsync();
        return 0;
    }
}

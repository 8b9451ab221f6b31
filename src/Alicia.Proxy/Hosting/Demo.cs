using System.Net;
using System.Net.Sockets;

namespace Alicia.Proxy.Hosting;

/// <summary>
/// The proxy with three small web servers behind it, so that a newcomer sees requests go round within a minute. The servers live in this process but are
/// registered through the real REST API and reached over real connections.
/// </summary>
internal static class Demo
{
    private const string Service = "demo";

    public static async Task<int> RunAsync(string[] args)
    {
        var instances = new List<IHost>();
        try
        {
            for (var i = 1; i <= 3; i++)
                instances.Add(await StartInstanceAsync($"demo-{i}"));
            return await CommandLine.ServeAsync(WithDefaults(args), (proxy, cancellation) => RegisterAsync(proxy, instances, cancellation));
        }
        finally
        {
            foreach (var instance in instances)
            {
                await instance.StopAsync(CancellationToken.None);
                instance.Dispose();
            }
        }
    }

    /// <summary>A throw-away registry, and free ports where the usual ones are taken; what the caller says comes after and wins.</summary>
    private static string[] WithDefaults(string[] args) =>
    [
        "--Registry:Store=memory",
        $"--Listen:Proxy=http://127.0.0.1:{FreeOr(8080)}",
        $"--Listen:Management=http://127.0.0.1:{FreeOr(8023)}",
        .. args,
    ];

    private static int FreeOr(int port)
    {
        try
        {
            using var probe = new TcpListener(IPAddress.Loopback, port);
            probe.Start();
            return port;
        }
        catch (SocketException)
        {
            return 0;
        }
    }

    private static async Task<IHost> StartInstanceAsync(string name)
    {
        var host = new HostBuilder()
            .ConfigureWebHost(web => web
                .UseKestrel(server => server.Listen(IPAddress.Loopback, 0))
                .Configure(app => app.Run(context => context.Request.Path == "/health"
                    ? context.Response.WriteAsJsonAsync(new { status = "healthy" })
                    : context.Response.WriteAsJsonAsync(new { instance = name, method = context.Request.Method, path = context.Request.Path.Value }))))
            .Build();
        await host.StartAsync();
        return host;
    }

    private static async Task RegisterAsync(ProxyHost proxy, List<IHost> instances, CancellationToken cancellation)
    {
        var bound = proxy.Bound.ToLookup(b => b.Plane, b => b.Url);
        var (data, management) = (bound["proxy"].First(), bound["management"].First());
        using var api = new HttpClient { BaseAddress = new Uri(management) };
        for (var i = 0; i < instances.Count; i++)
        {
            var url = new Uri(instances[i].Services.GetRequiredService<Microsoft.AspNetCore.Hosting.Server.IServer>().Features
                .Get<Microsoft.AspNetCore.Hosting.Server.Features.IServerAddressesFeature>()!.Addresses.Single());
            var answer = await api.PostAsJsonAsync($"/services/{Service}/register?wait=10", new { instance_id = $"demo-{i + 1}", host = url.Host, port = url.Port }, cancellation);
            if (!answer.IsSuccessStatusCode)
                throw new StartException(ExitCodes.Failure, $"The demo could not register: {await answer.Content.ReadAsStringAsync(cancellation)}");
        }

        await Console.Out.WriteLineAsync($"""

            Three instances of the service '{Service}' are registered. Try:

              curl {data}/{Service}/hello                    # again and again: each instance in turn
              curl -H 'Host: {Service}.alicia.local' {data}/hello
              curl {management}/services/{Service}
              curl {management}/stats/{Service}
              curl -X DELETE {management}/services/{Service}/demo-3   # the other two share its turns

            Docs: {management}/docs     Stop: Ctrl+C

            """.AsMemory(), cancellation);
    }
}

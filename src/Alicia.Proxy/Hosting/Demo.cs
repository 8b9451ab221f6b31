using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Alicia.Proxy.Bus;
using Alicia.Proxy.Configuration;

namespace Alicia.Proxy.Hosting;

/// <summary>
/// The proxy with four small web servers behind it and a broker beside it, so that a newcomer sees requests go round within a minute. The servers live in this
/// process but are registered through the real REST API, one through the real bus, and reached over real connections.
/// </summary>
internal static class Demo
{
    private const string Service = "demo";
    private const string BusService = "greeter";

    public static async Task<int> RunAsync(string[] args)
    {
        var instances = new List<IHost>();
        DemoBus? bus = null;
        try
        {
            for (var i = 1; i <= 3; i++)
                instances.Add(await StartInstanceAsync($"demo-{i}"));
            instances.Add(await StartInstanceAsync(BusService));
            var full = WithDefaults(args);
            // Whoever has a broker and says so is shown that one.
            if (CommandLine.Loader(full).Load().Value is { Mqtt.Host: null })
            {
                bus = await DemoBus.StartAsync();
                full = [.. full, "--Mqtt:Host=127.0.0.1", string.Create(CultureInfo.InvariantCulture, $"--Mqtt:Port={bus.Port}"), "--Mqtt:Root=alicia"];
            }

            return await CommandLine.ServeAsync(full, (proxy, cancellation) => RegisterAsync(proxy, instances, bus, cancellation));
        }
        catch (StartException e)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return e.ExitCode;
        }
        finally
        {
            if (bus is not null)
                await bus.DisposeAsync();
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

    private static async Task RegisterAsync(ProxyHost proxy, List<IHost> instances, DemoBus? bus, CancellationToken cancellation)
    {
        var bound = proxy.Bound.ToLookup(b => b.Plane, b => b.Url);
        var (data, management) = (bound["proxy"].First(), bound["management"].First());
        ListenAddress.TryParse(management, out var listener);
        using var api = new HttpClient(LocalCalls.Handler(listener)) { BaseAddress = new Uri(management.Replace("proxy+", "", StringComparison.Ordinal)) };
        for (var i = 0; i < 3; i++)
        {
            var url = AddressOf(instances[i]);
            var answer = await api.PostAsJsonAsync($"/services/{Service}/register?wait=10", new { instance_id = $"demo-{i + 1}", host = url.Host, port = url.Port }, cancellation);
            if (!answer.IsSuccessStatusCode)
                throw new StartException(ExitCodes.Failure, $"The demo could not register: {await answer.Content.ReadAsStringAsync(cancellation)}");
        }

        var lines = "";
        if (bus is not null)
        {
            var url = AddressOf(instances[3]);
            await OnTheBusAsync(proxy, bus, url, api, cancellation);
            lines = bus.Lines(BusService, data, url.Host, url.Port) + "\n\n";
        }

        await Console.Out.WriteLineAsync($"""

            Three instances of the service '{Service}' are registered. Try:

              curl {data}/{Service}/hello                    # again and again: each instance in turn
              curl -H 'Host: {Service}.alicia.local' {data}/hello
              curl {management}/services/{Service}
              curl {management}/stats/{Service}
              curl -X DELETE {management}/services/{Service}/demo-3   # the other two share its turns

            {lines}Docs: {management}/docs     Stop: Ctrl+C

            """.AsMemory(), cancellation);
    }

    /// <summary>Announces a service once the proxy listens to the bus, and waits until it is registered. A second or so; the demo goes on without it after ten.</summary>
    private static async Task OnTheBusAsync(ProxyHost proxy, DemoBus bus, Uri url, HttpClient api, CancellationToken cancellation)
    {
        var connection = proxy.Services.GetRequiredService<BusConnection>();
        for (var i = 0; i < 100 && !connection.Connected; i++)
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, cancellation);
        await bus.AnnounceAsync(BusService, url.Host, url.Port, cancellation);
        for (var i = 0; i < 100 && !(await api.GetAsync($"/services/{BusService}", cancellation)).IsSuccessStatusCode; i++)
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, cancellation);
    }

    private static Uri AddressOf(IHost instance) => new(instance.Services.GetRequiredService<Microsoft.AspNetCore.Hosting.Server.IServer>().Features
        .Get<Microsoft.AspNetCore.Hosting.Server.Features.IServerAddressesFeature>()!.Addresses.Single());
}

using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Tls;

/// <summary>Debian's HAProxy, passing connections on as they come with a PROXY header in front.</summary>
internal sealed class HaproxyRelay : IAsyncDisposable
{
    private readonly string _directory;
    private readonly ChildProcess _process;

    private HaproxyRelay(string directory, ChildProcess process, int port) => (_directory, _process, Port) = (directory, process, port);

    public int Port { get; }

    /// <param name="target">Where to.</param>
    /// <param name="option">Of the server line, such as <c>send-proxy-v2</c>.</param>
    public static async Task<HaproxyRelay> StartAsync(Uri target, string option)
    {
        var directory = Directory.CreateTempSubdirectory("alicia-haproxy-").FullName;
        var file = Path.Combine(directory, "haproxy.cfg");
        for (var attempt = 0; ; attempt++)
        {
            var port = FreePort();
            await File.WriteAllTextAsync(file, string.Create(CultureInfo.InvariantCulture, $$"""
                global
                    maxconn 100
                defaults
                    mode tcp
                    timeout connect 10s
                    timeout client 30s
                    timeout server 30s
                listen relay
                    bind 127.0.0.1:{{port}}
                    unique-id-format %ci-%cp
                    server proxy {{target.Host}}:{{target.Port}} {{option}}

                """));
            var process = ChildProcess.Start("/usr/sbin/haproxy", ["-db", "-f", file], directory);
            try
            {
                await Eventually.Until("haproxy listens", async () =>
                {
                    if (process.HasExited)
                        throw new ProcessEndedException(process.Transcript);
                    using var probe = new TcpClient();
                    try
                    {
                        await probe.ConnectAsync(IPAddress.Loopback, port);
                        return true;
                    }
                    catch (SocketException)
                    {
                        return false;
                    }
                });
                return new HaproxyRelay(directory, process, port);
            }
            catch (ProcessEndedException) when (attempt < 5)
            {
                // Somebody took the port between our looking and its binding.
                await process.DisposeAsync();
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}

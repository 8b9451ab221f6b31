using System.Net;
using System.Net.Sockets;
using Alicia.Proxy.IntegrationTests.Harness;

namespace Alicia.Proxy.IntegrationTests.Peers;

/// <summary>Debian's nginx with a directory of its own, serving files in four manners of keeping connections.</summary>
internal sealed class NginxUpstream : IAsyncDisposable
{
    private const string Program = "/usr/sbin/nginx";

    private readonly string _directory;
    private readonly ChildProcess _process;

    private NginxUpstream(string directory, ChildProcess process, int[] ports)
    {
        (_directory, _process) = (directory, process);
        (KeepsPort, ClosesPort, ImpatientPort, TlsPort) = (ports[0], ports[1], ports[2], ports[3]);
    }

    /// <summary>Keeps connections.</summary>
    public int KeepsPort { get; }

    /// <summary>One request a connection.</summary>
    public int ClosesPort { get; }

    /// <summary>Closes a connection that was idle for half a second; on <c>keep-alive</c> it says nothing of that.</summary>
    public int ImpatientPort { get; }

    /// <summary>HTTP/2 and HTTP/1.1 over TLS; listens only when started with a certificate.</summary>
    public int TlsPort { get; }

    public string Root => Path.Combine(_directory, "root");

    public static async Task<NginxUpstream> StartAsync((string Certificate, string Key)? tls = null, string? clientCa = null)
    {
        var directory = Directory.CreateTempSubdirectory("alicia-nginx-").FullName;
        Directory.CreateDirectory(Path.Combine(directory, "root"));
        for (var attempt = 0; ; attempt++)
        {
            var ports = FreePorts(4);
            await File.WriteAllTextAsync(Path.Combine(directory, "nginx.conf"), Configuration(directory, ports, tls, clientCa));
            var process = ChildProcess.Start(Program, ["-p", directory, "-c", Path.Combine(directory, "nginx.conf"), "-e", "stderr"], directory);
            try
            {
                await Eventually.Until("nginx listens", async () =>
                {
                    if (process.HasExited)
                        throw new ProcessEndedException(process.Transcript);
                    using var probe = new TcpClient();
                    try
                    {
                        await probe.ConnectAsync(IPAddress.Loopback, ports[2]);
                        return true;
                    }
                    catch (SocketException)
                    {
                        return false;
                    }
                });
                return new NginxUpstream(directory, process, ports);
            }
            catch (ProcessEndedException) when (attempt < 5)
            {
                // Somebody took a port between our looking and its binding.
                await process.DisposeAsync();
            }
        }
    }

    /// <summary>Reads its configuration again: idle connections close at once, workers end with their last request.</summary>
    public async Task ReloadAsync()
    {
        await using var signal = ChildProcess.Start(Program, ["-p", _directory, "-c", Path.Combine(_directory, "nginx.conf"), "-e", "stderr", "-s", "reload"], _directory);
        (await signal.WaitForExitAsync()).Should().Be(0, signal.Transcript);
    }

    public async ValueTask DisposeAsync()
    {
        // Its workers end with it only when it is asked.
        if (!_process.HasExited)
        {
            _process.Terminate();
            await _process.WaitForExitAsync();
        }

        await _process.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    private static int[] FreePorts(int count)
    {
        var listeners = Enumerable.Range(0, count).Select(_ => new TcpListener(IPAddress.Loopback, 0)).ToArray();
        foreach (var listener in listeners)
            listener.Start();
        int[] ports = [.. listeners.Select(l => ((IPEndPoint)l.LocalEndpoint).Port)];
        foreach (var listener in listeners)
            listener.Stop();
        return ports;
    }

    private static string Configuration(string directory, int[] ports, (string Certificate, string Key)? tls, string? clientCa) => $$"""
        daemon off;
        {{(Environment.UserName == "root" ? "user root;" : "")}}
        worker_processes 2;
        pid {{directory}}/nginx.pid;
        events { worker_connections 512; }
        http {
            access_log off;
            client_body_temp_path {{directory}}/body;
            proxy_temp_path {{directory}}/proxy;
            fastcgi_temp_path {{directory}}/fastcgi;
            uwsgi_temp_path {{directory}}/uwsgi;
            scgi_temp_path {{directory}}/scgi;
            root {{directory}}/root;
            types { text/plain txt; application/octet-stream bin; }
            gzip on;
            gzip_min_length 1;
            gzip_types text/plain;
            gzip_proxied any;
            client_max_body_size 0;
            server { listen 127.0.0.1:{{ports[0]}}; location /post { return 200 posted; } }
            server { listen 127.0.0.1:{{ports[1]}}; keepalive_requests 1; location /post { return 200 posted; } }
            server { listen 127.0.0.1:{{ports[2]}}; keepalive_timeout 500ms; location /post { return 200 posted; } }
            {{(tls is var (certificate, key) ? Secure(ports[3], certificate, key, clientCa) : "")}}
        }
        """;

    /// <summary>
    /// <c>/said</c> answers with what the server saw of the connection: protocol, scheme, host, name in the TLS greeting; <c>/client</c> with whose certificate it was shown. With
    /// authorities for such, none is answered with 400.
    /// </summary>
    private static string Secure(int port, string certificate, string key, string? clientCa) => $$"""
        server {
            listen 127.0.0.1:{{port}} ssl http2;
            ssl_certificate {{certificate}};
            ssl_certificate_key {{key}};
            {{(clientCa is null ? "" : $"ssl_verify_client on; ssl_client_certificate {clientCa};")}}
            location /client { return 200 "$ssl_client_s_dn"; }
            location /said { return 200 "$server_protocol $scheme $http_host $ssl_server_name"; }
        }
        """;
}

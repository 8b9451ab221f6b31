using System.Net;
using System.Net.Sockets;

namespace Alicia.Proxy.Benchmarks.Processes;

/// <summary>
/// Another proxy with the same work to do, as a yardstick: keep-alive on both sides, forwarding fields set, no access log. In the foreground, with a
/// configuration in a directory of its own.
/// </summary>
internal static class ReferenceProxy
{
    public static readonly IReadOnlyList<string> Known = ["nginx", "haproxy"];

    /// <summary>Starts <paramref name="name"/> in front of the backend; null when it is not installed.</summary>
    public static async Task<(ChildProcess Process, int Port)?> StartAsync(string name, string directory, int backendPort, int instances)
    {
        if (Programs.Find(name) is not { } program)
            return null;
        var port = FreePort();
        var file = Path.Combine(directory, name + ".conf");
        await File.WriteAllTextAsync(file, name == "nginx" ? Nginx(directory, port, backendPort, instances) : Haproxy(port, backendPort, instances));
        var process = ChildProcess.Start(
            program, name == "nginx" ? ["-p", directory, "-e", Path.Combine(directory, "error.log"), "-c", file] : ["-db", "-f", file],
            directory: directory, hasWorkers: true);
        try
        {
            await UntilOpenAsync(port);
            return (process, port);
        }
        catch
        {
            await process.DisposeAsync();
            throw;
        }
    }

    private static string Nginx(string directory, int port, int backendPort, int instances) => $$"""
        daemon off;
        worker_processes auto;
        pid {{directory}}/nginx.pid;
        error_log {{directory}}/error.log;
        events { worker_connections 4096; }
        http {
          access_log off;
          client_body_temp_path {{directory}}/client;
          proxy_temp_path {{directory}}/proxy;
          fastcgi_temp_path {{directory}}/fastcgi;
          uwsgi_temp_path {{directory}}/uwsgi;
          scgi_temp_path {{directory}}/scgi;
          keepalive_requests 1000000000;
          upstream instances {
            {{string.Concat(Enumerable.Repeat($"server 127.0.0.1:{backendPort}; ", instances))}}
            keepalive 256;
            keepalive_requests 1000000000;
          }
          server {
            listen 127.0.0.1:{{port}} backlog=4096;
            location / {
              proxy_pass http://instances;
              proxy_http_version 1.1;
              proxy_set_header Connection "";
              proxy_set_header Host $http_host;
              proxy_set_header X-Forwarded-For $remote_addr;
              proxy_set_header X-Forwarded-Proto $scheme;
              proxy_set_header X-Forwarded-Host $http_host;
            }
          }
        }
        """;

    private static string Haproxy(int port, int backendPort, int instances) => $"""
        defaults
          mode http
          timeout connect 5s
          timeout client 60s
          timeout server 60s
          option forwardfor
          http-reuse always
        frontend proxy
          bind 127.0.0.1:{port}
          http-request set-header X-Forwarded-Proto http
          http-request set-header X-Forwarded-Host %[req.hdr(host)]
          default_backend instances
        backend instances
          balance roundrobin
        {string.Concat(Enumerable.Range(0, instances).Select(i => $"  server {Names.Instance(i)} 127.0.0.1:{backendPort}\n"))}
        """;

    /// <summary>A port that was free a moment ago: neither program can tell us one that the system assigned.</summary>
    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    private static async Task UntilOpenAsync(int port)
    {
        for (var attempt = 0; ; attempt++)
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                await socket.ConnectAsync(IPAddress.Loopback, port);
                return;
            }
            catch (SocketException) when (attempt < 200)
            {
                await Task.Delay(25);
            }
        }
    }
}

using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Alicia.Proxy.Benchmarks.Processes;

namespace Alicia.Proxy.Benchmarks.Peers;

/// <summary>What a proxy under test listens on and forwards to.</summary>
/// <param name="Directory">Its own, for configuration and state.</param>
/// <param name="Instances">Addresses of the instances, <c>host:port</c>.</param>
/// <param name="Certificate">PEM file of the certificate and its key; null where nothing is asked over TLS.</param>
internal sealed record Setup(string Directory, IReadOnlyList<string> Instances, string? Certificate)
{
    /// <summary>Ports that were free a moment ago: HTTP/1.1, HTTP/2 in clear text, TLS.</summary>
    public int Http { get; } = FreePort();

    public int Http2 { get; } = FreePort();

    public int Tls { get; } = FreePort();

    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }
}

/// <summary>
/// One proxy under test, on one core with one worker. Each gets the settings that its own documentation recommends for this work: kept connections on both sides with a pool that holds every
/// connection of the load, round robin, forwarding fields set, no access log.
/// </summary>
/// <param name="Name">Name in the report.</param>
/// <param name="Settings">What was set, for the report.</param>
/// <param name="Start">Writes the configuration and says what to run.</param>
internal sealed record Peer(string Name, string Settings, Func<Setup, PeerCommand> Start)
{
    /// <summary>A program and the option with which it says its version; null for what is built here.</summary>
    public string[]? Version { get; private init; }

    /// <summary>True for .NET: code that is compiled while it runs, so that the first seconds are of interest.</summary>
    public bool Managed { get; private init; }

    /// <summary>This proxy; ratios in the report are to HAProxy, and this is what they are about.</summary>
    public const string Own = "alicia";

    public static readonly Peer Nginx = new("nginx", "`worker_processes 1`, `keepalive 1024` towards instances, `proxy_http_version 1.1`", setup =>
    {
        var file = Write(setup, "nginx.conf", $$"""
            daemon off; master_process on; worker_processes 1; pid nginx.pid; error_log error.log crit; worker_rlimit_nofile 65536;
            events { worker_connections 16384; multi_accept on; }
            http {
              access_log off; tcp_nodelay on; keepalive_requests 1000000000; client_max_body_size 0; proxy_max_temp_file_size 0;
              client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
              upstream instances { {{string.Concat(setup.Instances.Select(i => $"server {i}; "))}} keepalive 1024; keepalive_requests 1000000000; }
              server {
                listen 127.0.0.1:{{setup.Http}} backlog=4096;
                listen 127.0.0.1:{{setup.Http2}} http2 backlog=4096;
                {{(setup.Certificate is null ? "" : $"listen 127.0.0.1:{setup.Tls} ssl http2 backlog=4096; ssl_certificate {setup.Certificate}; ssl_certificate_key {setup.Certificate}; ssl_protocols TLSv1.2 TLSv1.3;")}}
                http2_max_requests 1000000000;
                location / {
                  proxy_pass http://instances; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
                  proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;
                }
              }
            }
            """);
        return new(Programs.Find("nginx"), ["-p", setup.Directory, "-e", "error.log", "-c", file]);
    })
    { Version = ["nginx", "-v"] };

    public static readonly Peer Haproxy = new("haproxy", "`nbthread 1`, `http-reuse always`, `pool-max-conn` unlimited", setup => new(Programs.Find("haproxy"), ["-db", "-f", Write(setup, "haproxy.cfg", $"""
        global
          nbthread 1
          maxconn 4000
        defaults
          mode http
          timeout connect 5s
          timeout client 60s
          timeout server 60s
          option forwardfor
          http-reuse always
        frontend proxy
          bind 127.0.0.1:{setup.Http} backlog 4096
          bind 127.0.0.1:{setup.Http2} proto h2 backlog 4096
        {(setup.Certificate is null ? "" : $"  bind 127.0.0.1:{setup.Tls} ssl crt {setup.Certificate} alpn h2,http/1.1 backlog 4096")}
          http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
          http-request set-header X-Forwarded-Host %[req.hdr(host)]
          default_backend instances
        backend instances
          balance roundrobin
        {string.Concat(setup.Instances.Select((a, i) => $"  server {Names.Instance(i)} {a}\n"))}
        """)]))
    { Version = ["haproxy", "-v"] };

    public static readonly Peer Caddy = new("caddy", "`GOMAXPROCS=1`, `keepalive_idle_conns_per_host 1024`, no log", setup => new(
        Programs.Find("caddy"),
        ["run", "--adapter", "caddyfile", "--config", Write(setup, "Caddyfile", $$"""
            {
              admin off
              auto_https off
              servers {
                protocols h1 h2 h2c
              }
              log {
                level ERROR
              }
            }
            (forward) {
              reverse_proxy {{string.Join(' ', setup.Instances)}} {
                lb_policy round_robin
                transport http {
                  versions 1.1
                  keepalive_idle_conns_per_host 1024
                }
              }
            }
            http://:{{setup.Http}}, http://:{{setup.Http2}} {
              bind 127.0.0.1
              import forward
            }
            {{(setup.Certificate is null ? "" : $"https://:{setup.Tls} {{\n  bind 127.0.0.1\n  tls {setup.Certificate} {setup.Certificate}\n  import forward\n}}")}}
            """)],
        [new("GOMAXPROCS", "1"), new("HOME", setup.Directory), new("XDG_DATA_HOME", setup.Directory), new("XDG_CONFIG_HOME", setup.Directory)]))
    { Version = ["caddy", "version"] };

    /// <summary>YARP alone, with the runtime settings that this proxy is deployed with.</summary>
    public static Peer Yarp(IReadOnlyList<KeyValuePair<string, string?>> environment) => new("yarp", "a route and a cluster from memory, round robin, no logging; `deploy/environment.small`", setup => new(
        Programs.Dotnet, [Programs.Self, BareYarp.Verb, Write(setup, "yarp.txt", string.Join('\n',
            [$"http {setup.Http}", $"h2c {setup.Http2}", .. setup.Certificate is null ? Array.Empty<string>() : [$"tls {setup.Tls} {setup.Certificate}"], .. setup.Instances.Select(i => $"to {i}")]))], environment))
    { Managed = true };

    /// <summary>This proxy.</summary>
    /// <param name="name">Name in the report.</param>
    /// <param name="program">The published program, or its assembly.</param>
    /// <param name="environment">What the environment file that is deployed sets.</param>
    /// <param name="settings">Configuration beyond the defaults.</param>
    public static Peer Alicia(string name, string program, IReadOnlyList<KeyValuePair<string, string?>> environment, IReadOnlyList<string> settings) => new(
        name, $"as published, `deploy/environment.small`{string.Concat(settings.Select(s => $", `{s}`"))}", setup =>
        {
            Directory.CreateDirectory(Path.Combine(setup.Directory, "config"));
            var instances = setup.Instances.Select((address, i) =>
                $$"""{ "InstanceId": "{{Names.Instance(i)}}", "Host": "{{address.Split(':')[0]}}", "Port": {{address.Split(':')[1]}}, "MaxConnections": 10000 }""");
            Write(setup, "config/alicia.json", $$"""
                { "Routing": { "DefaultService": "bench" }, "Registry": { "Store": "memory" }, "Services": { "bench": { "Instances": [ {{string.Join(",\n", instances)}} ] } }
                  {{(setup.Certificate is null ? "" : $$""", "Tls": { "Certificates": { "bench": { "CertificateFile": "{{setup.Certificate}}" } } }""")}} }
                """);
            var listen = $"http://127.0.0.1:{setup.Http};h2c://127.0.0.1:{setup.Http2}" + (setup.Certificate is null ? "" : $";https://127.0.0.1:{setup.Tls}");
            string[] arguments = [$"--Listen:Proxy={listen}", "--Listen:Management=http://127.0.0.1:0", .. settings.Select(s => "--" + s)];
            return program.EndsWith(".dll", StringComparison.Ordinal) ? new(Programs.Dotnet, [program, .. arguments], environment) : new(program, arguments, environment);
        })
    { Managed = true };

    private static string Write(Setup setup, string name, string text)
    {
        var file = Path.Combine(setup.Directory, name);
        File.WriteAllText(file, text + "\n");
        return file;
    }
}

/// <summary>What runs a proxy under test.</summary>
/// <param name="Program">Null when it is not installed.</param>
/// <param name="Arguments">Its arguments.</param>
/// <param name="Environment">Added to the environment.</param>
internal sealed record PeerCommand(string? Program, IReadOnlyList<string> Arguments, IReadOnlyList<KeyValuePair<string, string?>>? Environment = null)
{
    /// <summary>Starts it on the given core. Null when it is not installed.</summary>
    public ChildProcess? Launch(Setup setup, int core) => Program is null
        ? null
        : ChildProcess.Start("taskset", ["-c", core.ToString(CultureInfo.InvariantCulture), Program, .. Arguments], Environment, setup.Directory, hasWorkers: true);

    /// <summary>Starts it on the given core and waits until it listens. Null when it is not installed.</summary>
    public async Task<ChildProcess?> StartAsync(Setup setup, int core)
    {
        if (Launch(setup, core) is not { } process)
            return null;
        for (var attempt = 0; ; attempt++)
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                await socket.ConnectAsync(IPAddress.Loopback, setup.Http);
                return process;
            }
            catch (SocketException) when (attempt < 800 && !process.HasExited)
            {
                await Task.Delay(25);
            }
            catch (SocketException e)
            {
                var errors = process.LastErrors();
                await process.DisposeAsync();
                throw new InvalidOperationException($"{Program} does not listen\n{errors}", e);
            }
        }
    }
}

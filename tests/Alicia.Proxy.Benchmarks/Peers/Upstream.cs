using System.Globalization;
using Alicia.Proxy.Benchmarks.Processes;

namespace Alicia.Proxy.Benchmarks.Peers;

/// <summary>The instances behind every proxy: one nginx that answers from memory, on as many loopback addresses as instances are asked for.</summary>
internal sealed class Upstream : IAsyncDisposable
{
    private const int MostInstances = 1000;

    private readonly ChildProcess _process;
    private readonly HttpClient _counts = new(new SocketsHttpHandler { UseProxy = false });
    private readonly int _port;

    private Upstream(ChildProcess process, Setup direct) => (_process, Direct, _port) = (process, direct, direct.Http);

    /// <summary>As if it were a proxy: for loads that go to an instance itself.</summary>
    public Setup Direct { get; }

    public static async Task<Upstream> StartAsync(string directory, int core)
    {
        var setup = new Setup(directory, [], null);
        Directory.CreateDirectory(Path.Combine(directory, "files"));
        await File.WriteAllTextAsync(Path.Combine(directory, "files", "10k"), new string('x', 10 * 1024));
        await File.WriteAllTextAsync(Path.Combine(directory, "files", "1m"), new string('x', 1024 * 1024));
        await File.WriteAllTextAsync(Path.Combine(directory, "nginx.conf"), $$"""
            daemon off; master_process on; worker_processes 1; pid nginx.pid; error_log error.log crit; worker_rlimit_nofile 65536;
            {{(Environment.UserName == "root" ? "user root;" : "")}}
            events { worker_connections 16384; multi_accept on; }
            http {
              access_log off; tcp_nodelay on; sendfile on; keepalive_requests 1000000000; keepalive_timeout 600s; client_max_body_size 0;
              client_body_buffer_size 64k; client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
              open_file_cache max=10;
              server {
                {{string.Concat(Hosts(MostInstances).Select(h => $"listen {h}:{setup.Http} backlog=4096; "))}}
                default_type application/octet-stream;
                root {{directory}}/files;
                location = / { return 200; }
                location = /100 { return 200 "{{new string('x', 100)}}"; }
                # Bare YARP leaves the service on.
                location = /s0000/100 { return 200 "{{new string('x', 100)}}"; }
                location = /fields { return 200 "$http_x_forwarded_for $http_x_forwarded_proto $http_x_forwarded_host"; }
                location = /counts { stub_status; }
              }
            }

            """);
        var command = new PeerCommand(Programs.Find("nginx") ?? throw new UsageException("peers needs nginx"), ["-p", directory, "-e", "error.log", "-c", Path.Combine(directory, "nginx.conf")]);
        return new Upstream((await command.StartAsync(setup, core))!, setup);
    }

    /// <summary>Addresses of so many instances: 127.0.0.1, 127.0.0.2 and on.</summary>
    public IReadOnlyList<string> Addresses(int count) =>
        [.. Hosts(count).Select(h => string.Create(CultureInfo.InvariantCulture, $"{h}:{_port}"))];

    private static IEnumerable<string> Hosts(int count) => Enumerable.Range(0, count).Select(i => string.Create(CultureInfo.InvariantCulture, $"127.0.{i / 250}.{(i % 250) + 1}"));

    /// <summary>Connections accepted and requests answered so far, over all instances; this call is one more request on a connection of its own that is kept.</summary>
    public async Task<(long Connections, long Requests)> CountsAsync()
    {
        // The third line: accepts, handled, requests.
        var numbers = (await _counts.GetStringAsync(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{_port}/counts"))).Split('\n')[2].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return (long.Parse(numbers[0], CultureInfo.InvariantCulture), long.Parse(numbers[2], CultureInfo.InvariantCulture));
    }

    public ValueTask DisposeAsync()
    {
        _counts.Dispose();
        return _process.DisposeAsync();
    }
}

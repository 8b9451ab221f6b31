using System.Globalization;
using Alicia.Proxy.Benchmarks.Peers;
using Alicia.Proxy.Benchmarks.Processes;

namespace Alicia.Proxy.Benchmarks.Scale;

/// <summary>One proxy with so many services and instances. Services share the instances evenly, each instance has an address of its own.</summary>
/// <param name="Proxy"><see cref="Peer.Own"/>, <see cref="Yarp"/> or <see cref="Haproxy"/>.</param>
/// <param name="Services">Found by the first segment of the path.</param>
/// <param name="Instances">Of all services together.</param>
internal sealed record ScaleLane(string Proxy, int Services, int Instances)
{
    public const string Yarp = "yarp";
    public const string Haproxy = "haproxy";

    /// <summary>True for .NET: it has code to compile, and memory to collect.</summary>
    public bool IsManaged => Proxy != Haproxy;

    /// <summary>What asks every service in turn.</summary>
    public string Script() => $$"""
        local n = 0
        local requests = {}
        function init(args)
          for i = 0, {{Services - 1}} do requests[i] = wrk.format("GET", "/" .. string.format("s%04d", i) .. "/100") end
        end
        function request()
          n = n + 1
          return requests[n % {{Services}}]
        end

        """;

    /// <summary>Starts it.</summary>
    /// <param name="setup">Where it listens, and addresses of as many instances as there are.</param>
    /// <param name="core">Its core.</param>
    /// <param name="program">The published proxy, or its assembly.</param>
    /// <param name="environment">What the environment file that is deployed sets.</param>
    public async Task<ChildProcess?> StartAsync(Setup setup, int core, string program, IReadOnlyList<KeyValuePair<string, string?>> environment) =>
        await (Proxy switch
        {
            Peer.Own => OwnWith(setup, program, environment),
            Yarp => Peer.Yarp(environment).Start(setup),
            _ => HaproxyWith(setup),
        }).StartAsync(setup, core);

    private static string Name(int service) => string.Create(CultureInfo.InvariantCulture, $"s{service:0000}");

    private IEnumerable<(string Service, IReadOnlyList<string> Addresses)> Shares(Setup setup) =>
        setup.Instances.Chunk(Instances / Services).Select((addresses, i) => (Name(i), (IReadOnlyList<string>)addresses));

    private PeerCommand OwnWith(Setup setup, string program, IReadOnlyList<KeyValuePair<string, string?>> environment)
    {
        var services = Shares(setup).Select(s => $$"""
            "{{s.Service}}": { "Instances": [ {{string.Join(",\n", s.Addresses.Select((a, i) =>
                $$"""{ "InstanceId": "{{s.Service}}-{{i}}", "Host": "{{a.Split(':')[0]}}", "Port": {{a.Split(':')[1]}}, "MaxConnections": 10000 }"""))}} ] }
            """);
        Directory.CreateDirectory(Path.Combine(setup.Directory, "config"));
        File.WriteAllText(Path.Combine(setup.Directory, "config", "alicia.json"),
            $$"""{ "Registry": { "Store": "memory" }, "Forwarding": { "Http1": "direct" }, "Limits": { "Connections": 12000 }, "Services": { {{string.Join(",\n", services)}} } }""");
        string[] arguments = [string.Create(CultureInfo.InvariantCulture, $"--Listen:Proxy=http://127.0.0.1:{setup.Http}"), "--Listen:Management=http://127.0.0.1:0"];
        return program.EndsWith(".dll", StringComparison.Ordinal) ? new(Programs.Dotnet, [program, .. arguments], environment) : new(program, arguments, environment);
    }

    private PeerCommand HaproxyWith(Setup setup)
    {
        var file = Path.Combine(setup.Directory, "haproxy.cfg");
        File.WriteAllText(file, $"""
            global
              nbthread 1
              maxconn 10050
              no strict-limits
            defaults
              mode http
              timeout connect 5s
              timeout client 600s
              timeout server 60s
              option forwardfor
              http-reuse always
              balance roundrobin
            frontend proxy
              bind 127.0.0.1:{setup.Http} backlog 4096
              http-request set-header X-Forwarded-Proto http
              http-request set-header X-Forwarded-Host %[req.hdr(host)]
              http-request set-var(txn.service) path,field(2,/)
              http-request set-path /%[path,field(3,/)]
              use_backend %[var(txn.service)]
            {string.Concat(Shares(setup).Select(s => $"backend {s.Service}\n{string.Concat(s.Addresses.Select((a, i) => $"  server i{i} {a}\n"))}"))}

            """);
        return new(Programs.Find("haproxy"), ["-db", "-f", file]);
    }
}

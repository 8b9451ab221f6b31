using System.Globalization;

namespace Alicia.Proxy.Benchmarks.Peers;

/// <summary>What came of a load. Latencies are in microseconds; NaN where the program does not tell.</summary>
/// <param name="Requests">Answers with status 200, whole.</param>
/// <param name="Failed">Other answers, broken connections, answers that never came.</param>
/// <param name="PerSecond">Requests a second.</param>
/// <param name="P50">Half of the latencies are at most this.</param>
/// <param name="P99">All but one in a hundred are at most this.</param>
/// <param name="Bytes">Received in all; for HTTP/2, of bodies alone.</param>
/// <param name="Output">What the program said, to be told when something failed.</param>
internal sealed record LoadFigures(long Requests, long Failed, double PerSecond, double P50, double P99, long Bytes, string Output);

/// <summary>One kind of traffic.</summary>
/// <param name="Name">Name in the report and on the command line.</param>
/// <param name="Description">What it is, for the report.</param>
/// <param name="Tool">What makes it.</param>
/// <param name="Path">What is asked for.</param>
/// <param name="BodyBytes">Length of the answer's body.</param>
/// <param name="Connections">Connections of the load.</param>
internal sealed record LoadCase(string Name, string Description, LoadTool Tool, string Path, int BodyBytes, int Connections)
{
    public const int PostBytes = 10 * 1024;

    public const int StreamsPerConnection = 8;

    /// <summary>Requests a second of the case at a fixed rate, far below what any proxy here can do.</summary>
    public const int FixedRate = 3000;

    public static readonly IReadOnlyList<LoadCase> All =
    [
        Small("get-1", "GET of 100 bytes, 1 connection.", 1),
        Small("get-64", "GET of 100 bytes, 64 connections.", 64),
        Small("get-512", "GET of 100 bytes, 512 connections.", 512),
        new("get-10k", "GET of 10 KB, 64 connections.", LoadTool.Wrk, "/10k", 10 * 1024, 64),
        new("get-1m", "GET of 1 MB, 16 connections.", LoadTool.Wrk, "/1m", 1024 * 1024, 16),
        Small("post-10k", "POST of 10 KB, answer of 100 bytes, 64 connections.", 64) with { Posts = true },
        Small("connection-each", "GET of 100 bytes, a new connection for each, 64 at once.", 64) with { NewConnections = true },
        Small("http2-in", "GET of 100 bytes over HTTP/2 in clear text, 8 connections with 8 streams each.", 8) with { Tool = LoadTool.H2load },
        Small("tls-in", "GET of 100 bytes over TLS and HTTP/1.1, 64 kept connections.", 64) with { OverTls = true },
        Small("fixed-3000", "GET of 100 bytes at 3,000 requests a second, evenly spaced: what a proxy adds is the difference to direct. Latencies count from when a request was due.", 30) with
        {
            Tool = LoadTool.Paced, AlsoDirect = true,
        },
        Small("instances-1000", "GET of 100 bytes, 64 connections, 1,000 instances. A second of the same load goes before each measurement.", 64) with { Instances = 1000 },
    ];

    /// <summary>True for a body of <see cref="PostBytes"/>.</summary>
    public bool Posts { get; private init; }

    /// <summary>True where each request comes over a connection of its own.</summary>
    public bool NewConnections { get; private init; }

    public bool OverTls { get; private init; }

    /// <summary>True where the same is asked of an instance itself, to be compared.</summary>
    public bool AlsoDirect { get; private init; }

    /// <summary>How many instances stand behind.</summary>
    public int Instances { get; private init; } = 2;

    /// <summary>Where a proxy, or an instance, listens for this.</summary>
    public int Port(Setup setup) => OverTls ? setup.Tls : Tool == LoadTool.H2load ? setup.Http2 : setup.Http;

    public string Url(Setup setup) => string.Create(CultureInfo.InvariantCulture, $"{(OverTls ? "https" : "http")}://127.0.0.1:{Port(setup)}{Path}");

    private static LoadCase Small(string name, string description, int connections) => new(name, description, LoadTool.Wrk, "/100", 100, connections);
}

/// <summary>What makes a load.</summary>
internal enum LoadTool
{
    /// <summary>wrk: HTTP/1.1, as fast as it goes.</summary>
    Wrk,

    /// <summary>h2load: HTTP/2, as fast as it goes.</summary>
    H2load,

    /// <summary>This program: HTTP/1.1 at <see cref="LoadCase.FixedRate"/>.</summary>
    Paced,
}

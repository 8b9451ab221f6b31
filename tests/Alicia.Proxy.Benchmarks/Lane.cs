using Alicia.Proxy.Benchmarks.Load;
using Alicia.Proxy.Benchmarks.Processes;

namespace Alicia.Proxy.Benchmarks;

/// <summary>Runtime settings to measure the proxy with.</summary>
/// <param name="Name">Name in the report.</param>
/// <param name="Environment">Environment variables.</param>
internal sealed record Variant(string Name, IReadOnlyList<KeyValuePair<string, string?>> Environment)
{
    public const string Default = "default";

    /// <summary>The knobs that are said to matter for a proxy, each alone. Inline completions are the proxy's own default; <c>queued</c> is without them.</summary>
    public static readonly IReadOnlyList<Variant> Known =
    [
        Parse("yarp-http1:Forwarding__Http1=yarp"),
        Parse("queued:DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS=0"),
        Parse("spinning:DOTNET_ThreadPool_UnfairSemaphoreSpinLimit=46"),
        Parse("gen0-16m:DOTNET_GCgen0size=0x1000000"),
        Parse("gen0-64m:DOTNET_GCgen0size=0x4000000"),
        Parse("no-pgo:DOTNET_TieredPGO=0"),
        Parse("no-r2r:DOTNET_ReadyToRun=0"),
        Parse("non-concurrent-gc:DOTNET_gcConcurrent=0"),
        Parse("server-gc:DOTNET_gcServer=1"),
    ];

    /// <param name="text"><c>NAME:KEY=VALUE,KEY=VALUE</c>.</param>
    /// <exception cref="UsageException">Not of that form.</exception>
    public static Variant Parse(string text)
    {
        var parts = text.Split(':', 2);
        var pairs = parts[^1].Split(',').Select(p => p.Split('=', 2)).ToArray();
        if (parts.Length != 2 || parts[0].Length == 0 || pairs.Any(p => p.Length != 2 || p[0].Length == 0))
            throw new UsageException($"a variant is NAME:KEY=VALUE,KEY=VALUE, not '{text}'");
        return new Variant(parts[0], [.. pairs.Select(p => new KeyValuePair<string, string?>(p[0], p[1]))]);
    }
}

/// <summary>One way to the backend, and what was measured on it.</summary>
/// <param name="Name">Name in the report.</param>
/// <param name="Port">Where the load goes.</param>
/// <param name="ProcessId">What stands in between, or null for the direct way.</param>
internal sealed record Lane(string Name, int Port, int? ProcessId)
{
    private readonly List<Round> _rounds = [];

    public IReadOnlyList<Round> Rounds => _rounds;

    /// <summary>Requests so far, those of the warm-up included.</summary>
    public long Requests { get; private set; }

    /// <summary>Runs the load once and keeps what came of it.</summary>
    /// <exception cref="InvalidOperationException">A request failed: figures with failures in them compare nothing.</exception>
    public async Task RunAsync(ChildProcess generator, int round, int connections, double seconds)
    {
        var before = Cpu();
        var result = await generator.LoadAsync(new LoadOrder(Port, connections, seconds, Services: 1));
        var cpu = Cpu() - before;
        if (result.Errors > 0 || result.Requests == 0)
            throw new InvalidOperationException($"{Name}: {result.Errors} requests failed, {result.Requests} did not; the first failure: {result.FirstError}");
        Requests += result.Requests;
        if (round >= 0)
            _rounds.Add(new Round(round, connections, result, cpu * 1e6 / result.Requests));
    }

    private double Cpu() => ProcessId is { } id ? ProcessFigures.CpuSeconds(id) : 0;
}

/// <summary>One measurement of one lane.</summary>
/// <param name="Number">The round; lanes of one round stand beside each other in time.</param>
/// <param name="Connections">Connections of the load.</param>
/// <param name="Load">As the client saw it.</param>
/// <param name="CpuMicroseconds">CPU time of the process in between, per request.</param>
internal sealed record Round(int Number, int Connections, LoadResult Load, double CpuMicroseconds);

using System.Globalization;
using Alicia.Proxy.Benchmarks.Processes;

namespace Alicia.Proxy.Benchmarks.Soak;

/// <summary>What the proxy holds at one moment.</summary>
/// <param name="At">Since the beginning of the load.</param>
/// <param name="ResidentMiB">Memory in RAM.</param>
/// <param name="HeapMiB">Managed heap behind the last collection.</param>
/// <param name="Descriptors">Open file descriptors.</param>
/// <param name="Callers">Connections of callers.</param>
/// <param name="Upstream">Connections to instances.</param>
/// <param name="InFlight">Requests in flight to instances.</param>
/// <param name="Waiting">Requests in line.</param>
/// <param name="Threads">Of the thread pool.</param>
internal sealed record SoakSample(
    TimeSpan At, double ResidentMiB, double HeapMiB, double Descriptors, double Callers, double Upstream, double InFlight, double Waiting, double Threads);

/// <summary>Looks at the proxy from outside: its metrics page, its files in <c>/proc</c>.</summary>
internal sealed class SoakWatch(ProxyProcess proxy)
{
    private const string CloseWait = "08";

    private HashSet<string> _halfClosed = [];

    /// <summary>Sockets whose other side has closed and that were still open ten seconds later, at the most at once.</summary>
    public int Forgotten { get; private set; }

    /// <summary>Takes a sample.</summary>
    public async Task<SoakSample> SampleAsync(TimeSpan at)
    {
        var page = await proxy.Api.GetStringAsync("/metrics");
        return new SoakSample(
            at,
            ProcessFigures.ResidentMiB(proxy.Id),
            Sum(page, "dotnet_gc_last_collection_heap_size_bytes") / (1 << 20),
            Directory.GetFileSystemEntries($"/proc/{proxy.Id}/fd").Length,
            Sum(page, "alicia_client_connections"),
            Sum(page, "alicia_upstream_connections"),
            Sum(page, "alicia_instance_active_requests"),
            Sum(page, "alicia_queue_depth"),
            Sum(page, "dotnet_thread_pool_threads"));
    }

    /// <summary>Collections of the oldest generation since start.</summary>
    public async Task<double> FullCollectionsAsync() => Sum(await proxy.Api.GetStringAsync("/metrics"), "dotnet_gc_collections_total", "gen2");

    /// <summary>Looks for connections that nobody looks after: half closed now and at the look before.</summary>
    public void LookForForgotten()
    {
        var own = Directory.GetFileSystemEntries($"/proc/{proxy.Id}/fd").Select(Target).Where(t => t.StartsWith("socket:[", StringComparison.Ordinal)).Select(t => t[8..^1]).ToHashSet();
        HashSet<string> now = [.. ((string[])["tcp", "tcp6"]).SelectMany(f => File.ReadLines($"/proc/{proxy.Id}/net/{f}").Skip(1))
            .Select(l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Where(f => f[3] == CloseWait && own.Contains(f[9])).Select(f => f[9])];
        Forgotten = Math.Max(Forgotten, now.Count(_halfClosed.Contains));
        _halfClosed = now;
    }

    private static string Target(string link)
    {
        try
        {
            return new FileInfo(link).LinkTarget ?? "";
        }
        catch (IOException)
        {
            // Closed since it was listed.
            return "";
        }
    }

    /// <summary>Adds up the series of a metric, those whose labels hold a text if one is given.</summary>
    private static double Sum(string page, string metric, string labels = "")
    {
        var sum = 0.0;
        foreach (var line in page.Split('\n'))
        {
            if (line.StartsWith(metric, StringComparison.Ordinal) && line.Length > metric.Length && line[metric.Length] is ' ' or '{'
                && line.Contains(labels, StringComparison.Ordinal))
                sum += double.Parse(line.AsSpan(line.LastIndexOf('}') + 1).TrimStart().ToString().Split(' ')[^1], CultureInfo.InvariantCulture);
        }

        return sum;
    }
}

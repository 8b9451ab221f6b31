using System.Diagnostics;
using System.Net;
using Alicia.Proxy.Benchmarks.Reporting;

namespace Alicia.Proxy.Benchmarks.Peers;

/// <summary>The first seconds of a process that gets its load at once.</summary>
/// <param name="Peer">Name of the proxy.</param>
/// <param name="Answering">Seconds from the start of the process to its first answer from an instance.</param>
/// <param name="PerSecond">Requests that instances answered in the first, second, … second since the start of the process.</param>
internal sealed record ColdStart(string Peer, double Answering, IReadOnlyList<double> PerSecond)
{
    private const int Cold = 10;
    private const int Seconds = 20;

    /// <summary>What it does once it is warm: the median of the last five seconds.</summary>
    public double Warm => new Samples(PerSecond.TakeLast(5)).Median;

    /// <summary>The seconds that are told.</summary>
    public static IEnumerable<int> Told => Enumerable.Range(1, Cold);

    /// <summary>Starts a proxy and loads it from its first answer on. Instances count, so that what is measured needs no clock of the load's.</summary>
    /// <exception cref="InvalidOperationException">It does not answer, or a request failed.</exception>
    public static async Task<ColdStart?> MeasureAsync(Peer peer, Setup setup, int core, Upstream upstream, LoadSource load, CancellationToken interrupted)
    {
        var started = Stopwatch.GetTimestamp();
        if (peer.Start(setup).Launch(setup, core) is not { } process)
            return null;
        await using var running = process;
        var @case = LoadCase.All.Single(c => c.Name == "get-64");
        using (var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }))
        {
            while (await StatusAsync(client, @case.Url(setup), interrupted) != HttpStatusCode.OK)
            {
                if (Stopwatch.GetElapsedTime(started) > Processes.ChildProcess.Patience)
                    throw new InvalidOperationException($"{peer.Name} does not answer\n{process.LastErrors()}");
                await Task.Delay(5, interrupted);
            }
        }

        var answering = Stopwatch.GetElapsedTime(started).TotalSeconds;
        var before = await upstream.CountsAsync();
        var loading = load.RunAsync(@case, setup, Seconds);
        var perSecond = new List<double>();
        for (var second = 1; second <= Seconds; second++)
        {
            if (TimeSpan.FromSeconds(second) - Stopwatch.GetElapsedTime(started) is { Ticks: > 0 } rest)
                await Task.Delay(rest, interrupted);
            var now = await upstream.CountsAsync();
            perSecond.Add(now.Requests - before.Requests);
            before = now;
        }

        return await loading is { Failed: > 0 } failed
            ? throw new InvalidOperationException($"cold start of {peer.Name}: {failed.Failed} requests failed\n{failed.Output}")
            : new ColdStart(peer.Name, answering, perSecond);
    }

    private static async Task<HttpStatusCode> StatusAsync(HttpClient client, string url, CancellationToken interrupted)
    {
        try
        {
            using var answer = await client.GetAsync(url, interrupted);
            return answer.StatusCode;
        }
        catch (HttpRequestException)
        {
            // Not listening yet.
            return HttpStatusCode.ServiceUnavailable;
        }
    }
}

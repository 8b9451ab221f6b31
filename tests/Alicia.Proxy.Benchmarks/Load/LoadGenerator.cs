using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;

namespace Alicia.Proxy.Benchmarks.Load;

/// <summary>One run of the load generator, as one line of JSON on its standard input.</summary>
/// <param name="Port">Loopback port to load.</param>
/// <param name="Connections">Connections kept open, each with one request under way: a closed loop.</param>
/// <param name="Seconds">Length of the run.</param>
/// <param name="Services">Number of services that requests go to in turn (<see cref="Names.Service"/>).</param>
/// <param name="PauseMs">Milliseconds that each connection lets pass after an answer. 0: none, which keeps whatever is measured as busy as it can be; to tell what disturbs a
/// request, leave room for the disturbance.</param>
/// <param name="PerSecond">Requests a second over all connections, evenly spaced, whatever the answers take. 0: as fast as it goes.</param>
/// <param name="Path">What is asked for, of whichever host; null for an ordinary target and the services' names.</param>
internal sealed record LoadOrder(int Port, int Connections, double Seconds, int Services, int PauseMs = 0, int PerSecond = 0, string? Path = null);

/// <summary>What came of a run, as one line of JSON on its standard output. Latencies are in microseconds.</summary>
/// <param name="Requests">Answers with status 200.</param>
/// <param name="Errors">Other answers, broken connections and answers that never came.</param>
/// <param name="FirstError">What the first of them was, or null.</param>
/// <param name="Seconds">Length of the run as it was.</param>
/// <param name="P50">Half of the latencies are at most this.</param>
/// <param name="P90">Nine in ten are at most this.</param>
/// <param name="P99">All but one in a hundred are at most this.</param>
/// <param name="Max">The longest.</param>
/// <param name="Bytes">Received in all.</param>
internal sealed record LoadResult(long Requests, long Errors, string? FirstError, double Seconds, double P50, double P90, double P99, double Max, long Bytes)
{
    public double PerSecond => Requests / Seconds;
}

/// <summary>
/// The client of the measurements, a process of its own that lives through all runs, so that its own start is in none of them. Keep-alive connections over
/// raw sockets; as little work per request as possible, because it shares the cores with what it measures.
/// </summary>
internal static class LoadGenerator
{
    public const string Verb = "load-generator";

    /// <summary>Time beyond a run's length after which its connections are cut.</summary>
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(10);

    public static async Task<int> RunAsync()
    {
        // One order a line; the end of the input is the end of the process. The console's reader blocks, and nothing else runs meanwhile.
        while (Console.In.ReadLine() is { } line)
        {
            var result = await RunAsync(JsonSerializer.Deserialize<LoadOrder>(line)!);
            Console.Out.WriteLine(JsonSerializer.Serialize(result));
            Console.Out.Flush();
        }

        return 0;
    }

    private static async Task<LoadResult> RunAsync(LoadOrder order)
    {
        var requests = Enumerable.Range(0, order.Services).Select(s => Request(order, s)).ToArray();
        var target = new IPEndPoint(IPAddress.Loopback, order.Port);
        var connections = new List<LoadConnection>(order.Connections);
        try
        {
            for (var i = 0; i < order.Connections; i++)
                connections.Add(await LoadConnection.OpenAsync(target, requests, first: i * order.Services / order.Connections));
            var start = Stopwatch.GetTimestamp();
            var end = start + (long)(order.Seconds * Stopwatch.Frequency);
            Task[] runs = order.PerSecond > 0
                ? [PacedLoad.RunAsync(connections, order.PerSecond, end)]
                : [.. connections.Select(c => c.RunAsync(end, TimeSpan.FromMilliseconds(order.PauseMs)))];
            // Cutting a socket ends its loop with an error that is counted.
            await Task.WhenAny(Task.WhenAll(runs), Task.Delay(TimeSpan.FromSeconds(order.Seconds) + _patience));
            connections.ForEach(c => c.Dispose());
            await Task.WhenAll(runs);
            var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;

            var all = new LatencyHistogram();
            connections.ForEach(c => all.Add(c.Latencies));
            return new LoadResult(all.Count, connections.Sum(c => c.Errors), connections.Select(c => c.FirstError).FirstOrDefault(e => e is not null), seconds,
                all.Quantile(0.5) / 1e3, all.Quantile(0.9) / 1e3, all.Quantile(0.99) / 1e3, all.Max / 1e3, connections.Sum(c => c.Received));
        }
        finally
        {
            connections.ForEach(c => c.Dispose());
        }
    }

    // Fields of an ordinary client, not the bare minimum: copying them is part of a proxy's work.
    private static byte[] Request(LoadOrder order, int service) => Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"""
        GET {order.Path ?? $"/v1/items/{service}?page=2"} HTTP/1.1
        Host: {(order.Path is null ? $"{Names.Service(service)}.alicia.local" : $"127.0.0.1:{order.Port}")}
        User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36
        Accept: application/json, text/plain;q=0.9
        Accept-Encoding: gzip, br
        Accept-Language: en-GB,en;q=0.8
        Cookie: session=3f2504e04f8911d39a0c0305e82c3301


        """).ReplaceLineEndings("\r\n"));
}

using System.Collections.Concurrent;

namespace Alicia.Proxy.Benchmarks.Soak;

/// <summary>What a request came to, for who sent it.</summary>
/// <param name="What"><see cref="Whole"/>, <see cref="Left"/>, or how it failed: <c>status</c> and the proxy's error type, such as <c>502 connection_refused</c>; <c>cut</c>; <c>no answer</c>;
/// <c>wrong bytes</c>.</param>
/// <param name="Detail">More of a failure.</param>
internal readonly record struct Fate(string What, string? Detail = null)
{
    public const string Whole = "whole";
    public const string Left = "left";
    public const string Cut = "cut";

    public bool IsFailure => What is not (Whole or Left);
}

/// <summary>Counts what requests came to, and keeps the failures that nothing explains.</summary>
internal sealed class SoakTally
{
    private const int KeptFailures = 40;

    private readonly ConcurrentDictionary<(string Service, string Kind, string What), long> _counts = new();
    private readonly ConcurrentQueue<string> _unexplained = new();
    private long _all;
    private long _unexplainedCount;

    /// <summary>Requests that are over.</summary>
    public long All => Volatile.Read(ref _all);

    public long Unexplained => Volatile.Read(ref _unexplainedCount);

    /// <summary>The first of them.</summary>
    public IReadOnlyCollection<string> FirstUnexplained => _unexplained;

    public IReadOnlyDictionary<(string Service, string Kind, string What), long> Counts => _counts;

    public long Count(string service, Func<string, bool> what) => _counts.Where(c => c.Key.Service == service && what(c.Key.What)).Sum(c => c.Value);

    /// <summary>Counts a request. A failure is explained when a trouble of its time may cause it.</summary>
    public void Add(string service, string kind, Fate fate, bool explained)
    {
        Interlocked.Increment(ref _all);
        _counts.AddOrUpdate((service, kind, fate.What), 1, static (_, n) => n + 1);
        if (!fate.IsFailure || explained)
            return;
        Interlocked.Increment(ref _unexplainedCount);
        if (_unexplained.Count < KeptFailures)
            _unexplained.Enqueue($"{DateTime.UtcNow:HH:mm:ss} {service} {kind}: {fate.What} {fate.Detail}");
    }
}
